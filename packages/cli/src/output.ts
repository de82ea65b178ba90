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
      const lines = rows.map((row) => columns.map((column) => cell(row[column])));
      const table = new Table({
        head: columns.map(heading),
        colAligns: isNumber.map((number) => (number ? 'right' : 'left')),
        style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
        chars: plain,
        colWidths: widths([columns.map(heading), ...lines]),
        wordWrap: true,
        wrapOnWordBoundary: false,
      });
      table.push(...lines);
      write(table.toString().replaceAll(/ +$/gm, ''));
    },
    item(item) {
      const width = Math.max(...Object.keys(item).map((name) => heading(name).length));
      for (const [name, value] of Object.entries(item)) write(`${heading(name).padEnd(width)}  ${cell(value)}`);
    },
    say: write,
  };
}

/** As wide as what they hold; where that is more than a hundred in all, the widest column is folded. */
function widths(lines: readonly (readonly string[])[]): number[] {
  const all = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const widest = all.indexOf(Math.max(...all));
  const excess = all.reduce((sum, width) => sum + width + gap.length, -gap.length) - maxColumns;
  if (excess > 0) all[widest] = Math.max(minFoldedColumns, all[widest]! - excess);
  return all;
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

const maxColumns = 100;
const minFoldedColumns = 10;
const gap = '  ';

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
  middle: gap,
};
