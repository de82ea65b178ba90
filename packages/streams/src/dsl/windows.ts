/** Windows over event time. Grace is mandatory: how long after its end a window still takes late records (0 is an answer). */
import { InvalidPlanError } from '../errors.ts';

/** Milliseconds. */
export function seconds(n: number): number {
  return n * 1000;
}
/** Milliseconds. */
export function minutes(n: number): number {
  return n * 60_000;
}
/** Milliseconds. */
export function hours(n: number): number {
  return n * 3_600_000;
}
/** Milliseconds, of days of 24 hours. */
export function days(n: number): number {
  return n * 86_400_000;
}

/** When windows close. */
export interface Grace {
  /** A record is late for a window once stream time has passed its end by this much. */
  readonly graceMs: number;
  /**
   * Stream time stands still when input stops, and so do windows. With this, a partition that has been read to its end and
   * stayed idle for so long on the wall clock closes its windows. Default: never.
   */
  readonly idleCloseMs?: number | undefined;
}

/** Made by `tumbling` and `hopping`. */
export interface TimeWindows extends Grace {
  readonly kind: 'tumbling' | 'hopping';
  readonly sizeMs: number;
  readonly advanceMs: number;
}

/** `[start, start + size)`, aligned to 1970. Kafka Streams' `TimeWindows`. @throws {InvalidPlanError} a size below 1 ms */
export function tumbling(options: { readonly sizeMs: number } & Grace): TimeWindows {
  return timeWindows('tumbling', options, options.sizeMs);
}

/** Windows of `size` that start every `advance`. @throws {InvalidPlanError} an advance below 1 ms, or beyond the size */
export function hopping(options: { readonly sizeMs: number; readonly advanceMs: number } & Grace): TimeWindows {
  return timeWindows('hopping', options, options.advanceMs);
}

function timeWindows(
  kind: TimeWindows['kind'],
  { sizeMs, graceMs, idleCloseMs }: { readonly sizeMs: number } & Grace,
  advanceMs: number,
): TimeWindows {
  checkMs('sizeMs', sizeMs, 1);
  checkMs('advanceMs', advanceMs, 1);
  checkMs('graceMs', graceMs, 0);
  if (idleCloseMs !== undefined) checkMs('idleCloseMs', idleCloseMs, 0);
  if (advanceMs > sizeMs) {
    throw new InvalidPlanError(
      `Windows of ${sizeMs} ms that start every ${advanceMs} ms leave gaps, and records in them would be lost. ` +
        'Let advanceMs be at most sizeMs.',
      { sizeMs, advanceMs },
    );
  }
  return Object.freeze({ kind, sizeMs, advanceMs, graceMs, idleCloseMs });
}

/** @throws {InvalidPlanError} not a whole number of milliseconds, or below `least` */
export function checkMs(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new InvalidPlanError(`${option} is ${value}: give a whole number of milliseconds, at least ${least}.`, {
    option,
    value,
  });
}

/** Stream-stream join: which of the other side's records match, relative to the left record's time. */
export type JoinWindow = Omit<Grace, 'idleCloseMs'> &
  (
    | {
        /** At most this far apart. */
        readonly withinMs: number;
      }
    | {
        /** The right record at most this much earlier, */
        readonly beforeMs: number;
        /** or this much later. */
        readonly afterMs: number;
      }
  );
