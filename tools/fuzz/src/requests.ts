/** Requests of every API in every version, made from the schemas: whatever the protocol can say is said sooner or later. */
import type { SeededRandom } from '@millrace/platform/simulated';
import { apis, encodeRequest, RecordBatchWriter, versionRange, type ApiSchema, type Field } from '@millrace/protocol';

/** Names that requests are about: they meet each other's topics, groups and transactions. The kept topic is not among them. */
const names = [
  'orders',
  'made-1',
  'made-2',
  'made-3',
  'group',
  'tx',
  'consumer',
  'range',
  '',
  '.',
  'é',
  'x'.repeat(300),
];

const configNames = ['retention.ms', 'cleanup.policy', 'segment.bytes', 'max.message.bytes', 'no.such.config'];

/** Every API that a client may call, with the versions there are. */
const calls: readonly { readonly api: ApiSchema; readonly version: number }[] = Object.values<ApiSchema>(apis).flatMap(
  (api) => {
    const { min, max } = versionRange(api);
    return Array.from({ length: max - min + 1 }, (_, index) => ({ api, version: min + index }));
  },
);

export const callCount: number = calls.length;

/** A request with its length prefix. Every call in turn, its fields at random: small, at a limit, or out of it. */
export function requestOf(turn: number, random: SeededRandom): Buffer {
  const { api, version } = calls[turn % calls.length]!;
  const body = struct(api.request.fields, random, 0);
  // Long waits park a connection's later requests: some are enough.
  if ('maxWaitMs' in body && random.chance(0.9)) body['maxWaitMs'] = 0;
  try {
    const header = { correlationId: turn & 0x7fff_ffff, clientId: random.chance(0.1) ? null : 'fuzz' };
    return Buffer.concat(encodeRequest(api, version, header, body as never).parts);
  } catch {
    // A value that this version cannot say: the same with defaults, which every version can.
    return Buffer.concat(encodeRequest(api, version, { correlationId: 1, clientId: 'fuzz' }, {} as never).parts);
  }
}

function struct(fields: readonly Field[], random: SeededRandom, depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const field of fields) {
    if (random.chance(0.1)) continue; // its default
    if (field.isArray) {
      const length = depth > 2 ? 0 : random.below(3);
      result[field.name] = Array.from({ length }, () => valueOf(field, random, depth + 1));
    } else {
      result[field.name] = valueOf(field, random, depth + 1);
    }
  }
  return result;
}

function valueOf(field: Field, random: SeededRandom, depth: number): unknown {
  if (typeof field.type !== 'string') return struct(field.type, random, depth);
  switch (field.type) {
    case 'bool':
      return random.chance(0.5);
    case 'int8':
      return oneOf(random, [0, 1, 2, -1, 127, -128]);
    case 'int16':
      return oneOf(random, [0, 1, -1, 32_767, -32_768]);
    case 'uint16':
      return oneOf(random, [0, 1, 65_535]);
    case 'int32':
      return oneOf(random, [0, 0, 1, 2, -1, 100, 6000, 2_147_483_647, -2_147_483_648]);
    case 'uint32':
      return oneOf(random, [0, 1, 4_294_967_295]);
    case 'int64':
      return oneOf(random, [0, 0, 1, -1, -2, 1000, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);
    case 'float64':
      return oneOf(random, [0, 1.5, Number.NaN, Number.POSITIVE_INFINITY]);
    case 'string':
      return oneOf(random, field.name.toLowerCase().includes('config') ? configNames : names);
    case 'uuid':
      return '00000000-0000-0000-0000-00000000000' + random.below(10);
    case 'bytes':
      return random.bytes(random.below(20));
    case 'records':
      return records(random);
  }
}

function records(random: SeededRandom): Uint8Array {
  if (random.chance(0.1)) return random.bytes(random.below(200));
  const writer = new RecordBatchWriter();
  for (let n = 1 + random.below(5); n > 0; n--) {
    const value = random.chance(0.1) ? null : random.bytes(random.below(100));
    writer.append(random.below(1_000_000), random.chance(0.5) ? null : random.bytes(4), value);
  }
  const batch = Buffer.from(writer.close({}));
  if (random.chance(0.3)) batch[random.below(batch.length)]! ^= 1 << random.below(8);
  return batch;
}

function oneOf<T>(random: SeededRandom, values: readonly T[]): T {
  return values[random.below(values.length)]!;
}
