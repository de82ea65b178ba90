/**
 * What a node passes records to. Streams give key and value; tables give a key, its new value and the one that was passed on
 * before it (undefined: there is none).
 */
export interface Receiver {
  receive(key: unknown, value: unknown, oldValue: unknown): void;
}

/** All of `receivers`, one after the other. */
export function fanOut(receivers: readonly Receiver[]): Receiver {
  if (receivers.length === 1) return receivers[0]!;
  if (receivers.length === 0) return nowhere;
  return {
    receive(key, value, oldValue) {
      for (let i = 0; i < receivers.length; i++) receivers[i]!.receive(key, value, oldValue);
    },
  };
}

const nowhere: Receiver = { receive() {} };
