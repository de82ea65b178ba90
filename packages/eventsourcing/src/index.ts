/**
 * `@millrace/eventsourcing`: deciders, commands with replies, projections, process managers.
 * A decider is pure; the pipeline around it gives one writer per aggregate, once per command, without locks.
 */
export {
  openCommandBus,
  type CommandBus,
  type CommandBusOptions,
  type Reply,
  type SendOptions,
} from './command-bus.ts';
export {
  decider,
  reject,
  type Aggregate,
  type DecideContext,
  type Decider,
  type DeciderSpec,
  type Rejection,
  type Typed,
} from './decider.ts';
export {
  CommandBusClosedError,
  CommandIdReusedError,
  CommandTimeoutError,
  InvalidCommandError,
  type EventSourcingErrorCode,
} from './errors.ts';
export { handleCommands, type HandledCommands, type HandleOptions, type RejectionRecord } from './handle-commands.ts';
export { metadataOf, type MessageMetadata } from './message-metadata.ts';
export {
  processManager,
  type Action,
  type ProcessInput,
  type ProcessManager,
  type ProcessManagerSpec,
  type ProcessTools,
  type Reaction,
} from './process-manager.ts';
export { projection, type Handlers, type ProjectedRows, type ProjectionSpec } from './projection.ts';
export { replies, type ReplyRecord } from './replies.ts';
export { processTopic, runProcess, type RunningProcess, type RunningProcesses } from './run-process.ts';
export { versionedJson, type Upcasts } from './versioned-json.ts';
export { isMillraceError, type MillraceError } from '@millrace/platform';
