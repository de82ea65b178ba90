import { createHash } from 'node:crypto';
import { isMillraceError } from '@millrace/platform';
import {
  SinkBusyError,
  type Sink,
  type SinkBatch,
  type SinkRecord,
  type SinkTask,
  type SinkWriter,
} from '@millrace/streams';
import { Redis } from 'ioredis';
import { SinkFencedError, SinkPositionLostError, SinkRefusedError } from '../errors.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { packCommands, type RedisCommand } from './command-pack.ts';

export interface RedisSinkOptions<K, V> {
  /** `redis://host:6379/0`, or `rediss://` for TLS. One node. */
  readonly url: string;
  /** `({ score }, user) => [['ZADD', 'top:eu', score, user]]`. An empty list writes nothing. */
  readonly commands: (value: V, key: K) => readonly RedisCommand[];
  /** Under this name positions are kept; a sink of another name starts anew. Default `redis`. */
  readonly name?: string | undefined;
  /** Before the keys of positions. Default `millrace`. */
  readonly prefix?: string | undefined;
}

/** KEYS position; ARGV epoch. Answers 'claimed' and the next offset, or 'fenced' and the stored epoch. */
const claimScript = scriptOf(`
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'next')
if stored[1] and tonumber(stored[1]) > tonumber(ARGV[1]) then return {'fenced', stored[1]} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'next', stored[2] or '0')
return {'claimed', stored[2] or '0'}
`);

/**
 * KEYS position; ARGV epoch, next offset after this, commands, what the owner has written: a target that stands before it has gone
 * back. A script is no transaction: what ran before an error stays. So an
 * error leaves the position at the record that failed, with the number of its commands that ran, and whoever sends the batch again
 * goes on from there. (Out of memory is refused at the first write, with nothing done.)
 */
const writeScript = scriptOf(`
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'next', 'done')
if not stored[1] or not stored[2] then return {'lost'} end
if tonumber(stored[1]) ~= tonumber(ARGV[1]) then return {'fenced', stored[1]} end
local position, done = tonumber(stored[2]), tonumber(stored[3] or '0')
if position < tonumber(ARGV[4]) then return {'lost'} end
if position >= tonumber(ARGV[2]) then return {'replay'} end
local records = cmsgpack.unpack(ARGV[3])
for i = 1, #records, 2 do
  local offset, commands = tonumber(records[i]), records[i + 1]
  if offset >= position then
    local first = 1
    if offset == position then first = done + 1 end
    for j = first, #commands do
      local result = redis.pcall(unpack(commands[j]))
      if type(result) == 'table' and result.err then
        redis.call('HSET', KEYS[1], 'next', records[i], 'done', j - 1)
        return {'failed', records[i], commands[j][1], result.err}
      end
    end
  end
end
redis.call('HSET', KEYS[1], 'next', ARGV[2], 'done', '0')
return {'applied'}
`);

/**
 * Redis as a sink: the commands of each record once, and in order. Commands and position are in one script, so a replay finds its
 * position taken and does nothing, and an owner that was replaced is refused (`FENCED`).
 * @throws {SinkBusyError} while Redis is out of memory, loads, or is busy: the batch comes again
 * @throws {SinkRefusedError} a command that Redis refuses (`WRONGTYPE`, a wrong number of arguments)
 */
export function redisSink<K, V>(options: RedisSinkOptions<K, V>): Sink<K, V> {
  const { name = 'redis' } = options;
  return { name, tier: 'transactional', open: (task) => RedisSinkWriter.open(options, name, task) };
}

class RedisSinkWriter<K, V> implements SinkWriter<K, V> {
  readonly nextOffset: number;
  readonly #redis: Redis;
  readonly #commands: RedisSinkOptions<K, V>['commands'];
  readonly #name: string;
  readonly #task: SinkTask;
  readonly #positionKey: string;
  #writtenOffset: number;
  readonly #abort: () => void;

  private constructor(
    redis: Redis,
    options: RedisSinkOptions<K, V>,
    name: string,
    task: SinkTask,
    positionKey: string,
    nextOffset: number,
    abort: () => void,
  ) {
    this.#redis = redis;
    this.#commands = options.commands;
    this.#name = name;
    this.#task = task;
    this.#positionKey = positionKey;
    this.nextOffset = nextOffset;
    this.#writtenOffset = nextOffset;
    this.#abort = abort;
  }

