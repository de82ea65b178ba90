import { UsageError } from './errors.ts';

/** `2026-01-31T12:00Z`, or milliseconds since 1970. */
export function timeOf(text: string, option: string): { readonly timestampMs: number } {
  const timestampMs = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(timestampMs)) {
    throw new UsageError(`${option} is earliest, latest, or a time such as 2026-01-31T12:00Z, not ${text}`);
  }
  return { timestampMs };
}
