import { systemClock, type Clock } from './clock.ts';
import type { FileSystem } from './file-system.ts';
import type { Network } from './network.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { nodeNetwork } from './node-network.ts';
import { systemRandom, type Random } from './random.ts';

/** All that the code needs of the world. One value is handed down from the edge. */
export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: FileSystem;
  readonly network: Network;
}

/** The real world, by `node:`. */
export function nodePlatform(): Platform {
  return { clock: systemClock(), random: systemRandom(), files: nodeFileSystem(), network: nodeNetwork() };
}
