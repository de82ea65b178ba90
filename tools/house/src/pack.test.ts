import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/**
 * Each package packs, installs alone into an empty project, compiles there against its published types, and runs its
 * README's example. What an example needs of services, tools/peers runs it with.
 */
const needService: readonly string[] = ['stores', 'sinks'];

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);
const packages = readdirSync(join(root, 'packages')).filter((name) => name !== 'cli');
const tarballs = new Map<string, string>();
let directory: string;

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

function manifestOf(name: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as Manifest;
}

/** A package and all of ours that it needs: nothing is on a registry yet, so they are installed from their tarballs. */
function closure(name: string, found: Set<string> = new Set()): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  for (const dependency of Object.keys(manifestOf(name).dependencies ?? {})) {
    if (dependency.startsWith('@millrace/')) closure(dependency.slice('@millrace/'.length), found);
  }
  return found;
}

/** What the example imports beyond the package's own dependencies: its peers, and packages of ours that it names. */
function importsOf(files: readonly string[]): { readonly ours: string[]; readonly others: string[] } {
  const names = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/from '((?:@[^/']+\/)?[^/'.][^/']*)/g)].map((match) => match[1]!),
  );
  const external = [...new Set(names)].filter((name) => !name.startsWith('node:'));
  return {
    ours: external.filter((name) => name.startsWith('@millrace/')).map((name) => name.slice('@millrace/'.length)),
    others: external.filter((name) => !name.startsWith('@millrace/')),
  };
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-pack-'));
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--pack-destination', directory, ...packages.map((name) => `./packages/${name}`)],
    { cwd: root, maxBuffer: 64 << 20 },
  );
  for (const { name, filename } of JSON.parse(stdout) as { name: string; filename: string }[]) {
    tarballs.set(name.slice('@millrace/'.length), join(directory, filename));
  }
}, 120_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each(packages)('packages/%s', (name) => {
  it('installs alone, compiles and runs its example', { timeout: 180_000 }, async () => {
    const project = join(directory, `use-${name}`);
    const examples = join(root, 'packages', name, 'examples');
    const files = readdirSync(examples).filter((file) => file.endsWith('.ts'));
    // An example may have modules of its own in a folder: they are not run by themselves, but what they import is needed.
    const modules = readdirSync(examples, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const imported = importsOf(modules.map((file) => join(examples, file)));
    const needed = new Set<string>();
    for (const one of [name, ...imported.ours]) closure(one, needed);
    const manifest = manifestOf(name);
    const versions = { ...manifest.devDependencies, ...manifest.peerDependencies, ...manifest.dependencies };

    mkdirSync(project);
    writeFileSync(
      join(project, 'package.json'),
      JSON.stringify({
        name: 'user',
        private: true,
        type: 'module',
        dependencies: {
          ...Object.fromEntries([...needed].map((one) => [`@millrace/${one}`, `file:${tarballs.get(one)!}`])),
          ...Object.fromEntries(imported.others.map((other) => [other, versions[other] ?? '*'])),
        },
      }),
    );
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: project });

    cpSync(examples, join(project, 'examples'), { recursive: true });
    await run(
      process.execPath,
      [
        join(root, 'node_modules/typescript/bin/tsc'),
        ...['--target', 'es2023', '--lib', 'es2023,esnext.disposable', '--module', 'nodenext', '--strict'],
        ...['--skipLibCheck', '--rewriteRelativeImportExtensions', '--outDir', 'out', '--rootDir', 'examples'],
        ...['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'],
        ...files.map((file) => `examples/${file}`),
      ],
      { cwd: project },
    ).catch((error: { stdout: string }) => {
      throw new Error(`the example does not compile against the packed types:\n${error.stdout}`);
    });
    if (needService.includes(name)) return;
    for (const file of files) {
      const { stdout } = await run(process.execPath, [`out/${file.replace(/ts$/, 'js')}`], {
        cwd: project,
        timeout: 60_000,
      });
      expect(stdout, file).not.toBe('');
    }
  });
});
