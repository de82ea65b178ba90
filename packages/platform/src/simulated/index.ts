export { SeededRandom } from './seeded-random.ts';
export { SimulatedFileSystem, type DiskOperation, type SimulatedFileSystemOptions } from './simulated-file-system.ts';
export { SimulatedNetwork, type SimulatedNetworkOptions } from './simulated-network.ts';
export { VirtualClock } from './virtual-clock.ts';
