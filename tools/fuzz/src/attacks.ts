/** What clients do that are broken, hostile, or merely slow. */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import type { SeededRandom } from '@millrace/platform/simulated';
import { apis, encodeRequest } from '@millrace/protocol';
import { mutated } from './mutations.ts';
import { requestOf } from './requests.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly maxFrameBytes: number;
  /** A topic with more bytes than unread answers may take. */
  readonly bulkTopic: string;
}

/** A crowd of connections that stay until the broker or we have enough of them. */
export interface Attack {
  readonly name: string;
  readonly begin: (target: Target) => Promise<readonly Socket[]>;
  /** How many of them the broker must have closed by itself within ten seconds. */
  readonly mustClose: (target: Target) => number;
}

export const attacks: readonly Attack[] = [
  {
    name: 'lengths that lie',
    begin: (target) => {
      const lengths = [0x7fff_ffff, -1, -0x8000_0000, 0, 1, target.maxFrameBytes + 1];
      return crowd(target, 10 * lengths.length, (socket, n) => {
        const bytes = Buffer.alloc(16);
        bytes.writeInt32BE(lengths[n % lengths.length]!);
        socket.write(bytes);
      });
    },
    mustClose: () => 60,
  },
  {
    name: 'large requests that never end',
    begin: (target) => {
      const bytes = Buffer.alloc(4 + target.maxFrameBytes - 1);
      bytes.writeInt32BE(target.maxFrameBytes);
      return crowd(target, 64, (socket) => socket.write(bytes));
    },
    mustClose: () => 64, // they never say a first request
  },
  {
    name: 'readers that do not read',
    begin: (target) => {
      const topics = [
        { topic: target.bulkTopic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 23 }] },
      ];
      const header = { correlationId: 1, clientId: 'deaf' };
      const frame = encodeRequest(apis.fetch, 4, header, { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 23, topics });
      const request = Buffer.concat(frame.parts);
      return crowd(target, 64, (socket) => {
        socket.pause();
        socket.write(Buffer.concat(Array.from({ length: 50 }, () => request)));
      });
    },
    mustClose: () => 0, // those that leave most are cut only while all together hold too much
  },
  {
    name: 'a byte now and then',
    begin: (target) => {
      const request = requestBytes();
      return crowd(target, 100, (socket) => {
        let sent = 0;
        const dripping = setInterval(() => socket.write(request.subarray(sent, ++sent)), 250);
        socket.once('close', () => clearInterval(dripping));
      });
    },
    mustClose: () => 100,
  },
  {
    name: 'half a request, then the end',
    begin: (target) =>
      crowd(target, 100, (socket, n) => {
        const request = requestBytes();
        socket.end(request.subarray(0, n % request.length));
      }),
    mustClose: () => 100,
  },
  {
    name: 'more connections than there may be',
    begin: (target) => crowd(target, 3 * target.maxConnections, () => {}),
    mustClose: (target) => 2 * target.maxConnections,
  },
];

/** A frame that cannot be read ends its connection: most of those before the last are whole, so that the last is reached. */
const earlyMutations = 0.08;

/**
 * A connection that sends some requests at once, the last one mutated, reads for a moment what comes, and goes: by a FIN or a RST.
 * @param turn of the first request
 */
export async function burst(target: Target, turn: number, frameCount: number, random: SeededRandom): Promise<void> {
  const frames = Array.from({ length: frameCount }, (_, n) => {
    const frame = requestOf(turn + n, random);
    return n === frameCount - 1 || random.chance(earlyMutations) ? mutated(frame, random) : frame;
  });
  const socket = open(target, random.below(200));
  const closed = once(socket, 'close');
  socket.setTimeout(20, () => (random.chance(0.5) ? socket.destroy() : socket.resetAndDestroy()));
  socket.once('connect', () => socket.write(Buffer.concat(frames)));
  await closed;
}

async function crowd(
  target: Target,
  count: number,
  begin: (socket: Socket, n: number) => void,
): Promise<readonly Socket[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const socket = open(target, n);
      const closed = once(socket, 'close');
      socket.once('connect', () => begin(socket, n));
      await Promise.race([once(socket, 'connect').catch(() => {}), closed]);
      return socket;
    }),
  );
}

function open({ host, port }: Target, n: number): Socket {
  // From many addresses where the system has them all: a single one runs out of ports, as closed ones rest a minute.
  const localAddress = process.platform === 'linux' ? { localAddress: `127.0.0.${2 + (n % 200)}` } : {};
  const socket = connectSocket({ host, port, allowHalfOpen: true, ...localAddress });
  socket.on('error', () => socket.destroy()); // being cut off is what an attacker expects
  socket.on('end', () => socket.destroy());
  socket.resume();
  return socket;
}

function requestBytes(): Buffer {
  const header = { correlationId: 1, clientId: 'x'.repeat(200) };
  return Buffer.concat(encodeRequest(apis.metadata, 1, header, {}).parts);
}
