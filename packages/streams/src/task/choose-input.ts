/** Records of one input that wait for the task; the head is the next. */
export interface WaitingInput {
  readonly size: number;
  /** Of the head, if there is one. */
  readonly timestampMs: number;
}

/**
 * The input whose head has the smallest timestamp, of equal ones the first: so inputs meet in the order of their times as far as
 * they are there. −1: none has a record. Whether to wait for those that have none is the caller's to say.
 */
export function chooseInput(inputs: readonly WaitingInput[]): number {
  let chosen = -1;
  let leastMs = Infinity;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!;
    if (input.size === 0) continue;
    if (chosen < 0 || input.timestampMs < leastMs) {
      chosen = i;
      leastMs = input.timestampMs;
    }
  }
  return chosen;
}
