import type { SinkRecord } from '@millrace/streams';
import { SinkRefusedError } from '../errors.ts';

/** A command: its name, its key, its arguments. Numbers are sent as text, as Redis takes them. */
export type RedisCommand = readonly [name: string, key: string, ...args: (string | number | Uint8Array)[]];

/** A script calls a command with no more parts: Lua's stack ends there. */
const maxParts = 7999;

/**
 * Commands of some records as MessagePack: `[offset, [[name, key, …], …], offset, […], …]`.
 * @throws {SinkRefusedError} a command that no script can call: it would stop the batch in its middle
 */
export function packCommands<K, V>(
  sink: string,
  records: readonly SinkRecord<K, V>[],
  commandsOf: (value: V, key: K) => readonly RedisCommand[],
): Buffer {
  // A source record may have several results; their commands go under its offset together, so that they can be counted.
  const byOffset: { readonly offset: number; readonly commands: RedisCommand[] }[] = [];
  for (const { offset, ordinal, value, key } of records) {
    const commands = commandsOf(value, key);
    for (const { length, 0: name } of commands) {
      if (length > 0 && length <= maxParts) continue;
      const reason = `a command ${name ?? ''} of ${length} parts; it takes 1 to ${maxParts}, so say it in several`;
      throw new SinkRefusedError(sink, reason, { offset, ordinal });
    }
    const last = byOffset.at(-1);
    if (last?.offset === offset) last.commands.push(...commands);
    else byOffset.push({ offset, commands: [...commands] });
  }
  const parts: Buffer[] = [arrayHeader(byOffset.length * 2)];
  for (const { offset, commands } of byOffset) {
    parts.push(text(String(offset)), arrayHeader(commands.length));
    for (const command of commands) {
      parts.push(arrayHeader(command.length));
      for (const part of command) parts.push(typeof part === 'object' ? bytes(part) : text(String(part)));
    }
  }
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  return bytes(Buffer.from(value));
}

function bytes(value: Uint8Array): Buffer {
  const header = Buffer.allocUnsafe(5);
  header[0] = 0xdb; // a string of up to 4 GiB
  header.writeUInt32BE(value.length, 1);
  return Buffer.concat([header, value]);
}

function arrayHeader(count: number): Buffer {
  const header = Buffer.allocUnsafe(5);
  header[0] = 0xdd; // an array of up to 2^32 items
  header.writeUInt32BE(count, 1);
  return header;
}
