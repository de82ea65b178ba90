import { Broker } from '@millrace/broker';
import { silentLogger } from '@millrace/platform';
import { SimulatedProcess } from './simulated-process.ts';
import { brokerAddress, type World } from './world.ts';

/** The broker of the simulation, in one process after another, and whatever it called an error. */
export class BrokerUnderTest {
  readonly complaints: string[] = [];
  readonly #world: World;
  #process: SimulatedProcess | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  async start(): Promise<void> {
    const process = new SimulatedProcess(this.#world.platform);
    this.#process = process;
    await Broker.open({
      data: '/data',
      listen: brokerAddress,
      platform: process.platform,
      config: {
        'log.cleaner.backoff.ms': 500,
        'group.min.session.timeout.ms': 1000,
        'offsets.topic.num.partitions': 2,
        'transaction.state.log.num.partitions': 2,
        'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
      },
      // No fault of the disk but power loss is in the script: whatever the broker calls an error is one of ours.
      logger: { ...silentLogger, error: (context, message) => this.#complain(process, message, context) },
      onFailure: (error) => this.#complain(process, 'the broker failed', { error }),
    });
  }

  /** It dies, and whatever goes with it; after a while there is another on the same disk. */
  async restart(dies: () => void, name: string): Promise<void> {
    this.#world.count(name);
    this.#process!.kill();
    dies();
    await this.#world.sleep(this.#world.random.below(500));
    await this.start();
  }

  #complain(process: SimulatedProcess, message: string, context: object): void {
    if (!process.isAlive) return;
    const { error } = context as { readonly error?: Error };
    this.complaints.push(
      `the broker says: ${message}${error === undefined ? '' : `: ${error.stack ?? error.message}`}`,
    );
  }
}
