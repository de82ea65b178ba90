import { MillraceError } from '@millrace/platform';

/** Codes of this package's errors. */
export type EventSourcingErrorCode = 'COMMAND_TIMEOUT' | 'COMMAND_ID_REUSED' | 'INVALID_COMMAND' | 'CLOSED';

/** No reply came in time: whether the command took effect is unknown. */
export class CommandTimeoutError extends MillraceError {
  readonly code = 'COMMAND_TIMEOUT';
  constructor(decider: string, id: string, commandId: string, timeoutMs: number) {
    super(
      `No reply to a command for ${decider} ${id} within ${timeoutMs} ms; whether it took effect is unknown. ` +
        `Send it again with commandId '${commandId}': it has its effect once. Does the app that handles ${decider} run?`,
      { context: { decider, id, commandId, timeoutMs }, retriable: true },
    );
  }
}

/** Two different commands were sent under one id. The second had no effect. */
export class CommandIdReusedError extends MillraceError {
  readonly code = 'COMMAND_ID_REUSED';
  constructor(decider: string, id: string, commandId: string) {
    super(
      `Another command for ${decider} ${id} had the id '${commandId}' before. This one had no effect: give it an id of its own.`,
      { context: { decider, id, commandId } },
    );
  }
}

/** A record on a topic of commands whose headers make no sense. */
export class InvalidCommandError extends MillraceError {
  readonly code = 'INVALID_COMMAND';
  constructor(decider: string, id: string, reason: string) {
    super(`A command for ${decider} ${id} is invalid: ${reason}. Correct its producer; onError can let it go.`, {
      context: { decider, id, reason },
    });
  }
}

/** The bus is closed, or its connection has failed (`cause`). Whether commands on their way take effect is unknown. */
export class CommandBusClosedError extends MillraceError {
  readonly code = 'CLOSED';
  constructor(cause?: unknown) {
    super('The command bus is closed. Open another one; what had no reply is sent again with its commandId.', {
      cause,
    });
  }
}
