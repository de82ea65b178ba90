/** Puts the bank together: broker, pipeline, read models, HTTP. */
import { Broker } from '@millrace/broker';
import { Client, type Cluster } from '@millrace/client';
import { openCommandBus, processTopic } from '@millrace/eventsourcing';
import { string } from '@millrace/serde';
import { openView, redis, type RedisStoreOptions } from '@millrace/stores/redis';
import { Streams } from '@millrace/streams';
import { account } from './account.ts';
import { balances, deadLetters, topology, transfers } from './bank.ts';
import { balance, transferRow, type Balance, type Transfer } from './contracts.ts';
import { createServer, type Rows } from './http.ts';
import { transfer } from './transfer.ts';

export interface ServiceOptions {
  /** A broker elsewhere; undefined: one in this process, with its data in `dataDirectory`. */
  readonly broker: string | undefined;
  /** `'memory'` keeps nothing. */
  readonly dataDirectory: string;
  /** The embedded broker's; 0: any free one. */
  readonly brokerPort: number;
  /** `'memory'`, or Redis as a URL. */
  readonly store: string;
  /** 0: any free one. */
  readonly httpPort: number;
  /** Hears of what the bank waits for: Redis, a broker. Default: silent. */
  readonly logger?: RedisStoreOptions['logger'];
}

export interface Service extends AsyncDisposable {
  readonly url: string;
  readonly brokerAddress: string;
  /** Rejects when the pipeline has failed. */
  readonly done: Promise<void>;
}

/** Resolves when requests are answered. What was opened is closed again where something fails. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { store, logger } = options;
  const opened: AsyncDisposable[] = [];
  const own = <T extends AsyncDisposable>(made: T): T => {
    opened.push(made);
    return made;
  };
  const closeAll = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const made of opened.toReversed()) {
      // What cannot be closed keeps nothing else open.
      await made[Symbol.asyncDispose]().then(undefined, (error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  };
  try {
    const broker =
      options.broker === undefined
        ? own(await Broker.open({ data: options.dataDirectory, listen: { port: options.brokerPort } }))
        : undefined;
    const brokerAddress = options.broker ?? broker!.address;
    const cluster: Cluster = broker ?? brokerAddress;
    const client = own(await Client.connect(cluster, { clientId: 'bank' }));
    await client.admin.createTopics([account.commands, account.events, processTopic(transfer), deadLetters]);

    const app = own(
      Streams.start(topology, {
        cluster,
        commit: 'eager', // a reply is seen when it is committed: it should not wait for an interval
        logger,
        ...(store === 'memory' ? {} : { store: redis({ url: store, logger }) }),
      }),
    );
    await app.running;
    const bus = own(await openCommandBus(client));
    const http = createServer({ bus, ...(await openViews(app, store, own)) });
    own({ [Symbol.asyncDispose]: () => http.close() });
    const url = await http.listen({ port: options.httpPort, host: '127.0.0.1' });
    return { url, brokerAddress, done: app.done, [Symbol.asyncDispose]: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** In Redis any instance can answer for every account; in memory an instance knows its own share. */
async function openViews(
  app: Streams,
  store: string,
  own: <T extends AsyncDisposable>(made: T) => T,
): Promise<{ readonly balances: Rows<Balance>; readonly transfers: Rows<Transfer> }> {
  if (store === 'memory') return { balances: app.view(balances), transfers: app.view(transfers) };
  const at = { url: store, applicationId: topology.applicationId, key: string };
  return {
    balances: own(await openView({ ...at, store: balances.storeName, value: balance })),
    transfers: own(await openView({ ...at, store: transfers.storeName, value: transferRow })),
  };
}
