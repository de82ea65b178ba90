import { InvalidOptionError } from '../errors.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

const defaultPort = 9092;

/** `host:port`, `[::1]:port`, several apart by commas or in an array; without a port, Kafka's 9092. @throws `INVALID_CONFIG` */
export function parseAddresses(servers: string | readonly string[]): readonly Address[] {
  const texts = (typeof servers === 'string' ? [servers] : servers).flatMap((text) => text.split(','));
  const addresses = texts.map((text) => parseAddress(text.trim()));
  if (addresses.length === 0) throw new InvalidOptionError('bootstrapServers', '[]', 'give one address or more.');
  return addresses;
}

function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidOptionError('bootstrapServers', `'${text}'`, 'write host:port, such as localhost:9092.');
  }
  return { host, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
