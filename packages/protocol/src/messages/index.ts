/** Every API we know. One line an API, in the order of their keys. */
export { heartbeat } from './12-heartbeat.ts';
