import { errorCodes, apis } from '@millrace/protocol';
import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import type { SaslOptions } from '../cluster-options.ts';
import { SaslAuthenticationError } from '../errors.ts';
import type { KafkaConnection } from './connection.ts';

/** Proves who we are, before any other request. @throws `SaslAuthenticationError` */
export async function authenticate(
  connection: KafkaConnection,
  sasl: SaslOptions,
  randomBytes: (length: number) => Uint8Array,
): Promise<void> {
  const mechanism = sasl.mechanism.toUpperCase();
  const refuse = (why: string): SaslAuthenticationError =>
    new SaslAuthenticationError(connection.address, mechanism, why);

  const handshake = await connection.request(apis.saslHandshake, { mechanism }, { version: 1 });
  if (handshake.errorCode !== errorCodes.NONE) {
    throw refuse(`it offers ${handshake.mechanisms.join(', ') || 'no mechanism'}`);
  }
  const exchange = async (message: Uint8Array): Promise<Uint8Array> => {
    const answer = await connection.request(apis.saslAuthenticate, { authBytes: message });
    if (answer.errorCode !== errorCodes.NONE) throw refuse(answer.errorMessage || 'the credentials are wrong');
    return answer.authBytes;
  };

  if (sasl.mechanism === 'plain') {
    await exchange(Buffer.from(`\0${sasl.username}\0${sasl.password}`)); // RFC 4616
    return;
  }
  const scram = new ScramClient(sasl, Buffer.from(randomBytes(24)).toString('base64'));
  const serverFirst = await exchange(Buffer.from(scram.clientFirst()));
  const serverFinal = await exchange(Buffer.from(await scram.clientFinal(text(serverFirst), refuse)));
  scram.verify(text(serverFinal), refuse);
}

/** SCRAM without channel binding (RFC 5802, RFC 7677). */
export class ScramClient {
  readonly #hash: 'sha256' | 'sha512';
  readonly #username: string;
  readonly #password: string;
  readonly #nonce: string;
  #serverSignature = '';

  constructor(sasl: SaslOptions, nonce: string) {
    this.#hash = sasl.mechanism === 'scram-sha-512' ? 'sha512' : 'sha256';
    this.#username = sasl.username.replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.#password = sasl.password;
    this.#nonce = nonce;
  }

  clientFirst(): string {
    return `n,,${this.#clientFirstBare()}`;
  }

  async clientFinal(serverFirst: string, refuse: (why: string) => Error): Promise<string> {
    const { r: nonce, s: salt, i } = attributes(serverFirst);
    const iterations = Number(i);
    if (nonce === undefined || salt === undefined || !nonce.startsWith(this.#nonce) || nonce === this.#nonce) {
      throw refuse('its first message does not continue ours');
    }
    // Fewer can be broken, more can hang us: RFC 7677 asks for 4096.
    if (!(iterations >= 4096 && iterations <= 1_000_000)) throw refuse(`it asks for ${i} iterations`);

    const length = this.#hash === 'sha512' ? 64 : 32;
    const salted = await promisify(pbkdf2)(this.#password, Buffer.from(salt, 'base64'), iterations, length, this.#hash);
    const clientKey = this.#hmac(salted, 'Client Key');
    const storedKey = createHash(this.#hash).update(clientKey).digest();
    const withoutProof = `c=biws,r=${nonce}`;
    const authMessage = `${this.#clientFirstBare()},${serverFirst},${withoutProof}`;
    const proof = this.#hmac(storedKey, authMessage);
    for (let i = 0; i < proof.length; i++) proof[i]! ^= clientKey[i]!;
    this.#serverSignature = this.#hmac(this.#hmac(salted, 'Server Key'), authMessage).toString('base64');
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** The broker proves that it knows the password too. */
  verify(serverFinal: string, refuse: (why: string) => Error): void {
    const { v: signature, e: error } = attributes(serverFinal);
    if (error !== undefined) throw refuse(error);
    if (signature !== this.#serverSignature) throw refuse('it could not prove that it knows the password');
  }

  #clientFirstBare(): string {
    return `n=${this.#username},r=${this.#nonce}`;
  }

  #hmac(key: Uint8Array, message: string): Buffer {
    return createHmac(this.#hash, key).update(message).digest();
  }
}

function attributes(message: string): Record<string, string | undefined> {
  return Object.fromEntries(message.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
