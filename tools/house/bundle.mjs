/**
 * After `tsc`, in a package's folder: its entry points as one file each, in `bundle`. A broker loads 190 modules otherwise, which
 * takes Node 20 longer than all the rest of its start.
 */
import { readFileSync, rmSync } from 'node:fs';
import { rolldown } from 'rolldown';

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const entries = Object.values(exports).flatMap(({ default: path }) => (path === undefined ? [] : [path]));
const input = Object.fromEntries(
  entries.map((path) => {
    const name = path.slice('./bundle/'.length, -'.js'.length);
    return [name, `./dist/${name}.js`];
  }),
);
rmSync('bundle', { recursive: true, force: true });
const bundle = await rolldown({
  input,
  platform: 'node',
  external: /^[^./]/, // every other package, and workers (`#name`)
});
await bundle.write({ dir: 'bundle', format: 'esm', sourcemap: true, keepNames: true, chunkFileNames: '[name].js' });
await bundle.close();
