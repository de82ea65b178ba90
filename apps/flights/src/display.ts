/** What the terminal shows: a picture, a table that is drawn over itself, the result. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import type { AirportSummary } from './result.ts';
import { worstAirports } from './result.ts';
import type { AirportDay } from './topics.ts';

export interface Progress {
  readonly sentRows: number;
  readonly processedRows: number;
  readonly totalRows: number;
  readonly recordsPerSecond: number;
  readonly lateRows: number;
}

/** A table that is redrawn in place on a terminal; elsewhere a line now and then, so that a log stays readable. */
export class LiveTable {
  readonly #output: NodeJS.WriteStream;
  #drawnLines = 0;
  #lastPercent = -1;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
  }

  update(progress: Progress, rows: ReadonlyMap<string, AirportDay>): void {
    const percent = Math.floor((100 * progress.processedRows) / progress.totalRows);
    if (!this.#output.isTTY) {
      if (percent < this.#lastPercent + 25) return;
      this.#lastPercent = percent;
      this.#output.write(`${status(progress)}\n`);
      return;
    }
    const busiest = worstAirports(rows.values(), { count: Infinity, minFlights: 1 })
      .toSorted((a, b) => b.flights - a.flights)
      .slice(0, 10);
    const text = `${bar(percent)} ${status(progress)}\n${airportTable(busiest)}\n`;
    this.#output.write(`${this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\x1b[0J` : ''}${text}`);
    this.#drawnLines = text.split('\n').length - 1;
  }
}

export function airportTable(airports: readonly AirportSummary[]): string {
  const table = new Table({
    head: ['airport', 'name', 'days', 'flights', 'mean delay', 'delayed > 15 min'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { airport, name, days, flights, meanDelay, delayedShare } of airports) {
    table.push([airport, name, days, flights, `${meanDelay.toFixed(1)} min`, `${(100 * delayedShare).toFixed(1)} %`]);
  }
  return table.toString();
}

export function heading(text: string): string {
  return `\n${styleText('bold', text)}\n`;
}

function status(progress: Progress): string {
  const { sentRows, processedRows, totalRows, recordsPerSecond, lateRows } = progress;
  const late = lateRows > 0 ? `, ${number(lateRows)} too late` : '';
  return (
    `${number(processedRows)} of ${number(totalRows)} flights, ${number(sentRows - processedRows)} waiting, ` +
    `${number(recordsPerSecond)} records/s${late}`
  );
}

function bar(percent: number): string {
  const filled = Math.round(percent / 4);
  return `[${'█'.repeat(filled)}${'░'.repeat(25 - filled)}] ${String(percent).padStart(3)} %`;
}

/** `12,345`. */
export function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
