export { SeededRandom } from './seeded-random.ts';
export { SimulatedNetwork, type SimulatedNetworkOptions } from './simulated-network.ts';
export { VirtualClock } from './virtual-clock.ts';
