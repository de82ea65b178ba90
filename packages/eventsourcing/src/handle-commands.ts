import { createHash } from 'node:crypto';
import { json, recordHeaders, string, topic, type SerdeContext, type Topic } from '@millrace/serde';
import type { ErrorPolicy, KeyValueStore, KStream, RecordContext, StreamsBuilder } from '@millrace/streams';
import { aggregateSerde } from './aggregate-serde.ts';
import { decideOn, type Aggregate, type Decider, type Typed } from './decider.ts';
import { InvalidCommandError } from './errors.ts';
import { headerNames, metadataOf } from './message-metadata.ts';
import { storeById, type StoreById } from './string-keyed.ts';
import { encodeEvents, replies, type ReplyRecord } from './replies.ts';

export interface HandleOptions {
  /** A command id seen again within this time (of the commands' timestamps) gets its first reply again. Default 24 hours. */
  readonly idempotencyMs?: number | undefined;
  /**
   * For a command that its serde refuses or whose headers make no sense, or on which `decide` or `evolve` throws; also where the
   * process that should hear of a rejection has no topic. Default: the builder's.
   */
  readonly onError?: ErrorPolicy | undefined;
}

export interface HandledCommands<E extends Typed, S> {
  /** The new events, each with its metadata in its headers. */
  readonly events: KStream<string, E>;
  /** For `app.view` and the test driver: aggregates by id. */
  readonly state: StoreById<Aggregate<S>>;
}

/** A command with what its headers say. */
interface Envelope<C> {
  readonly command: C;
  /** '' for a command that nobody gave an id: it cannot come again. */
  readonly givenId: string;
  /** The process manager that sent it; '' for a client's. */
  readonly process: string;
}

type Result<C, E> =
  | { readonly kind: 'event'; readonly event: E; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'reply'; readonly reply: ReplyRecord; readonly command: C };

/** What is remembered of a command id. */
interface Remembered {
  readonly hash: string;
  readonly reply: ReplyRecord;
}

/** What a process manager hears of a command of its that was rejected. */
export interface RejectionRecord {
  readonly code: string;
  readonly message?: string | undefined;
  /** The aggregate that rejected it. */
  readonly to: string;
  readonly command: Typed;
  readonly commandId: string;
}

/** Where a process manager hears of rejections. Its key is the process. */
export function rejectionsOf(process: string): Topic<string, RejectionRecord> {
  return topic(`${process}-rejections`, { key: string, value: json<RejectionRecord>() });
}

/**
 * Adds a decider to a plan: commands in; events, replies and new state out, in one transaction. All commands of an aggregate are
 * in one partition, and its owner decides them one after the other: a single writer without locks. Run it with `commit: 'eager'`,
 * as a reply is seen only when it is committed.
 *
 * Topics: reads `decider.commands`, writes `decider.events` and `replies`. Stores: `<name>-state-<stateVersion>` and
 * `<name>-command-ids`.
 */
