/** The command line. A command's modules are loaded when it runs: `millrace --help` should not cost an import of the broker. */
import { isMillraceError } from '@millrace/platform';
import { Command, InvalidArgumentError, Option } from 'commander';

const program = new Command('millrace')
  .description('A Kafka-compatible broker and stream processing for Node.')
  .version('0.1.0')
  // A wrong command line reads as every other error does.
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'USAGE: ')) });

/** A command that talks to a broker. */
const talking = (parent: Command, nameAndArguments: string): Command =>
  parent
    .command(nameAndArguments)
    .addOption(
      new Option('-b, --broker <host:port>', 'the broker, ours or Apache Kafka')
        .default('localhost:9092')
        .env('MILLRACE_BROKER'),
    )
    .option('--tls', 'over TLS')
    .option('--ca <file>', 'over TLS, trusting these certificates (PEM) instead of those that Node knows');
const jsonOption = (): Option => new Option('--json', 'one JSON object a line');

program
  .command('broker')
  .description('run a broker until SIGTERM or Ctrl-C')
  .requiredOption('--data <dir>', 'where it keeps its data')
  .option('--host <host>', 'address to listen on', '127.0.0.1')
  .option('--port <n>', 'port to listen on, 0 for a free one', port, 9092)
  .option('--advertised <host:port>', 'what clients are told to connect to; needed with --host 0.0.0.0')
  .option('--http-port <n>', 'serve /metrics (Prometheus) and /health there', port)
  .option('--tls-cert <file>', 'listen with TLS: its certificate (PEM)')
  .option('--tls-key <file>', 'and its private key')
  .option('--flush <mode>', 'what acks=all waits for: commit, os, interval:MS', flush, 'commit')
  .option('--config <file>', "JSON file of broker configs under Kafka's names")
  .addOption(
    new Option('--log-level <level>', 'what is logged to standard error')
      .choices(['debug', 'info', 'warn', 'error', 'silent'])
      .default('warn'),
  )
  .action(async (options) => (await import('./commands/broker.ts')).runBroker(options));

const topic = program.command('topic').description('list, create, describe, change and delete topics');
talking(topic, 'list')
  .description('all topics, with how many offsets their partitions span: records and ends of transactions')
  .addOption(jsonOption())
  .option('--internal', 'also internal topics')
  .action(async (options) => (await import('./commands/topic.ts')).listTopics(options));
talking(topic, 'create <name>')
  .description('make a topic')
  .addOption(jsonOption())
  .option('-p, --partitions <n>', 'number of partitions (default: the cluster’s num.partitions)', positive)
  .option('-r, --replication-factor <n>', 'default: the cluster’s', positive)
  .option('-c, --config <name=value>', "a config under Kafka's name, such as cleanup.policy=compact", collect, [])
  .option('--if-not-exists', 'leave a topic alone that is there, if its partitions are as many')
  .action(async (name, options) => (await import('./commands/topic.ts')).createTopic(name, options));
talking(topic, 'describe <name>')
  .description('its partitions, leaders and offsets')
  .addOption(jsonOption())
  .option('--configs', 'its configs instead')
  .action(async (name, options) => (await import('./commands/topic.ts')).describeTopic(name, options));
talking(topic, 'alter <name>')
  .description('add partitions, change configs')
  .addOption(jsonOption())
  .option('-p, --partitions <n>', 'more partitions', positive)
  .option('-c, --config <name=value>', 'sets a config; without a value, back to its default', collect, [])
  .action(async (name, options) => (await import('./commands/topic.ts')).alterTopic(name, options));
talking(topic, 'delete <names...>')
  .description('delete topics and all that is in them')
  .action(async (names, options) => (await import('./commands/topic.ts')).deleteTopics(names, options));

talking(program, 'produce <topic>')
  .description('send the lines of standard input, a record a line')
  .option('-k, --key-separator <text>', 'what divides key from value on a line (default: no key)')
  .option('--tombstones', 'an empty value deletes the key')
  .addOption(
    new Option('-z, --compression <type>', 'of the batches')
      .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
      .default('none'),
  )
  .option('--json', 'a line is a JSON object: {"key", "value", "headers", "timestampMs", "partition"}')
  .option('--timeout <seconds>', 'how long a record may wait for its acknowledgement', positive, 120)
  .action(async (name, options) => (await import('./commands/produce.ts')).produce(name, options));

talking(program, 'consume <topics...>')
  .description('print records, those of open and aborted transactions left out')
  .option('--json', 'a record a line: {"topic", "partition", "offset", "timestampMs", "key", "value", "headers"}')
  .option('--from <where>', 'earliest, latest, or a time such as 2026-01-31T12:00Z', 'latest')
  .option('-g, --group <id>', 'as a member of this group, which remembers how far it is')
  .option('-n, --max <n>', 'stop after so many records', positive)
  .option('-e, --exit', 'stop at what is the end now')
  .option('-f, --format <format>', 'with %t topic, %p partition, %o offset, %T time, %k key, %s value', '%s')
  .option('--uncommitted', 'also records of open and aborted transactions')
  .action(async (topics, options) => (await import('./commands/consume.ts')).consume(topics, options));

const group = program.command('group').description('list, describe, reset and delete consumer groups');
talking(group, 'list')
  .description('all consumer groups and their states')
  .addOption(jsonOption())
  .action(async (options) => (await import('./commands/group.ts')).listGroups(options));
talking(group, 'describe <id>')
  .description('how far a group is in each partition, and which member has it')
  .addOption(jsonOption())
  .action(async (id, options) => (await import('./commands/group.ts')).describeGroup(id, options));
talking(group, 'reset <id>')
  .description('move the committed offsets of a group that has no members')
  .addOption(jsonOption())
  .requiredOption('-t, --topic <topic>', 'of this topic')
  .requiredOption('--to <where>', 'earliest, latest, or a time such as 2026-01-31T12:00Z')
  .action(async (id, options) => (await import('./commands/group.ts')).resetGroup(id, options));
talking(group, 'delete <ids...>')
  .description('delete groups that have no members, and what they have committed')
  .action(async (ids, options) => (await import('./commands/group.ts')).deleteGroups(ids, options));

talking(program, 'run <file>')
  .description('run the pipeline that a module exports as `topology`')
  .option('--describe [format]', 'print the plan (text, json, mermaid) and leave')
  .option('--at-least-once', 'without transactions')
  .option('--eager', 'commit whenever the input is read to its end')
  .option('--instance <name>', 'this instance’s own name: after a crash the next run with it starts at once')
  .addOption(jsonOption())
  .action(async (file, options) => (await import('./commands/run.ts')).runPipeline(file, options));

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError('a number from 0 to 65535.');
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number above 0.');
  return value;
}

function flush(text: string): string {
  if (!/^(commit|os|interval:[1-9]\d*)$/.test(text)) {
    throw new InvalidArgumentError('commit, os, or interval:MS such as interval:50.');
  }
  return text;
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

// `millrace consume … | head`: the reader has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  await program.parseAsync();
} catch (error) {
  // What we know how to say is said; anything else is a bug of ours, and its stack helps.
  console.error(isMillraceError(error) ? `${error.code}: ${asCommand(error.message)}` : error);
  process.exitCode = 1;
}

/** The packages tell programmers what to call; here it is a command. */
function asCommand(message: string): string {
  return message
    .replace(/admin\.createTopics( with its contract)?/, '`millrace topic create`')
    .replace(/(bufferMemoryBytes or )?deliveryTimeoutMs/, '--timeout');
}
