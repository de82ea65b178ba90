import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Broker } from '@millrace/broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/millrace.js', import.meta.url));
let broker: Broker;
let directory: string;
/** In the package, so that what a module imports is found. */
let modules: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  broker = await Broker.open({ data: 'memory', listen: { port: 0 } });
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  modules = mkdtempSync(fileURLToPath(new URL('../dist/modules-', import.meta.url)));
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL'); // what a failed test has left running
  await broker.close();
  for (const made of [directory, modules]) rmSync(made, { recursive: true });
});

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that has begun, and everything it says. */
class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly #said = { stdout: '', stderr: '' };
  constructor(args: readonly string[], input: string | undefined) {
    const env = { ...process.env, MILLRACE_BROKER: broker.address };
    const child = spawn(process.execPath, [bin, ...args], { env, stdio: 'pipe' });
    this.child = child;
    children.push(child);
    child.stdout.on('data', (chunk) => (this.#said.stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (this.#said.stderr += String(chunk)));
    this.ended = once(child, 'close').then(([exitCode]) => ({ exitCode: exitCode as number | null, ...this.#said }));
    if (input !== undefined) child.stdin.end(input);
  }

  /** The first whole line that matches; what ended without saying it is shown. */
  async says(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<string> {
    for (;;) {
      const line = this.#said[stream]
        .split('\n')
        .slice(0, -1)
        .find((text) => pattern.test(text));
      if (line !== undefined) return line;
      const more = once(this.child[stream]!, 'data');
      const ended = await Promise.race([more.then(() => undefined), this.ended]);
      if (ended !== undefined) throw new Error(`it never said ${String(pattern)}: ${JSON.stringify(ended)}`);
    }
  }

  end(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}

const start = (...args: string[]): Running => new Running(args, undefined);
const millrace = (...args: string[]): Promise<Ended> => new Running(args, '').ended;
const fed = (input: string, ...args: string[]): Promise<Ended> => new Running(args, input).ended;
const succeeds = (stdout: string, stderr = ''): Ended => ({ exitCode: 0, stdout, stderr });
const fails = (stderr: string, stdout = ''): Ended => ({ exitCode: 1, stdout, stderr: `${stderr}\n` });

describe('millrace broker', () => {
  it('says where it listens in one line, serves figures, and closes cleanly at SIGTERM', async () => {
    const data = join(directory, 'clean');
    const running = start('broker', '--data', data, '--port', '0', '--http-port', '0', '--flush', 'interval:50');
    const metricsLine = running.says(/^metrics at/, 'stderr');
    const line = await running.says(/^listening on 127\.0\.0\.1:\d+$/);
    const url = (await metricsLine).slice('metrics at '.length);
    expect(await (await fetch(url)).text()).toMatch(/^# HELP millrace_bytes_in_total /);
    expect(await (await fetch(new URL('/health', url))).json()).toEqual({ status: 'ok' });
    expect((await fetch(new URL('/nothing', url))).status).toBe(404);
    expect(await millrace('broker', '--data', data, '--port', '0')).toEqual(
      fails(
        `DATA_DIR_LOCKED: The data directory ${data} is in use by another broker. Stop that broker, or choose another directory.`,
      ),
    );
    const ended = await running.end('SIGTERM');
    expect(ended).toEqual(succeeds(`${line}\n`, `metrics at ${url}\n`));
  });

  it('ends with one line where a port, for clients or for figures, is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const error = fails(
      `PORT_IN_USE: Cannot listen on 127.0.0.1:${port}: the port is in use. Stop its owner, choose another port, or 0 for a free one.`,
    );
    const data = join(directory, 'ports');
    expect(await millrace('broker', '--data', data, '--port', String(port))).toEqual(error);
    expect(await millrace('broker', '--data', data, '--port', '0', '--http-port', String(port))).toEqual(error);
    taken.close();
  });

  it('takes configs from a file, and refuses what it does not know', async () => {
    const config = join(directory, 'config.json');
    const ofFile = async (text: string): Promise<Ended> => {
      writeFileSync(config, text);
      return await millrace('broker', '--data', 'memory', '--port', '0', '--config', config);
    };
    expect(await ofFile('{"nope":1}')).toEqual(
      fails('UNKNOWN_CONFIG: There is no broker config named nope. See the table in the README of @millrace/broker.'),
    );
    expect(await ofFile('[]')).toEqual(
      fails(`USAGE: ${config} must hold a JSON object of configs, such as {"log.retention.ms": 86400000}`),
    );
    expect((await ofFile('{nope')).stderr).toMatch(/^USAGE: Cannot read the configs in .*config\.json: .*\n$/);

    writeFileSync(config, '{"num.partitions":7}');
    const running = start('broker', '--data', 'memory', '--port', '0', '--config', config);
    const address = (await running.says(/^listening/)).slice('listening on '.length);
    await millrace('topic', 'create', 'seven', '--broker', address);
    expect(await millrace('topic', 'list', '--json', '--broker', address)).toEqual(
      succeeds('{"topic":"seven","partitions":7,"offsets":0}\n'),
    );
    expect((await running.end('SIGINT')).exitCode).toBe(0);
  });

  it('listens with TLS, for commands that trust its certificate', async () => {
    const fixture = (name: string): string =>
      fileURLToPath(new URL(`../../broker/fixtures/localhost-${name}.pem`, import.meta.url));
    const [cert, key] = [fixture('cert'), fixture('key')];
    const secure = start('broker', '--data', 'memory', '--port', '0', '--tls-cert', cert, '--tls-key', key);
    const address = (await secure.says(/^listening/)).replace('listening on 127.0.0.1', 'localhost');
    const trusting = ['--broker', address, '--ca', cert];
    // What it advertises is 127.0.0.1, for which the certificate is good, too.
    expect((await millrace('topic', 'create', 'secret', ...trusting)).exitCode).toBe(0);
    expect(await fed('hush\n', 'produce', 'secret', ...trusting)).toEqual(succeeds('', '1 record sent to secret\n'));
    expect(await millrace('consume', 'secret', '--from', 'earliest', '--exit', ...trusting)).toEqual(
      succeeds('hush\n'),
    );
    // A stranger's certificate is not trusted.
    expect((await millrace('topic', 'list', '--broker', address, '--tls')).stderr).toMatch(
      /^BROKER_NOT_AVAILABLE: .*\n$/,
    );
    expect((await secure.end('SIGTERM')).exitCode).toBe(0);

    const broker = ['broker', '--data', 'memory', '--port', '0'];
    expect(await millrace(...broker, '--tls-cert', cert)).toEqual(
      fails('USAGE: TLS takes both --tls-cert and --tls-key'),
    );
    expect((await millrace(...broker, '--tls-cert', cert, '--tls-key', cert)).stderr).toMatch(
      /^USAGE: --tls-cert .* and --tls-key .* cannot be used: .*\n$/,
    );
    expect((await millrace('topic', 'list', '--ca', 'nowhere.pem')).stderr).toMatch(
      /^USAGE: Cannot read --ca nowhere\.pem: ENOENT.*\n$/,
    );
  });

  it.each([
    [['broker'], "USAGE: required option '--data <dir>' not specified"],
    [
      ['broker', '--data', 'memory', '--flush', 'interval:0'],
      "USAGE: option '--flush <mode>' argument 'interval:0' is invalid. commit, os, or interval:MS such as interval:50.",
    ],
    [
      ['broker', '--data', 'memory', '--port', '65536'],
      "USAGE: option '--port <n>' argument '65536' is invalid. a number from 0 to 65535.",
    ],
    [
      ['broker', '--data', 'memory', '--log-level', 'loud'],
      "USAGE: option '--log-level <level>' argument 'loud' is invalid. Allowed choices are debug, info, warn, error, silent.",
    ],
    [['nope'], "USAGE: unknown command 'nope'"],
    [
      ['consume', 't', '--from', 'yesterday'],
      'USAGE: --from is earliest, latest, or a time such as 2026-01-31T12:00Z, not yesterday',
    ],
    [
      ['consume', 't', '--group', 'g', '--exit'],
      'USAGE: --exit reads without a group: leave out --group, or stop with --max',
    ],
    [['topic', 'alter', 't'], 'USAGE: Nothing to change: give --partitions or --config'],
    [['topic', 'create', 't', '--config', 'x'], 'USAGE: --config takes name=value, not x'],
  ])('refuses %j', async (args, error) => {
    expect(await millrace(...args)).toEqual(fails(error));
  });
});

it('says at once that nobody answers', async () => {
  const error = {
    exitCode: 1,
    stdout: '',
    // A resolver that is out of reach says EAI_AGAIN.
    stderr: expect.stringMatching(
      /^BROKER_NOT_AVAILABLE: No broker answers at nobody\.invalid:9092: getaddrinfo (ENOTFOUND|EAI_AGAIN) nobody\.invalid\. Check the addresses, that a broker listens there, and TLS and SASL settings\.\n$/,
    ) as string,
  };
  writeFileSync(join(modules, 'lone.js'), pipeline('lone'));
  for (const args of [
    ['topic', 'list'],
    ['produce', 'x'],
    ['consume', 'x'],
    ['group', 'list'],
    ['run', join(modules, 'lone.js')],
  ]) {
    expect(await millrace(...args, '--broker', 'nobody.invalid:9092'), args[0]).toEqual(error);
  }
});

it('helps', async () => {
  const { exitCode, stdout, stderr } = await millrace('--help');
  expect([exitCode, stderr]).toEqual([0, '']);
  expect([...stdout.matchAll(/^ {2}(\w+) .*(?=\n)/gm)].map((match) => match[1])).toEqual([
    'broker',
    'topic',
    'produce',
    'consume',
    'group',
    'run',
    'help',
  ]);
  expect(await millrace('--version')).toEqual(succeeds('0.1.0\n'));
});

describe('millrace topic', () => {
  it('creates, changes, describes, lists and deletes', async () => {
    const created = await millrace('topic', 'create', 'orders', '-p', '2', '-c', 'cleanup.policy=compact');
    const topicId = /topic id +(\S+)/.exec(created.stdout)?.[1];
    expect(created).toEqual(
      succeeds(
        [
          'topic           orders',
          `topic id        ${topicId}`,
          'cleanup policy  compact',
          'partition  leader  log start offset  log end offset',
          '        0       1                 0               0',
          '        1       1                 0               0',
          '',
        ].join('\n'),
      ),
    );
    expect(await millrace('topic', 'create', 'orders')).toEqual(
      fails('TOPIC_ALREADY_EXISTS: There is a topic orders already. Choose another name, or say --if-not-exists.'),
    );
    expect(await millrace('topic', 'create', 'orders', '--if-not-exists')).toEqual(created);
    await fed('a:1\n', 'produce', 'orders', '-k', ':');
    const altered = await millrace('topic', 'alter', 'orders', '-p', '3', '-c', 'retention.ms=5000', '--json');
    expect(altered.exitCode).toBe(0);
    const rows = altered.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(rows.map((row) => ({ ...row, logEndOffset: 0 }))).toEqual(
      [0, 1, 2].map((partition) => ({
        topic: 'orders',
        topicId,
        cleanupPolicy: 'compact',
        partition,
        leader: 1,
        logStartOffset: 0,
        logEndOffset: 0,
      })),
    );
    expect(rows.map((row) => String(row['logEndOffset'])).toSorted()).toEqual(['0', '0', '1']);
    const configs = await millrace('topic', 'describe', 'orders', '--configs', '--json');
    expect(configs.stdout.split('\n')).toContain('{"config":"retention.ms","value":"5000"}');
    expect(await millrace('topic', 'alter', 'orders', '-p', '3')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^INVALID_PARTITIONS: .*\n$/),
    });
    expect(await millrace('topic', 'list')).toEqual(
      succeeds('topic   partitions  offsets\norders           3        1\n'),
    );
    expect(await millrace('topic', 'delete', 'orders')).toEqual(succeeds(''));
    expect(await millrace('topic', 'list')).toEqual(succeeds('none\n'));
    expect(await millrace('topic', 'delete', 'orders')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^UNKNOWN_TOPIC_OR_PARTITION: The cluster has no topic orders\..*\n$/),
    });
  });

  it('folds a long name, so that a table has a hundred columns at the most', async () => {
    const name = 'n'.repeat(200);
    await millrace('topic', 'create', name);
    const { stdout } = await millrace('topic', 'list');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(stdout.replaceAll(/[^n]/g, '')).toContain(name);
    await millrace('topic', 'delete', name);
  });
});

describe('millrace produce and consume', () => {
  it('sends lines with keys and tombstones, and prints them in a format', async () => {
    expect(await fed('a:1\nb:2:3\na:\nlone\n', 'produce', 'lines', '-k', ':', '--tombstones')).toEqual(
      succeeds('', '4 records sent to lines\n'),
    );
    const format = String.raw`%t/%p@%o %k=%s\t%%`;
    expect(await millrace('consume', 'lines', '--from', 'earliest', '--exit', '-f', format)).toEqual(
      succeeds('lines/0@0 a=1\t%\nlines/0@1 b=2:3\t%\nlines/0@2 a=\t%\nlines/0@3 =lone\t%\n'),
    );
    expect(await millrace('consume', 'lines', '--from', 'earliest', '--max', '2')).toEqual(succeeds('1\n2:3\n'));
    await millrace('topic', 'delete', 'lines');
  });

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('prints what it takes as JSON, with %s', async (compression) => {
    const lines =
      '{"topic":"json","partition":0,"offset":0,"timestampMs":1700000000000,"key":"k","value":"v","headers":{"h":"x","n":null}}\n' +
      '{"topic":"json","partition":0,"offset":1,"timestampMs":1750000000000,"key":null,"value":null,"headers":{}}\n';
    expect(await fed(lines, 'produce', 'json', '--json', '-z', compression)).toEqual(
      succeeds('', '2 records sent to json\n'),
    );
    expect(await millrace('consume', 'json', '--from', 'earliest', '--exit', '--json')).toEqual(succeeds(lines));
    expect(await millrace('consume', 'json', '--from', '2025-01-01', '--exit', '-f', '%o')).toEqual(succeeds('1\n'));
    await millrace('topic', 'delete', 'json');
  });

  it.each([
    ['nope', /^USAGE: Line 2 is not JSON: /],
    ['[]', /^USAGE: Line 2 is not a JSON object$/],
    ['{"vaule":1}', /^USAGE: Line 2 has a field vaule: a record has key, value, headers, timestampMs, partition, /],
    ['{"headers":3}', /^USAGE: Line 2 has headers that are no object of names and texts$/],
    ['{"timestampMs":"now"}', /^USAGE: Line 2 has a timestampMs that is no whole number$/],
    ['{"partition":-1}', /^USAGE: Line 2 has a partition that is no whole number$/],
  ])('refuses the line %s, and sends those before it', async (line, error) => {
    const ended = await fed(`{"value":"good"}\n${line}\n{"value":"late"}\n`, 'produce', 'checked', '--json');
    const [sent, said, rest] = ended.stderr.split('\n');
    expect([ended.exitCode, sent, rest]).toEqual([1, '1 record sent to checked', '']);
    expect(said).toMatch(error);
    expect(await millrace('consume', 'checked', '--from', 'earliest', '--exit')).toEqual(succeeds('good\n'));
    await millrace('topic', 'delete', 'checked');
  });

  it('says that a broker which has died does not acknowledge, and gives up in time', async () => {
    const dying = start('broker', '--data', 'memory', '--port', '0');
    const address = (await dying.says(/^listening/)).slice('listening on '.length);
    await millrace('topic', 'create', 'waits', '--broker', address);
    const producing = start('produce', 'waits', '--broker', address, '--timeout', '5');
    producing.child.stdin!.write('before\n');
    expect(await millrace('consume', 'waits', '--broker', address, '--from', 'earliest', '--max', '1')).toEqual(
      succeeds('before\n'),
    );
    await dying.end('SIGKILL');
    producing.child.stdin!.write('after\n');
    const { exitCode, stderr } = await producing.ended;
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^waiting for 127\.0\.0\.1:\d+, which does not acknowledge; giving up after 5 s\nDELIVERY_TIMEOUT: .* raise --timeout\.\n$/,
    );
  });

  it('names the command that makes a topic, where there is none', async () => {
    expect(await millrace('topic', 'describe', 'nowhere')).toEqual(
      fails(
        'UNKNOWN_TOPIC_OR_PARTITION: The cluster has no topic nowhere. Create it with `millrace topic create`, or check the name.',
      ),
    );
  });

  it('follows a topic until Ctrl-C', async () => {
    await millrace('topic', 'create', 'news');
    const following = start('consume', 'news', '--from', 'earliest');
    await fed('fresh\n', 'produce', 'news');
    expect(await following.says(/./)).toBe('fresh');
    expect(await following.end('SIGINT')).toEqual(succeeds('fresh\n'));
    await millrace('topic', 'delete', 'news');
  });
});

