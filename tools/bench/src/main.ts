/** `npm run bench -- [broker|client|streams]... [--runs N] [--no-kafka] [--smoke]` */
import { run } from './run.ts';

process.exitCode = await run(process.argv.slice(2), {
  line: (text) => console.log(text),
  error: (text) => console.error(text),
  step(text) {
    // For who watches; in a file it would be noise.
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text ?? ''}`);
  },
});