  static async open<K, V>(options: RedisSinkOptions<K, V>, name: string, task: SinkTask): Promise<SinkWriter<K, V>> {
    const { applicationId, topic, partition, epoch } = task;
    const positionKey = `${options.prefix ?? 'millrace'}:{${applicationId}/${name}/${topic}/${partition}}:position`;
    // Commands wait for a lost connection and are sent again: the scripts may run twice. A primary that was demoted is left.
    const redis = new Redis(options.url, {
      maxRetriesPerRequest: null,
      lazyConnect: true,
      reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    });
    redis.on('error', () => undefined); // attempts go on; without a listener ioredis would throw
    const abort = (): void => redis.disconnect();
    task.signal.addEventListener('abort', abort, { once: true });
    try {
      task.signal.throwIfAborted();
      const claiming = runScript(redis, claimScript, positionKey, [epoch]);
      const [verdict, stored] = await unlessAborted(task.signal, claiming);
      if (verdict === 'fenced') throw new SinkFencedError(name, topic, partition, epoch, Number(stored));
      return new RedisSinkWriter(redis, options, name, task, positionKey, Number(stored), abort);
    } catch (error) {
      task.signal.removeEventListener('abort', abort);
      redis.disconnect();
      throw task.signal.aborted ? task.signal.reason : told(error, name, {});
    }
  }

  async write(batch: SinkBatch<K, V>): Promise<void> {
    const { records } = batch;
    // A script of 5,000 commands holds the server for a few milliseconds. The results of one source record go together.
    for (let from = 0; from < records.length;) {
      let until = Math.min(from + maxRecords, records.length);
      while (until < records.length && records[until]!.offset === records[until - 1]!.offset) until++;
      const nextOffset = until === records.length ? batch.lastOffset + 1 : records[until]!.offset;
      await this.#writePiece(records.slice(from, until), nextOffset);
      this.#writtenOffset = Math.max(this.#writtenOffset, nextOffset);
      from = until;
    }
  }

  async #writePiece(records: readonly SinkRecord<K, V>[], nextOffset: number): Promise<void> {
    const { topic, partition, epoch } = this.#task;
    const packed = packCommands(this.#name, records, this.#commands);
    const args = [epoch, nextOffset, packed, this.#writtenOffset];
    let reply: readonly string[];
    try {
      const writing = runScript(this.#redis, writeScript, this.#positionKey, args);
      reply = await unlessAborted(this.#task.signal, writing);
    } catch (error) {
      throw this.#task.signal.aborted ? this.#task.signal.reason : told(error, this.#name, { nextOffset });
    }
    const [verdict, detail, command, reason] = reply;
    if (verdict === 'fenced') throw new SinkFencedError(this.#name, topic, partition, epoch, Number(detail));
    if (verdict === 'lost') throw new SinkPositionLostError(this.#name, topic, partition);
    if (verdict === 'failed') {
      throw new SinkRefusedError(this.#name, `Redis says of ${command}: ${reason}`, {
        offset: Number(detail),
        command,
      });
    }
  }

  /** Each `write` was answered by Redis; how durable that is is Redis's own setting (`appendfsync`). */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#task.signal.removeEventListener('abort', this.#abort);
    this.#redis.disconnect();
    return Promise.resolve();
  }
}

const maxRecords = 5000;
const passing = /^(OOM|BUSY|LOADING|TRYAGAIN|MASTERDOWN|CLUSTERDOWN|READONLY|NOREPLICAS|MISCONF)\b/;

/** Says whether it is worth trying again. */
function told(error: unknown, sink: string, context: Readonly<Record<string, unknown>>): unknown {
  if (isMillraceError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return passing.test(reason)
    ? new SinkBusyError({ retryAfterMs: 250, cause: error })
    : new SinkRefusedError(sink, `Redis says: ${reason}`, context, error);
}

async function runScript(
  redis: Redis,
  { source, sha }: Script,
  key: string,
  args: readonly (string | number | Buffer)[],
): Promise<readonly string[]> {
  try {
    return (await redis.evalsha(sha, 1, key, ...args)) as readonly string[];
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return (await redis.eval(source, 1, key, ...args)) as readonly string[];
  }
}

interface Script {
  readonly source: string;
  readonly sha: string;
}

function scriptOf(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}
