import type { ClusterClient } from './cluster-client.ts';

/** Waits for `work`, but no longer than this. Its failure is its caller's to know. */
export async function withTimeout(cluster: ClusterClient, work: Promise<void>, timeoutMs: number): Promise<void> {
  let cancel: (() => void) | undefined;
  const timeout = new Promise<void>((resolve) => {
    cancel = cluster.platform.clock.after(timeoutMs, resolve);
  });
  try {
    await Promise.race([work, timeout]);
  } finally {
    cancel?.();
  }
}
