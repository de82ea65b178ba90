import { isMillraceError, type Logger } from '@millrace/platform';
import { apis, decodeRequestHeader, encodeResponse, type OutgoingFrame } from '@millrace/protocol';
import { errorCodes } from '../kafka/error-codes.ts';
import type { ConnectionContext, Handler, HandlerRegistry } from '../kafka/handler.ts';
import type { Traffic } from './traffic.ts';
import type { Transport } from './transport.ts';

export interface SessionLimits {
  /** Of a request that brings no records. */
  readonly maxRequestBytes: number;
  readonly maxInFlightBytes: number;
  readonly maxInFlightRequests: number;
  /** Response bytes that the peer may leave unread before its requests wait. */
  readonly maxQueuedResponseBytes: number;
}

/** What a session needs of its server. */
export interface SessionHost {
  /** Asked for each request: a broker in memory that is reset gets others. */
  readonly handlers: () => HandlerRegistry;
  readonly logger: Logger;
  readonly limits: SessionLimits;
  readonly traffic: Traffic;
  readonly nowMs: () => number;
  /** Calls `session.flush()` at the end of the turn. */
  flushLater(session: Session): void;
  /** Memory is short: nothing more may be read now. */
  readonly isShortOfMemory: () => boolean;
  /** Held bytes have become less. */
  readonly memoryFreed: () => void;
  closed(session: Session, reason: Error | undefined): void;
}

interface InFlight {
  readonly requestBytes: number;
  readonly overlaps: boolean;
  response: OutgoingFrame | null;
  isDone: boolean;
}

/**
 * One client's connection. Requests begin in order and are answered in order. Reading stops while too much is in flight, while
 * the peer leaves its answers unread, or while the broker is short of memory; so a peer costs no more than its limits.
 */
export class Session implements ConnectionContext {
  readonly clientHost: string;
  readonly advertised: { readonly host: string; readonly port: number };
  readonly principal = 'User:ANONYMOUS';
  /** Within the process: there is no peer that could stall. */
  readonly isLocal: boolean;
  lastActivityMs: number;
  /** No whole request has come yet. */
  isNew = true;
  readonly #transport: Transport;
  readonly #host: SessionHost;
  readonly #closeListeners: Set<() => void> = new Set<() => void>();
  /** Frames that came and have not begun. */
  #waiting: Uint8Array[] = [];
  readonly #inFlight: InFlight[] = [];
  #inFlightBytes = 0;
  #waitingBytes = 0;
  #ready: OutgoingFrame[] = [];
  #readyBytes = 0;
  #countedRequestBytes = 0;
  #countedResponseBytes = 0;
  #isPaused = false;
  #isPumping = false;
  #isFlushScheduled = false;
  /** Nothing more begins; the connection ends when all is answered. */
  #isDraining = false;
  #isEnded = false;
  #isClosed = false;

