import { expect, it } from 'vitest';
import { ScramClient } from './sasl.ts';

const refuse = (why: string): Error => new Error(why);

it('speaks SCRAM-SHA-256 as the example of RFC 7677 does', async () => {
  const client = new ScramClient(
    { mechanism: 'scram-sha-256', username: 'user', password: 'pencil' },
    'rOprNGfwEbeRWgbNEkqO',
  );
  expect(client.clientFirst()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
  const serverFirst = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
  expect(await client.clientFinal(serverFirst, refuse)).toBe(
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  );
  client.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=', refuse);
  expect(() => client.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=', refuse)).toThrow('could not prove');
  expect(() => client.verify('e=invalid-proof', refuse)).toThrow('invalid-proof');
});

it('escapes the characters that separate attributes', () => {
  const client = new ScramClient({ mechanism: 'scram-sha-512', username: 'a,b=c', password: 'x' }, 'n');
  expect(client.clientFirst()).toBe('n,,n=a=2Cb=3Dc,r=n');
});

it.each([
  ['a nonce that is not ours', 'r=other,s=AA==,i=4096', 'does not continue'],
  ['a nonce that adds nothing', 'r=nonce,s=AA==,i=4096', 'does not continue'],
  ['too few iterations', 'r=nonce1,s=AA==,i=4095', '4095 iterations'],
  ['iterations that would hang us', 'r=nonce1,s=AA==,i=1000001', '1000001 iterations'],
  ['no iterations', 'r=nonce1,s=AA==', 'undefined iterations'],
])('refuses %s', async (_what, serverFirst, why) => {
  const client = new ScramClient({ mechanism: 'scram-sha-256', username: 'u', password: 'p' }, 'nonce');
  await expect(client.clientFinal(serverFirst, refuse)).rejects.toThrow(why);
});
