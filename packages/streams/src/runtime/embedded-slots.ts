/**
 * Numbers for the instances of an app on an embedded broker. Only this process can reach such a broker in-process, so a number
 * that is free here is free at all, and the same numbers come again after a crash. So a new run takes up at once what the last
 * one has left: its place in the group, where it is a static member, and its open transaction, which it ends. Neither has to
 * wait for a timeout.
 */
const slots = new WeakMap<object, Map<string, Set<number>>>();

/** The least number that no other instance of the app has. `release` when it is closed. */
export function takeSlot(
  endpoint: object,
  applicationId: string,
): { readonly slot: number; readonly release: () => void } {
  const byApp = slots.get(endpoint) ?? new Map<string, Set<number>>();
  slots.set(endpoint, byApp);
  const taken = byApp.get(applicationId) ?? new Set<number>();
  byApp.set(applicationId, taken);
  let slot = 0;
  while (taken.has(slot)) slot++;
  taken.add(slot);
  return { slot, release: () => void taken.delete(slot) };
}
