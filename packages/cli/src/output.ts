import Table from 'cli-table3';

/** What a command prints: tables for people, with `--json` one object a line for programs. */
export interface Output {
  /** Rows of one shape. A column a property, in the order of `columns`. */
  rows(rows: readonly Row[], columns: readonly string[]): void;
  /** One object: its properties below each other. */
  item(item: Row): void;
  /** A sentence for people only. */
  say(text: string): void;
}

export type Row = Readonly<Record<string, string | number | boolean | null | undefined>>;

export function output(
  options: { readonly json?: boolean | undefined },
  write: (text: string) => void = writeLine,
): Output {
  if (options.json) {
    return {
      rows: (rows) => rows.forEach((row) => write(JSON.stringify(row))),
      item: (item) => write(JSON.stringify(item)),
      say: () => {},
    };
  }
  return {
    rows(rows, columns) {
      if (rows.length === 0) return write('none');
      const isNumber = columns.map((column) => rows.every((row) => typeof row[column] === 'number'));
      const table = new Table({
        head: columns.map(heading),
        colAligns: isNumber.map((number) => (number ? 'right' : 'left')),
        style: { head: [], border: [] },
        chars: plain,
      });
      for (const row of rows) table.push(columns.map((column) => cell(row[column])));
      write(table.toString());
    },
    item(item) {
      const width = Math.max(...Object.keys(item).map((name) => heading(name).length));
      for (const [name, value] of Object.entries(item)) write(`${heading(name).padEnd(width)}  ${cell(value)}`);
    },
    say: write,
  };
}

function writeLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** `logEndOffset` → `log end offset`. */
function heading(name: string): string {
  return name.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}

function cell(value: Row[string]): string {
  return value === null || value === undefined
    ? '-'
    : typeof value === 'number'
      ? value.toLocaleString('en-US')
      : String(value);
}

// Columns apart by two spaces: what is printed can be cut with awk.
const plain = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: ' ',
};
