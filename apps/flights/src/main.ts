/** The sample pipeline: real flights in, delays per airport and day out, exactly once, on a broker in this process. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Broker } from '@millrace/broker';
import { Client, isMillraceError, type Cluster } from '@millrace/client';
import { Streams } from '@millrace/streams';
import { SingleBar } from 'cli-progress';
import { airportTable, heading, LiveTable, number } from './display.ts';
import { createTopics, feedAirports, feedFlights, MismatchedFeedError } from './feed.ts';
import { FlightData, readAirports } from './flight-data.ts';
import { readOptions, usage, UsageError, type Options } from './options.ts';
import { topology } from './pipeline.ts';
import { processedCount, readResult, waitingCount, worstAirports } from './result.ts';
import { airportDelays, lateFlights, type AirportDay } from './topics.ts';

async function main(options: Options): Promise<void> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);

  await using broker = options.broker === undefined ? await openBroker(options) : undefined;
  const address = options.broker ?? broker!.address;
  const cluster: Cluster = broker ?? address;
  console.log(`${broker ? `broker in this process, data in ${options.dataDirectory}, ` : ''}listening on ${address}`);

  const data = await readData(options);
  await using client = await Client.connect(cluster, { clientId: 'flights' });
  await createTopics(client);
  await feedAirports(client, await readAirports());

  console.log(heading('The pipeline'));
  console.log(topology.describe('text'));

  const startedAtMs = performance.now();
  const before = await processedCount(client, topology.applicationId);
  if (before > 0) console.log(`${number(before)} flights were processed before: going on from there`);
  console.log(heading(`${number(data.length)} flights, in the order in which they landed`));
  {
    await using app = Streams.start(topology, {
      cluster,
      groupInstanceId: options.instance,
      signal: stopping.signal,
    });
    await app.running;
    await run(app, client, data, options, stopping);
  }
  if (stopping.signal.aborted) return;

  const processed = (await processedCount(client, topology.applicationId)) - before;
  const seconds = (performance.now() - startedAtMs) / 1000;
  const result = await readResult(client);
  console.log(heading('The ten worst airports, of those with at least 50 flights'));
  console.log(airportTable(worstAirports(result.values(), { count: 10, minFlights: 50 })));
  console.log(
    `\n${number(result.size)} airport days from ${number(data.length)} flights. This run: ${number(processed)} flights in ` +
      `${seconds.toFixed(1)} s, ${number(processed / seconds)} records/s, exactly once.`,
  );
  console.log(heading('Look at the topics'));
  console.log(`  kcat -b ${address} -L`);
  console.log(`  kcat -b ${address} -C -e -q -t ${airportDelays.name} -f '%k  %s\\n' | tail`);
  console.log(`  kcat -b ${address} -C -e -q -t ${lateFlights.name} -X isolation.level=read_committed`);
  if (options.exit) return;
  console.log('\nCtrl-C stops the broker.');
  if (!stopping.signal.aborted) await once(stopping.signal, 'abort');
}

/** Feeds and watches until every flight is processed, or the run is stopped. */
async function run(
  app: Streams,
  client: Client,
  data: FlightData,
  options: Options,
  stopping: AbortController,
): Promise<void> {
  const live = new LiveTable(process.stdout);
  const rows = new Map<string, AirportDay>();
  const watching = new AbortController();
  const unwatch = (): void => watching.abort();
  stopping.signal.addEventListener('abort', unwatch);
  let sentRows = 0;
  let lateRows = 0;
  const metrics = app.metrics$.subscribe(({ lateRecords }) => (lateRows = lateRecords));
  const feeding = feedFlights(client, data, {
    signal: stopping.signal,
    rowsPerSecond: options.rowsPerSecond,
    onProgress: (rowCount) => void (sentRows = rowCount),
  });
  const reading = process.stdout.isTTY ? watchResult(client, rows, watching.signal) : Promise.resolve();

  let failure: unknown;
  const failed = (error: unknown): void => {
    failure ??= error;
    watching.abort();
  };
  reading.catch(failed);
  app.done.catch(failed);

  let isFed = false;
  feeding.then(() => (isFed = true)).catch(failed);
  let processedRows = await processedCount(client, topology.applicationId);
  let lastMs = performance.now();
  let lastWaiting = -1;
  while (!watching.signal.aborted) {
    await pause(250);
    const lastCount = processedRows;
    const waiting = await waitingCount(client, topology.applicationId);
    // Where it stands still it may be done: only then is it worth counting exactly.
    processedRows =
      isFed && waiting === lastWaiting
        ? await processedCount(client, topology.applicationId)
        : Math.max(processedRows, sentRows - waiting);
    lastWaiting = waiting;
    const nowMs = performance.now();
    live.update(
      {
        sentRows,
        processedRows,
        totalRows: data.length,
        recordsPerSecond: (1000 * (processedRows - lastCount)) / (nowMs - lastMs),
        lateRows,
      },
      rows,
    );
    lastMs = nowMs;
    if (isFed && processedRows === data.length) break;
  }
  watching.abort();
  metrics.unsubscribe();
  stopping.signal.removeEventListener('abort', unwatch);
  if (failure !== undefined) throw failure;
  await Promise.all([feeding, reading]);
}

async function watchResult(client: Client, rows: Map<string, AirportDay>, signal: AbortSignal): Promise<void> {
  for await (const { key, value } of client.records(airportDelays, { signal })) rows.set(key, value);
}

async function openBroker(options: Options): Promise<Broker> {
  for (let port = options.port ?? 9092; ; port++) {
    try {
      return await Broker.open({ data: options.dataDirectory, listen: { port } });
    } catch (error) {
      if (options.port !== undefined || !isMillraceError(error, 'PORT_IN_USE') || port >= 9192) throw error;
    }
  }
}

async function readData(options: Options): Promise<FlightData> {
  if (options.rows === '20k' || !process.stdout.isTTY) return await FlightData.read(options.rows);
  const bar = new SingleBar({ format: 'reading flights-3m.parquet [{bar}] {percentage} %', hideCursor: true });
  bar.start(1000, 0);
  const data = await FlightData.read(options.rows, (share) => bar.update(Math.round(share * 1000)));
  bar.stop();
  return data;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') console.log(usage);
  else await main(options);
} catch (error) {
  const isExpected = error instanceof UsageError || error instanceof MismatchedFeedError || isMillraceError(error);
  console.error(isExpected ? `${(error as Error).name}: ${(error as Error).message}` : error);
  if (error instanceof UsageError) console.error(`\n${usage}`);
  process.exitCode = 1;
}