export function handleCommands<C extends Typed, E extends Typed, S, R extends string>(
  builder: StreamsBuilder,
  decider: Decider<C, E, S, R>,
  options: HandleOptions = {},
): HandledCommands<E, S> {
  const { name } = decider;
  const { idempotencyMs = 24 * 3_600_000, onError } = options;
  const state = storeById(builder, `${name}-state-${decider.stateVersion}`, aggregateSerde(decider.state));
  const ids = builder.keyValueStore<string, Remembered>({
    name: `${name}-command-ids`,
    key: string,
    value: json<Remembered>(),
    ttlMs: idempotencyMs,
  });
  const commandContext: SerdeContext = { topic: decider.commands.name, part: 'value', headers: recordHeaders() };
  const hashOf = (command: C): string =>
    createHash('sha256').update(decider.command.serialize(command, commandContext)).digest('base64url').slice(0, 22);

  const handle = (
    { command, givenId, process }: Envelope<C>,
    id: string,
    stores: {
      readonly state: KeyValueStore<string, Aggregate<S>>;
      readonly ids: KeyValueStore<string, Remembered>;
    },
    context: RecordContext,
  ): Result<C, E>[] => {
    const hash = givenId === '' ? '' : hashOf(command);
    const key = rememberedKey(id, givenId, process);
    const known = givenId === '' ? undefined : stores.ids.get(key);
    if (known !== undefined) {
      const reply = known.hash === hash ? known.reply : ({ status: 'reused', version: known.reply.version } as const);
      return [{ kind: 'reply', reply, command }];
    }
    const commandId = givenId === '' ? `${context.topic}-${context.partition}-${context.offset}` : givenId;
    const decision = decideOn(
      decider,
      stores.state.get(id),
      command,
      { id, commandId, timestampMs: context.timestampMs },
      expectedVersionOf(name, id, context.headers.text(headerNames.expectedVersion)),
    );
    const { version } = decision.aggregate;
    const results: Result<C, E>[] = [];
    let reply: ReplyRecord;
    if (decision.status === 'accepted') {
      const { events } = decision;
      // First what may throw: a policy that lets the command go must find nothing changed.
      reply = { status: 'accepted', version, events: encodeEvents(decider.event, events) };
      if (events.length > 0) stores.state.put(id, decision.aggregate);
      const correlationId = context.headers.text(headerNames.correlationId) ?? commandId;
      for (const [ordinal, event] of events.entries()) {
        const headers = {
          [headerNames.id]: `${commandId}:${ordinal}`,
          [headerNames.causationId]: commandId,
          [headerNames.correlationId]: correlationId,
          [headerNames.version]: String(version - events.length + ordinal + 1),
        };
        results.push({ kind: 'event', event, headers });
      }
    } else if (decision.status === 'rejected') {
      const { rejected: code, message } = decision.rejection;
      reply = { status: 'rejected', version, code, ...(message === undefined ? {} : { message }) };
    } else {
      reply = { status: 'conflict', version };
    }
    // A conflict is not remembered: the same command may be sent again, to what the aggregate is by then.
    if (givenId !== '' && reply.status !== 'conflict') stores.ids.put(key, { hash, reply });
    results.push({ kind: 'reply', reply, command });
    return results;
  };

  const results = builder
    .stream(decider.commands, { onInvalid: onError })
    .mapValues((command, _, { headers }): Envelope<C> => ({
      command,
      givenId: headers.text(headerNames.id) ?? '',
      process: headers.text(headerNames.process) ?? '',
    }))
    .process<Result<C, E>, { readonly state: typeof state; readonly ids: typeof ids }>({
      name: `${name}-decide`,
      stores: { state, ids },
      onError,
      keys: ({ givenId, process }, id) => (givenId === '' ? {} : { ids: [rememberedKey(id, givenId, process)] }),
      onRecord: (envelope, id, context) => handle(envelope, id, context.stores, context),
    });

  const events = results
    .filter((result) => result.kind === 'event')
    .withHeaders((result) => result.headers)
    .mapValues((result) => result.event as never as E);
  events.to(decider.events, { name: `${name}-to-events` });

  const answers = results.filter((result) => result.kind === 'reply');
  answers
    .filter((_, __, { headers }) => headers.get(headerNames.replyTo) !== undefined)
    .mapValues(({ reply }) => reply)
    .to(replies, { name: `${name}-to-replies` });
  answers
    .filter(
      ({ reply }, _, { headers }) => reply.status === 'rejected' && headers.get(headerNames.process) !== undefined,
    )
    .map(
      ({ reply, command }, id, context) => ({
        key: context.headers.text(headerNames.processId) ?? '',
        value: rejectionRecordOf(reply, command, id, metadataOf(context).messageId),
      }),
      { name: `${name}-rejected`, key: string, value: json<RejectionRecord>() },
    )
    .to((_, __, { headers }) => rejectionsOf(headers.text(headerNames.process) ?? ''), {
      name: `${name}-to-processes`,
      onError,
    });
  return { events, state };
}

/** A command id is one of its aggregate's. Clients choose theirs as they like, and so never meet those of a process. */
function rememberedKey(id: string, commandId: string, process: string): string {
  return JSON.stringify(process === '' ? [id, commandId] : [id, commandId, process]);
}

function rejectionRecordOf(reply: ReplyRecord, command: Typed, to: string, commandId: string): RejectionRecord {
  const { code = '', message } = reply;
  return { code, ...(message === undefined ? {} : { message }), to, command, commandId };
}

function expectedVersionOf(decider: string, id: string, text: string | undefined): number | 'exists' | undefined {
  if (text === undefined || text === 'exists') return text;
  if (!/^\d{1,15}$/.test(text)) {
    throw new InvalidCommandError(
      decider,
      id,
      `its header ${headerNames.expectedVersion} is '${text}', neither a number nor 'exists'`,
    );
  }
  return Number(text);
}
