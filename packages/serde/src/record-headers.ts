/** A header as it is on the wire. */
export type HeaderEntry = readonly [name: string, value: Uint8Array | null];

/** Record headers: ordered, names may repeat. Immutable. */
export interface RecordHeaders extends Iterable<HeaderEntry> {
  /** The last value of that name (Kafka's `lastHeader`); undefined: there is none. */
  get(name: string): Uint8Array | null | undefined;
  /** The same, as UTF-8; undefined also where the value is null. */
  text(name: string): string | undefined;
  /** All values of that name, in order. */
  getAll(name: string): readonly (Uint8Array | null)[];
}

/** What may be given where headers are written: an object, or pairs where names repeat or values are null. */
export type HeadersInit =
  | Readonly<Record<string, string | Uint8Array>>
  | Iterable<readonly [name: string, value: string | Uint8Array | null]>;

class HeaderList implements RecordHeaders {
  readonly #entries: readonly HeaderEntry[];

  constructor(entries: readonly HeaderEntry[]) {
    this.#entries = entries;
  }

  get(name: string): Uint8Array | null | undefined {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i]!;
      if (entry[0] === name) return entry[1];
    }
    return undefined;
  }

  text(name: string): string | undefined {
    const value = this.get(name);
    return value ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString() : undefined;
  }

  getAll(name: string): readonly (Uint8Array | null)[] {
    return this.#entries.filter((entry) => entry[0] === name).map((entry) => entry[1]);
  }

  [Symbol.iterator](): Iterator<HeaderEntry> {
    return this.#entries[Symbol.iterator]();
  }
}

const none: RecordHeaders = new HeaderList([]);

/** Headers as an immutable list; text is encoded as UTF-8. Without an argument: none. */
export function recordHeaders(init?: HeadersInit): RecordHeaders {
  if (init === undefined) return none;
  if (init instanceof HeaderList) return init;
  const entries = headerEntries(init);
  return entries.length === 0 ? none : new HeaderList(entries);
}

/** The entries to write for `init`, text encoded as UTF-8. */
export function headerEntries(init: HeadersInit): readonly HeaderEntry[] {
  const pairs = Symbol.iterator in init ? init : Object.entries(init);
  const entries: HeaderEntry[] = [];
  for (const [name, value] of pairs) entries.push([name, typeof value === 'string' ? Buffer.from(value) : value]);
  return entries;
}