it('millrace group shows a group, keeps it from being changed while it has members, then resets and deletes it', async () => {
  await fed('one\ntwo\nthree\n', 'produce', 'read');
  const asGroup = ['consume', 'read', '--group', 'readers', '--from', 'earliest'];
  expect(await millrace(...asGroup, '--max', '1')).toEqual(succeeds('one\n'));
  // What was printed is committed: the next one goes on behind it.
  const member = start(...asGroup);
  expect(await member.says(/./)).toBe('two');
  const described = await millrace('group', 'describe', 'readers', '--json');
  expect(JSON.parse(described.stdout)).toMatchObject({
    group: 'readers',
    state: 'Stable',
    members: 1,
    topic: 'read',
    partition: 0,
    owner: expect.stringMatching(/^millrace \(/),
  });
  expect(await millrace('group', 'reset', 'readers', '-t', 'read', '--to', 'earliest')).toEqual(
    fails('NON_EMPTY_GROUP: The group readers has members (1). Stop them first.'),
  );
  expect(await millrace('group', 'delete', 'readers')).toEqual(
    fails(
      'NON_EMPTY_GROUP: DeleteGroups of group readers: the broker answered NON_EMPTY_GROUP: The group has members. Stop the members of the group first.',
    ),
  );
  // Ctrl-C leaves the group: it is empty at once, not after a session timeout.
  expect((await member.end('SIGINT')).exitCode).toBe(0);
  expect(await millrace('group', 'list')).toEqual(succeeds('group    state\nreaders  Empty\n'));
  expect(await millrace('group', 'reset', 'readers', '-t', 'read', '--to', 'earliest')).toEqual(
    succeeds(
      'group    readers\nstate    Empty\nmembers  0\n' +
        'topic  partition  offset  lag  owner\nread           0       0    3  -\n',
    ),
  );
  expect(await millrace('group', 'delete', 'readers')).toEqual(succeeds(''));
  expect(await millrace('group', 'describe', 'readers')).toEqual(
    fails('GROUP_ID_NOT_FOUND: There is no group readers. `millrace group list` has those there are.'),
  );
  await millrace('topic', 'delete', 'read');
});

function pipeline(name: string): string {
  return `
    import { string, topic } from '@millrace/serde';
    import { StreamsBuilder } from '@millrace/streams';
    const builder = new StreamsBuilder('${name}');
    builder
      .stream(topic('words', { key: string, value: string }))
      .mapValues((word) => word.toUpperCase())
      .to(topic('loud', { key: string, value: string }));
    export const topology = builder.build();
  `;
}

describe('millrace run', () => {
  it('prints a plan without running it', async () => {
    const file = join(modules, 'plan.js');
    writeFileSync(file, pipeline('shout'));
    const { exitCode, stdout } = await millrace('run', file, '--describe');
    expect([exitCode, stdout.split('\n')[0]]).toEqual([0, expect.stringMatching(/^Topology shout \([0-9a-f]{16}\)$/)]);
    expect(JSON.parse((await millrace('run', file, '--describe', 'json')).stdout)).toMatchObject({
      applicationId: 'shout',
    });
    expect((await millrace('run', file, '--describe', 'mermaid')).stdout).toMatch(/^flowchart TD\n/);
    expect(await millrace('run', file, '--describe', 'png')).toEqual(
      fails('USAGE: --describe is text, json or mermaid, not png'),
    );
  });

  it('runs a plan, with a line of figures, and finishes at SIGTERM', async () => {
    const file = join(modules, 'shout.js');
    writeFileSync(file, pipeline('shout'));
    for (const name of ['words', 'loud']) await millrace('topic', 'create', name);
    const running = start('run', file, '--eager', '--json');
    const figures = running.says(/./);
    await fed('k:hello\n', 'produce', 'words', '-k', ':');
    expect(await millrace('consume', 'loud', '--from', 'earliest', '--max', '1', '-f', '%k=%s')).toEqual(
      succeeds('k=HELLO\n'),
    );
    expect(JSON.parse(await figures)).toEqual({
      recordsPerSecond: expect.any(Number),
      lagRecords: expect.any(Number),
      lateRecords: 0,
      droppedRecords: 0,
      commitMsP99: expect.any(Number),
    });
    const { exitCode, stderr } = await running.end('SIGTERM');
    expect([exitCode, stderr]).toEqual([
      0,
      'state: REBALANCING\nstate: RESTORING\nstate: RUNNING\nstate: PENDING_SHUTDOWN\nstate: NOT_RUNNING\n',
    ]);
    for (const name of ['words', 'loud']) await millrace('topic', 'delete', name);
  });

  it('says what is wrong with a module', async () => {
    const file = join(modules, 'wrong.js');
    const ofModule = async (text: string): Promise<Ended> => {
      writeFileSync(file, text);
      return await millrace('run', file);
    };
    expect(await ofModule('export const plan = 1;')).toEqual(
      fails(`USAGE: ${file} must export its plan as \`topology\` (what StreamsBuilder.build() returns)`),
    );
    expect(await ofModule("throw new Error('boom');")).toEqual(
      fails(`USAGE: ${file} cannot be loaded: Error: boom (file://${file}:1:7)`),
    );
    expect(await millrace('run', join(modules, 'none.js'))).toEqual(
      fails(`USAGE: There is no file ${join(modules, 'none.js')}`),
    );
    // Its topics are missing, which the app finds when it runs.
    const missing = await ofModule(pipeline('missing'));
    expect([missing.exitCode, missing.stderr.trimEnd().split('\n').at(-1)]).toEqual([
      1,
      'MISSING_TOPIC: The plan reads a topic that does not exist: words. Create it first (`millrace topic create`), or correct the name.',
    ]);
  });
});
