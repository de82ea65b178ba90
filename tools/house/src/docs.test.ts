import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const list = (folder: string): string[] =>
  readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`);

const packages = readdirSync(new URL('packages', root));
const pages = [
  'README.md',
  'CHANGELOG.md',
  ...[...list('docs'), ...packages.flatMap((name) => pagesOf(name))].filter((path) => path.endsWith('.md')),
];

function pagesOf(name: string): string[] {
  const docs = existsSync(new URL(`packages/${name}/docs`, root)) ? list(`packages/${name}/docs`) : [];
  return [`packages/${name}/README.md`, ...docs];
}

/** A page's text without its code, in which brackets and hashes mean something else. */
function proseOf(page: string): string {
  return read(page).replaceAll(/^(```+).*?^\1$/gms, '');
}

/** GitHub's rule: lower case, no punctuation, spaces to hyphens. */
function anchorsOf(page: string): Set<string> {
  return new Set(
    [...proseOf(page).matchAll(/^#{1,6} (.+)$/gm)].map((match) =>
      match[1]!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe.each(pages)('%s', (page) => {
  it('links to files and headings that are there', () => {
    const dead = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1]!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [path = '', anchor] = target.split('#');
        const file = new URL(path, new URL(page, root));
        const linked = path === '' ? page : file.href.slice(root.href.length);
        if (path !== '' && !existsSync(file)) return true;
        return anchor !== undefined && !anchorsOf(linked).has(anchor);
      });
    expect(dead).toEqual([]);
  });

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
    const named = [...read(page).matchAll(/npm run ([a-z][a-z:-]*)/g)].map((match) => match[1]!);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  const headings = [...read('docs/errors.md').matchAll(/^### ([A-Z_]+)$/gm)].map((match) => match[1]!);
  const codes = packages.flatMap((name) =>
    list(`packages/${name}/src`)
      .filter((path) => path.endsWith('.ts') && !/\.test(-d)?\.ts$/.test(path))
      .flatMap((path) => [...read(path).matchAll(/^ +(?:override )?readonly code = '([A-Z_]+)';$/gm)])
      .map((match) => match[1]!),
  );

  it('has a heading for each code that an error of ours can have, and for no other', () => {
    expect(headings.toSorted()).toEqual([...new Set(codes)].toSorted());
  });
});

/** Whole, in a block of its own. */
const shows = (page: string, example: string): boolean => read(page).includes(`\n${read(example)}\`\`\`\n`);

describe.each(packages)('the README of packages/%s', (name) => {
  const page = `packages/${name}/README.md`;
  const examples = list(`packages/${name}/examples`).filter((path) => /\.(m?ts|mjs)$/.test(path));

  it('shows an example as it stands in its file, which a test runs', () => {
    expect(
      examples.filter((example) => shows(page, example)),
      `one of ${examples.join(', ')}`,
    ).not.toEqual([]);
  });

  it('shows or names every example', () => {
    const programs = examples.filter((path) => path.split('/').length === 4);
    expect(programs.filter((path) => !shows(page, path) && !read(page).includes(path.split('/').at(-1)!))).toEqual([]);
  });
});

describe('README.md', () => {
  it("shows the command line's examples as they stand in their files", () => {
    const examples = list('packages/cli/examples');
    expect(examples.filter((example) => !shows('README.md', example))).toEqual([]);
  });

  it('links to every package and every page of docs', () => {
    const targets = [...packages.map((name) => `packages/${name}/README.md`), ...list('docs')];
    expect(targets.filter((target) => !read('README.md').includes(`](${target})`))).toEqual([]);
  });
});
