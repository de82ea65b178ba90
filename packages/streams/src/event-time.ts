/** @throws {RangeError} what cannot be an event time */
export function checkedTime(timestampMs: number): number {
  if (Number.isSafeInteger(timestampMs) && timestampMs >= 0) return timestampMs;
  throw new RangeError(`The event time is ${String(timestampMs)}: give whole milliseconds since 1970, at least 0.`);
}
