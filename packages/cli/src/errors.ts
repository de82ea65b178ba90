import { MillraceError } from '@millrace/platform';

/** A command line that cannot be meant: an unknown file, a config that is no object. */
export class UsageError extends MillraceError {
  readonly code = 'USAGE';
}

/** `topic create` of one that is there. */
export class TopicExistsError extends MillraceError {
  readonly code = 'TOPIC_ALREADY_EXISTS';
  constructor(topic: string) {
    super(`There is a topic ${topic} already. Choose another name, or say --if-not-exists.`, { context: { topic } });
  }
}

/** A group that nobody has joined, and that has committed nothing. */
export class UnknownGroupError extends MillraceError {
  readonly code = 'GROUP_ID_NOT_FOUND';
  constructor(groupId: string) {
    super(`There is no group ${groupId}. \`millrace group list\` has those there are.`, { context: { groupId } });
  }
}

/** Offsets of a group are its members' to move while there are any. */
export class GroupInUseError extends MillraceError {
  readonly code = 'NON_EMPTY_GROUP';
  constructor(groupId: string, memberCount: number) {
    super(`The group ${groupId} has members (${memberCount}). Stop them first.`, { context: { groupId, memberCount } });
  }
}
