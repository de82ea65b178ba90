import { MillraceError } from '@millrace/platform';

/** A command line that cannot be meant: an unknown file, a config that is no object. */
export class UsageError extends MillraceError {
  readonly code = 'USAGE';
}