  constructor(
    transport: Transport,
    host: SessionHost,
    options: { readonly advertised: { readonly host: string; readonly port: number }; readonly isLocal: boolean },
  ) {
    this.#transport = transport;
    this.#host = host;
    this.advertised = options.advertised;
    this.isLocal = options.isLocal;
    this.clientHost = `/${transport.remoteAddress.slice(0, transport.remoteAddress.lastIndexOf(':'))}`;
    this.lastActivityMs = host.nowMs();
    transport.onClose((reason) => this.#onClose(reason));
    transport.onDrain(() => {
      this.lastActivityMs = host.nowMs();
      this.#pump();
    });
    transport.onFrame((frame) => this.#onFrame(frame));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  onClose(listener: () => void): () => void {
    this.#closeListeners.add(listener);
    return () => void this.#closeListeners.delete(listener);
  }

  /** Nothing is in flight, and the peer has taken all its answers. */
  get isIdle(): boolean {
    return this.#inFlight.length === 0 && this.heldResponseBytes === 0;
  }

  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  /** Bytes of requests that are not whole, or wait for those before them. */
  get notBegunBytes(): number {
    return this.#waitingBytes + this.#transport.pendingBytes;
  }

  get heldResponseBytes(): number {
    return this.#readyBytes + this.#transport.bufferedBytes;
  }

  /** Begins nothing more, and ends the connection when everything is answered. */
  drain(): void {
    this.#isDraining = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#pump();
  }

  destroy(reason?: Error): void {
    this.#transport.destroy(reason);
  }

  /** Looks anew whether to read on. */
  reconsider(): void {
    this.#pump();
  }

  /** A chunk came: a frame that is not whole may have grown. */
  chunkReceived(byteLength: number): void {
    this.#host.traffic.bytesIn += byteLength;
    this.#pump();
  }

  /** Sends the answers of this turn in one write. */
  flush(): void {
    this.#isFlushScheduled = false;
    if (this.#isClosed || this.#ready.length === 0) return;
    const frames = this.#ready;
    this.#ready = [];
    this.#host.traffic.bytesOut += this.#readyBytes;
    this.#readyBytes = 0;
    this.#transport.send(frames);
    this.#pump();
  }

  #onFrame(frame: Uint8Array): void {
    if (this.#isClosed || this.#isDraining) return;
    this.lastActivityMs = this.#host.nowMs();
    this.isNew = false;
    if (this.isLocal) this.#host.traffic.bytesIn += frame.length + 4;
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    this.#pump();
  }

  /** Begins what may begin, then reads on or stops reading. */
  #pump(): void {
    if (this.#isPumping || this.#isClosed) return;
    this.#isPumping = true;
    let begun = 0;
    while (begun < this.#waiting.length && !this.#isClosed && !this.#isDraining) {
      const frame = this.#waiting[begun]!;
      if (!this.#begin(frame)) break;
      begun++;
    }
    if (begun > 0) this.#waiting = this.#waiting.slice(begun);
    this.#isPumping = false;
    if (this.#isClosed) return;
    this.#count();
    if (this.#isDraining && this.#inFlight.length === 0) {
      this.#finishDraining();
      return;
    }
    const mustWait = this.#waiting.length > 0 || this.#host.isShortOfMemory();
    if (mustWait === this.#isPaused) return;
    this.#isPaused = mustWait;
    if (mustWait) this.#transport.pause();
    else this.#transport.resume();
  }

  /** False: not now. */
  #begin(frame: Uint8Array): boolean {
    const { limits } = this.#host;
    if (this.heldResponseBytes >= limits.maxQueuedResponseBytes) return false;
    // Everything but Produce begins alone; which it is stands in the first two bytes.
    const last = this.#inFlight.at(-1);
    if (last !== undefined) {
      const mayOverlap = last.overlaps && this.#handlerOfKey(frame)?.overlaps === true;
      if (!mayOverlap || this.#inFlight.length >= limits.maxInFlightRequests) return false;
      if (this.#inFlightBytes + frame.length > limits.maxInFlightBytes) return false;
    }
    this.#waitingBytes -= frame.length;
    this.#start(frame);
    return true;
  }

  #handlerOfKey(frame: Uint8Array): Handler | undefined {
    return frame.length < 4
      ? undefined
      : this.#host.handlers().find((frame[0]! << 8) | frame[1]!, (frame[2]! << 8) | frame[3]!);
  }

  #start(frame: Uint8Array): void {
    let entry: InFlight | undefined;
    try {
      const header = decodeRequestHeader(frame);
      const { maxRequestBytes } = this.#host.limits;
      if (frame.length > maxRequestBytes && header.apiKey !== apis.produce.key && !this.isLocal) {
        this.#fail(new RequestTooLong(header.apiKey, frame.length, maxRequestBytes), 'info');
        return;
      }
      const handler = this.#host.handlers().find(header.apiKey, header.apiVersion);
      if (handler === undefined) {
        if (header.apiKey !== apis.apiVersions.key) {
          this.#fail(new UnservedRequest(header.apiKey, header.apiVersion), 'info');
          return;
        }
        entry = this.#enter(frame.length, false);
        this.#finish(entry, unsupportedApiVersions(this.#host.handlers(), header.correlationId));
        return;
      }
      const counts = this.#host.traffic.requestCounts;
      counts[header.apiKey] = (counts[header.apiKey] ?? 0) + 1;
      const response = handler.respond(frame, header, this);
      entry = this.#enter(frame.length, handler.overlaps);
      if (response instanceof Promise) {
        const entered = entry;
        response.then(
          (settled) => this.#finish(entered, settled),
          (error: unknown) => this.#failRequest(error),
        );
      } else {
        this.#finish(entry, response);
      }
    } catch (error) {
      this.#failRequest(error);
    }
  }

  #enter(requestBytes: number, overlaps: boolean): InFlight {
    const entry: InFlight = { requestBytes, overlaps, response: null, isDone: false };
    this.#inFlight.push(entry);
    this.#inFlightBytes += requestBytes;
    return entry;
  }

  #finish(entry: InFlight, response: OutgoingFrame | null): void {
    if (this.#isClosed) return;
    entry.response = response;
    entry.isDone = true;
    this.lastActivityMs = this.#host.nowMs();
    // Answers leave in the order of their requests: what is done behind one that is not waits.
    while (this.#inFlight[0]?.isDone === true) {
      const first = this.#inFlight.shift()!;
      this.#inFlightBytes -= first.requestBytes;
      if (first.response === null) continue;
      this.#ready.push(first.response);
      this.#readyBytes += first.response.byteLength;
    }
    if (this.#ready.length > 0 && !this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      this.#host.flushLater(this);
    }
    this.#pump();
  }

  /** The peer's mistake is told quietly; anything else is ours, and shown with its stack. */
  #failRequest(error: unknown): void {
    this.#fail(error, isMillraceError(error) ? 'info' : 'error');
  }

  #fail(error: unknown, level: 'info' | 'error'): void {
    if (this.#isClosed) return;
    const context = {
      client: this.#transport.remoteAddress,
      error: error instanceof Error && level === 'error' ? error.stack : String(error),
    };
    this.#host.logger[level](context, 'a connection is closed: its request cannot be answered');
    this.#isDraining = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#inFlight.length = 0;
    this.#finishDraining();
  }

  #finishDraining(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.flush();
    if (!this.#isClosed) this.#transport.end();
  }

  /** Keeps the server's sums of what its sessions hold. */
  #count(): void {
    const { traffic } = this.#host;
    const requestBytes = this.#isClosed ? 0 : this.#inFlightBytes + this.notBegunBytes;
    const responseBytes = this.#isClosed ? 0 : this.heldResponseBytes;
    const isLess = requestBytes < this.#countedRequestBytes || responseBytes < this.#countedResponseBytes;
    traffic.heldRequestBytes += requestBytes - this.#countedRequestBytes;
    traffic.heldResponseBytes += responseBytes - this.#countedResponseBytes;
    this.#countedRequestBytes = requestBytes;
    this.#countedResponseBytes = responseBytes;
    if (isLess) this.#host.memoryFreed();
  }

  #onClose(reason: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#inFlight.length = 0;
    this.#ready = [];
    this.#readyBytes = 0;
    this.#count();
    for (const listener of this.#closeListeners) listener();
    this.#closeListeners.clear();
    this.#host.closed(this, reason);
  }
}

/** KIP-511: whatever version was asked for, the answer is of version 0 and tells which ones there are. */
function unsupportedApiVersions(handlers: HandlerRegistry, correlationId: number): OutgoingFrame {
  const own = handlers.all.find((handler) => handler.apiKey === apis.apiVersions.key);
  return encodeResponse(apis.apiVersions, 0, correlationId, {
    errorCode: errorCodes.UNSUPPORTED_VERSION,
    apiKeys: own === undefined ? [] : [{ apiKey: own.apiKey, minVersion: own.minVersion, maxVersion: own.maxVersion }],
  });
}

class RequestTooLong extends Error {
  constructor(apiKey: number, requestBytes: number, limit: number) {
    super(`A request of API ${apiKey} has ${requestBytes} bytes, above millrace.request.max.bytes (${limit}).`);
  }
}

class UnservedRequest extends Error {
  constructor(apiKey: number, apiVersion: number) {
    super(`API ${apiKey} version ${apiVersion} is not served. ApiVersions tells what is.`);
  }
}
