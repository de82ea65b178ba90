import { expect, it } from 'vitest';
import { formatAddress, parseAddresses } from './addresses.ts';

it('reads host:port, several, IPv6 in brackets, and takes port 9092 where none is said', () => {
  expect(parseAddresses('kafka-1:9093, kafka-2')).toEqual([
    { host: 'kafka-1', port: 9093 },
    { host: 'kafka-2', port: 9092 },
  ]);
  expect(parseAddresses(['[::1]:1', '127.0.0.1:65535'])).toEqual([
    { host: '::1', port: 1 },
    { host: '127.0.0.1', port: 65_535 },
  ]);
  expect(parseAddresses('[::1]:1').map(formatAddress)).toEqual(['[::1]:1']);
});

it.each(['', 'host:0', 'host:65536', 'host:port', '::1:9092', 'http://host:9092', 'a b'])('refuses %j', (text) => {
  expect(() => parseAddresses(text)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
});
