/**
 * The real flights that the npm package `vega-datasets` ships (US Bureau of Transportation Statistics, January to June 2001),
 * in the order in which they landed. Columns, not objects: three million flights are 60 MB.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

export interface Flight {
  /** IATA codes. */
  readonly origin: string;
  readonly destination: string;
  /** Planned departure, in milliseconds since 1970. */
  readonly departureMs: number;
  /** Minutes; negative: it was early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
}

export interface Airport {
  readonly iata: string;
  readonly name: string;
  readonly city: string;
  readonly state: string;
}

/** How much of it: the 20,000 of `flights-20k.json`, or the 3,000,000 of `flights-3m.parquet`. */
export type Rows = '20k' | '3m';

export class FlightData {
  readonly #airports: readonly string[];
  readonly #origins: Uint16Array;
  readonly #destinations: Uint16Array;
  readonly #departureMinutes: Uint32Array;
  readonly #delays: Int16Array;
  readonly #distances: Uint16Array;
  /** Row numbers in the order of landing; flights that landed in the same minute keep the file's order. */
  readonly #order: Uint32Array;

  private constructor(columns: Columns) {
    this.#airports = [...columns.codes.keys()];
    this.#origins = columns.origins;
    this.#destinations = columns.destinations;
    this.#departureMinutes = columns.departureMinutes;
    this.#delays = columns.delays;
    this.#distances = columns.distances;
    this.#order = landingOrder(columns);
  }

  /** Reads the file. `onProgress` is told the share that is read, from 0 to 1. */
  static async read(rows: Rows, onProgress: (share: number) => void = () => {}): Promise<FlightData> {
    return new FlightData(rows === '20k' ? await readJson() : await readParquet(onProgress));
  }

  get length(): number {
    return this.#order.length;
  }

  /** The flight that landed as number `index`, counted from 0. */
  at(index: number): Flight {
    const row = this.#order[index]!;
    return {
      origin: this.#airports[this.#origins[row]!]!,
      destination: this.#airports[this.#destinations[row]!]!,
      departureMs: this.#departureMinutes[row]! * 60_000,
      delay: this.#delays[row]!,
      distance: this.#distances[row]!,
    };
  }
}

/** All airports of the United States: every origin of the flights is among them. */
export async function readAirports(): Promise<readonly Airport[]> {
  const [header, ...lines] = (await readFile(dataFile('airports.csv'), 'utf8')).trim().split(/\r?\n/);
  const names = csvFields(header!);
  return lines.map((line) => {
    const fields = csvFields(line);
    const field = (name: string): string => fields[names.indexOf(name)] ?? '';
    return { iata: field('iata'), name: field('name'), city: field('city'), state: field('state') };
  });
}

interface Columns {
  readonly codes: Map<string, number>;
  readonly origins: Uint16Array;
  readonly destinations: Uint16Array;
  readonly departureMinutes: Uint32Array;
  readonly delays: Int16Array;
  readonly distances: Uint16Array;
}

function columnsFor(count: number): Columns {
  return {
    codes: new Map(),
    origins: new Uint16Array(count),
    destinations: new Uint16Array(count),
    departureMinutes: new Uint32Array(count),
    delays: new Int16Array(count),
    distances: new Uint16Array(count),
  };
}

function codeOf(codes: Map<string, number>, airport: string): number {
  let code = codes.get(airport);
  if (code === undefined) codes.set(airport, (code = codes.size));
  return code;
}

async function readJson(): Promise<Columns> {
  interface Row {
    readonly date: string;
    readonly delay: number;
    readonly distance: number;
    readonly origin: string;
    readonly destination: string;
  }
  const rows = JSON.parse(await readFile(dataFile('flights-20k.json'), 'utf8')) as readonly Row[];
  const columns = columnsFor(rows.length);
  rows.forEach((row, index) => {
    columns.origins[index] = codeOf(columns.codes, row.origin);
    columns.destinations[index] = codeOf(columns.codes, row.destination);
    // `2001/01/31 23:59`, taken as UTC.
    columns.departureMinutes[index] = Date.parse(`${row.date.replaceAll('/', '-').replace(' ', 'T')}Z`) / 60_000;
    columns.delays[index] = row.delay;
    columns.distances[index] = row.distance;
  });
  return columns;
}

async function readParquet(onProgress: (share: number) => void): Promise<Columns> {
  const file = await asyncBufferFromFile(dataFile('flights-3m.parquet'));
  const metadata = await parquetMetadataAsync(file);
  const count = Number(metadata.num_rows);
  const columns = columnsFor(count);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    // A row group at a time: read whole, the file takes a gigabyte.
    const rowEnd = rowStart + Number(group.num_rows);
    await parquetRead({
      file,
      metadata,
      compressors,
      rowStart,
      rowEnd,
      onChunk: ({ columnName, columnData, rowStart: at }) => {
        for (let i = 0; i < columnData.length; i++) {
          const value: unknown = columnData[i];
          if (columnName === 'origin') columns.origins[at + i] = codeOf(columns.codes, String(value));
          else if (columnName === 'destination') columns.destinations[at + i] = codeOf(columns.codes, String(value));
          else if (columnName === 'date') columns.departureMinutes[at + i] = (value as Date).getTime() / 60_000;
          else if (columnName === 'delay') columns.delays[at + i] = Number(value);
          else if (columnName === 'distance') columns.distances[at + i] = Number(value);
        }
      },
    });
    rowStart = rowEnd;
    onProgress(rowStart / count);
  }
  return columns;
}

function landingOrder(columns: Columns): Uint32Array {
  const count = columns.delays.length;
  // Minute of landing and row number in one double: both fit 2^53, and a typed array sorts without a comparator.
  const keys = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    keys[row] = (columns.departureMinutes[row]! + columns.delays[row]!) * 0x40_0000 + row;
  }
  keys.sort();
  return Uint32Array.from(keys, (key) => key % 0x40_0000);
}

function dataFile(name: string): string {
  // The package exports its entry point only; the data lies beside it.
  return join(dirname(createRequire(import.meta.url).resolve('vega-datasets')), '..', 'data', name);
}

/** Fields of a line of CSV, quoted ones (RFC 4180) included. */
function csvFields(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
}
