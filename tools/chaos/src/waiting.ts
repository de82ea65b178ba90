export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks until it is so; what is asked may fail meanwhile, as the broker may be away. @throws after `timeoutMs` */
export async function until(what: string, isTrue: () => Promise<boolean>, timeoutMs = 120_000): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  let failure: unknown;
  for (;;) {
    try {
      if (await isTrue()) return;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > untilMs) {
      throw new Error(`gave up after ${timeoutMs / 1000} s: ${what}`, { cause: failure });
    }
    await sleep(200);
  }
}
