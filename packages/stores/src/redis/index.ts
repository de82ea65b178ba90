/** `@millrace/stores/redis`: state in Redis 7 or Valkey, where other services may read it. Needs the optional peer `ioredis`. */
export { redis, type RedisConnection, type RedisStoreOptions } from './backend.ts';
export {
  ClosedError,
  EvictionEnabledError,
  RedisError,
  StoreFencedError,
  StoreNotFoundError,
  StoreStaleError,
  ViewTimeoutError,
} from './errors.ts';
export { openView, type RedisAnswer, type RedisView, type RedisViewOptions } from './view.ts';
