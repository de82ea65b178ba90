import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Which packages of ours each package may import: the table of docs/architecture.md. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  platform: [],
  protocol: ['platform'],
  log: ['platform', 'protocol'],
  broker: ['platform', 'protocol', 'log'],
  serde: ['platform'],
  client: ['platform', 'protocol', 'serde'],
  streams: ['platform', 'client', 'serde'],
  stores: ['platform', 'streams', 'serde', 'client'],
  sinks: ['platform', 'streams', 'serde'],
  eventsourcing: ['platform', 'streams', 'stores', 'serde', 'client'],
  cli: ['platform', 'protocol', 'log', 'broker', 'serde', 'client', 'streams', 'stores', 'sinks', 'eventsourcing'],
};

/** What only the edges may touch; everything else takes it as a parameter. */
const worldly =
  /^import (?!type)[^;]*from 'node:(fs|fs\/promises|net|tls|dgram|http|https|timers|timers\/promises|perf_hooks|os|child_process)'/gm;

const root = new URL('../../../', import.meta.url);
const json = (path: string): Record<string, any> =>
  JSON.parse(readFileSync(new URL(path, root), 'utf8')) as Record<string, any>;
const ours = (names: object = {}): string[] =>
  Object.keys(names)
    .filter((name) => name.startsWith('@millrace/'))
    .map((name) => name.slice('@millrace/'.length))
    .toSorted();

function sources(folder: string): { readonly path: string; readonly text: string }[] {
  const base = new URL(`${folder}/`, root);
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/\.test(-d)?\.ts$/.test(path))
    .map((path) => ({ path: `${folder}/${path}`, text: readFileSync(new URL(path, base), 'utf8') }));
}

describe.each(readdirSync(new URL('packages', root)))('packages/%s', (name) => {
  const manifest = json(`packages/${name}/package.json`);
  const may = mayImport[name];

  it('depends only on what the table allows', () => {
    expect(may, 'a row in the table').toBeDefined();
    const all = ours({ ...manifest['dependencies'], ...manifest['peerDependencies'] });
    expect(all.filter((dependency) => !may!.includes(dependency))).toEqual([]);
  });

  it('imports only what it depends on', () => {
    const allowed = [name, ...ours({ ...manifest['dependencies'], ...manifest['peerDependencies'] })];
    const foreign = sources(`packages/${name}/src`).flatMap(({ path, text }) =>
      [...text.matchAll(/(?:from|import\()\s*'@millrace\/([a-z]+)/g)]
        .filter((match) => !allowed.includes(match[1]!))
        .map((match) => `${path}: @millrace/${match[1]}`),
    );
    expect(foreign).toEqual([]);
  });

  it('references exactly its dependencies in tsconfig.lib.json', () => {
    const references = (json(`packages/${name}/tsconfig.lib.json`)['references'] as { path: string }[]).map(
      ({ path }) => path.split('/').at(-2)!,
    );
    expect(references.toSorted()).toEqual(ours(manifest['dependencies']));
  });

  it('has the source, the types and the code of every entry point, in that order', () => {
    for (const [entry, target] of Object.entries(manifest['exports'] as Record<string, Record<string, string>>)) {
      if (entry === './package.json') continue;
      expect(Object.keys(target), entry).toEqual(['@millrace/source', 'types', 'default']);
      for (const path of Object.values(target)) {
        expect(existsSync(new URL(`packages/${name}/${path}`, root)), path).toBe(true);
      }
    }
  });

  it('exports names one by one', () => {
    const stars = sources(`packages/${name}/src`).filter(
      ({ path, text }) => path.endsWith('/index.ts') && /^export \* from/m.test(text),
    );
    expect(stars.map(({ path }) => path)).toEqual([]);
  });

  it('has a README and an example that a test runs', () => {
    expect(existsSync(new URL(`packages/${name}/README.md`, root))).toBe(true);
    if (name === 'cli') return; // its examples are command lines, which its own tests run
    expect(readdirSync(new URL(`packages/${name}/examples`, root)).filter((file) => file.endsWith('.ts'))).not.toEqual(
      [],
    );
  });

  it('takes the world as a parameter', () => {
    if (name === 'platform' || name === 'cli') return;
    const found = sources(`packages/${name}/src`).flatMap(({ path, text }) =>
      [...text.matchAll(worldly)].map((match) => `${path}: node:${match[1]}`),
    );
    expect(found).toEqual([]);
  });
});

describe('the tree', () => {
  const everything = ['packages', 'apps', 'tools'].flatMap((area) =>
    readdirSync(new URL(area, root)).flatMap((name) => sources(`${area}/${name}/src`)),
  );

  it('leaves nothing for later', () => {
    const marks = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);
    expect(everything.filter(({ text }) => marks.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('names no path of the machine it was written on', () => {
    expect(everything.filter(({ text }) => /['"`](\/work\/|\/root\/)/.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
