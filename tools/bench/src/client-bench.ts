import type { BenchOptions } from './broker-bench.ts';
import { startBroker } from './broker-process.ts';
import { runChild } from './child.ts';
import type { ClientLoad } from './load/client-load.child.ts';
import type { Figure } from './report.ts';

/** Our client and kafkajs, in turn, against the same broker. */
export async function benchClient(options: BenchOptions): Promise<readonly Figure[]> {
  const count = options.isSmoke ? 5000 : 500_000;
  const values: Record<ClientLoad['library'], Record<ClientLoad['task'], number[]>> = {
    millrace: { produce: [], consume: [] },
    kafkajs: { produce: [], consume: [] },
  };
  for (let run = 1; run <= options.runs; run++) {
    for (const library of ['millrace', 'kafkajs'] as const) {
      options.onStep?.(`run ${run} of ${options.runs}: ${library}`);
      await using broker = await startBroker();
      for (const task of ['produce', 'consume'] as const) {
        const result = await runChild<{ seconds: number; count: number }>('#client-load', {
          library,
          task,
          address: broker.address,
          topic: 'records',
          numPartitions: 8,
          count,
          valueBytes: 200,
        } satisfies ClientLoad);
        values[library][task].push(result.count / result.seconds);
      }
    }
  }
  return (['produce', 'consume'] as const).map((task) => ({
    name: `${task}, records of 200 bytes`,
    unit: 'records/s',
    values: values.millrace[task],
    peer: { name: 'kafkajs 2.2.4', values: values.kafkajs[task] },
  }));
}
