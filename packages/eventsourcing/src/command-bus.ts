import type { Client, Position, Producer } from '@millrace/client';
import { systemClock, systemRandom, uuid, type Clock, type Random } from '@millrace/platform';
import type { Decider, Typed } from './decider.ts';
import { CommandBusClosedError, CommandIdReusedError, CommandTimeoutError } from './errors.ts';
import { headerNames } from './message-metadata.ts';
import { decodeEvents, replies, type ReplyRecord } from './replies.ts';

export interface SendOptions {
  /** The same id is the same command: a retry is safe. Default: a new UUID. */
  readonly commandId?: string | undefined;
  /** Only if the aggregate has had so many events (0: it is new), or any. Else the reply is `'conflict'`. Default: not checked. */
  readonly expectedVersion?: number | 'exists' | undefined;
  /** Default 5000. */
  readonly timeoutMs?: number | undefined;
  /** Default: the command's id. */
  readonly correlationId?: string | undefined;
  /** W3C trace context; the command's events inherit it. */
  readonly traceparent?: string | undefined;
  /** Stops waiting. Whether the command takes effect is then unknown. */
  readonly signal?: AbortSignal | undefined;
}

/** What the owner of an aggregate said to a command. */
export type Reply<E extends Typed, R extends string> = {
  /** The number of events the aggregate has had. */
  readonly version: number;
  /** Of the command. For `view.get(id, { after: reply.position })`: read what you wrote. */
  readonly position: Position;
} & (
  | { readonly status: 'accepted'; readonly events: readonly E[] }
  | { readonly status: 'rejected'; readonly code: R; readonly message: string | undefined }
  | { readonly status: 'conflict' }
);

/** Sends commands and waits for their replies. One a process: it reads the topic of replies from its end, with no group. */
export interface CommandBus extends AsyncDisposable {
  /**
   * @throws {CommandTimeoutError} the outcome is unknown, send it again with its `commandId`
   * @throws {CommandIdReusedError} another command had this id
   * @throws {CommandBusClosedError}
   */
  send<C extends Typed, E extends Typed, S, R extends string>(
    decider: Decider<C, E, S, R>,
    id: string,
    command: NoInfer<C>,
    options?: SendOptions,
  ): Promise<Reply<E, R>>;
  /** Turns away whoever waits. Idempotent. */
  close(): Promise<void>;
}

export interface CommandBusOptions {
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** Opens a bus, and makes the topic of replies where it is missing. Closing the bus leaves the client open. */
export async function openCommandBus(client: Client, options: CommandBusOptions = {}): Promise<CommandBus> {
  await client.admin.createTopics([replies]);
  const ends = await client.admin.listOffsets(replies.name, 'latest');
  return new Bus(client, ends, options.clock ?? systemClock(), options.random ?? systemRandom());
}

interface Waiting {
  readonly resolve: (reply: ReplyRecord) => void;
  readonly reject: (error: unknown) => void;
}

class Bus implements CommandBus {
  readonly #producer: Producer;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #busId: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #closing = new AbortController();
  readonly #reading: Promise<void>;
  #requestCount = 0;
  #failure: unknown;

  constructor(client: Client, ends: readonly Position[], clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#busId = uuid(random);
    this.#producer = client.producer();
    this.#reading = this.#read(client, Object.fromEntries(ends.map(({ partition, offset }) => [partition, offset])));
  }

  async send<C extends Typed, E extends Typed, S, R extends string>(
    decider: Decider<C, E, S, R>,
    id: string,
    command: NoInfer<C>,
    options: SendOptions = {},
  ): Promise<Reply<E, R>> {
    const { commandId = uuid(this.#random), timeoutMs = 5000, signal } = options;
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw new CommandBusClosedError(this.#failure);
    const requestId = String(this.#requestCount++);
    const headers: Record<string, string> = {
      [headerNames.id]: commandId,
      [headerNames.correlationId]: options.correlationId ?? commandId,
      [headerNames.replyTo]: this.#busId,
      [headerNames.requestId]: requestId,
    };
    if (options.expectedVersion !== undefined) headers[headerNames.expectedVersion] = String(options.expectedVersion);
    if (options.traceparent !== undefined) headers[headerNames.traceparent] = options.traceparent;

    const answered = new Promise<ReplyRecord>((resolve, reject) => {
      this.#waiting.set(requestId, { resolve, reject });
    });
    const giveUp = (error: unknown): void => this.#waiting.get(requestId)?.reject(error);
    const cancelTimeout = this.#clock.after(timeoutMs, () =>
      giveUp(new CommandTimeoutError(decider.name, id, commandId, timeoutMs)),
    );
    const abort = (): void => giveUp(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const sent = this.#producer.send(decider.commands, { key: id, value: command, headers });
      const [position, reply] = await Promise.all([sent, answered]); // the reply may overtake the acknowledgement
      return this.#replyOf(decider, id, commandId, reply, position);
    } finally {
      cancelTimeout();
      signal?.removeEventListener('abort', abort);
      this.#waiting.delete(requestId);
    }
  }

  async close(): Promise<void> {
    this.#end(undefined);
    await this.#reading;
    await this.#producer.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #replyOf<C extends Typed, E extends Typed, S, R extends string>(
    decider: Decider<C, E, S, R>,
    id: string,
    commandId: string,
    reply: ReplyRecord,
    position: Position,
  ): Reply<E, R> {
    const { version } = reply;
    switch (reply.status) {
      case 'accepted':
        return { status: 'accepted', version, position, events: decodeEvents(decider.event, reply.events ?? []) };
      case 'rejected':
        // The decider that wrote the code is the one that is asked here.
        return { status: 'rejected', version, position, code: (reply.code ?? '') as R, message: reply.message };
      case 'conflict':
        return { status: 'conflict', version, position };
      case 'reused':
        throw new CommandIdReusedError(decider.name, id, commandId);
    }
  }

  async #read(client: Client, offsets: Readonly<Record<number, number>>): Promise<void> {
    const { signal } = this.#closing;
    try {
      // The topic is everybody's: what is no reply was not meant for us, and must not deafen us.
      const options = { from: { offsets }, onInvalid: 'skip', signal } as const;
      for await (const { headers, value } of client.records(replies, options)) {
        if (headers.text(headerNames.replyTo) !== this.#busId) continue;
        this.#waiting.get(headers.text(headerNames.requestId) ?? '')?.resolve(value);
      }
      this.#end(undefined);
    } catch (error) {
      this.#end(error);
    }
  }

  #end(failure: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#failure = failure;
    this.#closing.abort();
    for (const { reject } of this.#waiting.values()) reject(new CommandBusClosedError(failure));
  }
}
