import assert from 'node:assert/strict';
import { json, string, type Serde, type Topic, type TopicSink } from '@millrace/serde';
import type { KStream, ProcessorContext, StreamsBuilder } from '@millrace/streams';
import type { Typed } from './decider.ts';
import { rejectionsOf, type RejectionRecord } from './handle-commands.ts';
import { headerNames, metadataOf } from './message-metadata.ts';
import { rekeyById, storeById, type StoreById } from './string-keyed.ts';
import {
  toolsOf,
  type ProcessAction,
  type ProcessInput,
  type ProcessManager,
  type SendAction,
} from './process-manager.ts';

/** A process as its store holds it: by its timeouts it is known what to cancel when it is over. */
export interface RunningProcess<S> {
  readonly state: S;
  readonly timeouts: readonly string[];
}

/** Processes by id: `app.view` and the test driver read them. */
export type RunningProcesses<S> = StoreById<RunningProcess<S>>;

/** A command on its way out, with the id that its cause gives it. */
interface Outgoing extends SendAction {
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Adds a process manager to a plan. State, timeouts and commands change in one transaction. Run it where you like: in the plan of
 * a decider that it sends to, or in one of its own. Its topic `<name>-rejections` must exist (`processTopic`).
 */
export function runProcess<E extends Typed, S>(
  builder: StreamsBuilder,
  process: ProcessManager<E, S>,
): RunningProcesses<S> {
  const { name } = process;
  const processes = storeById(builder, `${name}-processes`, runningSerde(process.state));
  const stores = { processes };
  type Context = ProcessorContext<typeof stores>;

  const react = (
    input: ProcessInput<E>,
    id: string,
    cause: string,
    correlationId: string,
    context: Context,
  ): Outgoing[] => {
    const running = context.stores.processes.get(id);
    // The timeouts of a process go with it, so this one belonged to one that is over: nothing to do with a later one.
    if (input.kind === 'timeout' && running === undefined) return [];
    const state = running?.state ?? (process.initialState() as S);
    const reaction = process.react(state, input, toolsOf(id));
    const timeouts = new Set(running?.timeouts);
    if (input.kind === 'timeout') timeouts.delete(input.name);
    const outgoing: Outgoing[] = [];
    for (const action of (reaction.actions ?? []) as readonly ProcessAction[]) {
      if (action.action === 'setTimeout') {
        context.timers.set(action.name, { atMs: context.timestampMs + action.afterMs, clock: 'wall' });
        timeouts.add(action.name);
      } else if (action.action === 'clearTimeout') {
        context.timers.cancel(action.name);
        timeouts.delete(action.name);
      } else {
        const headers = {
          [headerNames.id]: `${name}:${encodeURIComponent(id)}:${cause}:${outgoing.length}`, // none reads like another
          [headerNames.causationId]: cause,
          [headerNames.correlationId]: correlationId,
          [headerNames.process]: name,
          [headerNames.processId]: id,
        };
        outgoing.push({ ...action, headers });
      }
    }
    if (reaction.state === null) {
      for (const timeout of timeouts) context.timers.cancel(timeout);
      context.stores.processes.delete(id);
    } else {
      context.stores.processes.put(id, { state: reaction.state as S, timeouts: [...timeouts] });
    }
    return outgoing;
  };

  let inputs: KStream<string, ProcessInput<E>> = builder
    .stream(rejectionsOf(name))
    .mapValues<ProcessInput<E>>(({ code, command, to }) => ({ kind: 'rejected', code, command, to }));
  for (const topic of topicsOf(process)) {
    const events = builder.stream(topic).flatMap<string, ProcessInput<E>>(
      (event, from) => {
        const id = process.correlate(event, from);
        if (id === undefined) return [];
        const value: ProcessInput<E> = { kind: 'event', event, from };
        return [{ key: id, value }];
      },
      rekeyById(`${name}-${topic.name}`, eventInputSerde(topic.value)),
    );
    inputs = inputs.merge(events);
  }
  inputs
    .process<Outgoing, typeof stores>({
      name: `${name}-react`,
      stores,
      onRecord(input, id, context) {
        const { messageId, correlationId } = metadataOf(context);
        // Events of others may have no id. Their place in the topic at hand is as unique, and the same after a replay.
        const source = messageId === '' ? `${context.topic}-${context.partition}-${context.offset}` : messageId;
        const cause = input.kind === 'rejected' ? `${source}:rejected` : source;
        return react(input, id, cause, correlationId === '' ? source : correlationId, context);
      },
      onTimer(timer, id, context) {
        const cause = `${timer.name}@${timer.atMs}`;
        return react({ kind: 'timeout', name: timer.name }, id, cause, `${name}:${id}`, context);
      },
    })
    .map<string, Outgoing>((outgoing) => ({ key: outgoing.id, value: outgoing, headers: outgoing.headers }), {
      name: `${name}-commands`,
      key: string,
      value: json<Outgoing>(), // of no use: commands are written below, by the serde of their topic
    })
    .to(({ topic }) => commandSink(topic), { name: `${name}-to-commands` });
  return processes;
}

/** What a process manager needs to be there: give it to `admin.createTopics`, with as many partitions as the topics it hears. */
export function processTopic<E extends Typed, S>(process: ProcessManager<E, S>): Topic<string, RejectionRecord> {
  return rejectionsOf(process.name);
}

function topicsOf<E extends Typed, S>({ from }: ProcessManager<E, S>): readonly Topic<string, E>[] {
  return 'name' in from ? [from] : from;
}

/** A topic of commands, for those that are still wrapped: the wrapper says which topic it is. */
function commandSink({ name, key, value }: SendAction['topic']): TopicSink<string, Outgoing> {
  return { name, key, value: { serialize: ({ command }, context) => value.serialize(command, context) } };
}

/** Events on their way to the owner of their process: who they are from, and what their own serde makes of them. */
function eventInputSerde<E extends Typed>(event: Serde<E>): Serde<ProcessInput<E>> {
  const outer = json<{ readonly from: string; readonly event: string }>();
  return {
    name: `processInput(${event.name})`,
    prepare: event.prepare,
    serialize(input, context) {
      assert(input.kind === 'event', 'only events are sent on');
      const bytes = event.serialize(input.event, context);
      return outer.serialize({ from: input.from, event: Buffer.from(bytes).toString('base64') }, context);
    },
    deserialize(data, context) {
      const { from, event: encoded } = outer.deserialize(data, context);
      return { kind: 'event', from, event: event.deserialize(Buffer.from(encoded, 'base64'), context) };
    },
  };
}

function runningSerde<S>(state: Serde<S>): Serde<RunningProcess<S>> {
  const outer = json<{ readonly timeouts: readonly string[]; readonly state: string }>();
  return {
    name: `process(${state.name})`,
    prepare: state.prepare,
    serialize(running, context) {
      const bytes = state.serialize(running.state, context);
      return outer.serialize({ timeouts: running.timeouts, state: Buffer.from(bytes).toString('base64') }, context);
    },
    deserialize(data, context) {
      const { timeouts, state: encoded } = outer.deserialize(data, context);
      return { timeouts, state: state.deserialize(Buffer.from(encoded, 'base64'), context) };
    },
  };
}
