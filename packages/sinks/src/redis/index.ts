/** `@millrace/sinks/redis`: Redis commands and position in one script. Needs the optional peer `ioredis`. */
export { SinkFencedError, SinkPositionLostError, SinkRefusedError } from '../errors.ts';
export type { RedisCommand } from './command-pack.ts';
export { redisSink, type RedisSinkOptions } from './redis-sink.ts';
