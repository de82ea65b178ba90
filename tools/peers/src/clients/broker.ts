import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker } from '@millrace/broker';

/** A broker on a real disk and a free port, gone with its directory at the end of the block. */
export interface TestBroker extends AsyncDisposable {
  readonly address: string;
  readonly dataDirectory: string;
}

export async function startTestBroker(
  config: Readonly<Record<string, string | number | boolean>> = {},
): Promise<TestBroker> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-peers-'));
  const broker = await Broker.open({ data: dataDirectory, listen: { port: 0 }, config });
  return {
    address: broker.address,
    dataDirectory,
    async [Symbol.asyncDispose]() {
      await broker.close();
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}
