import { RequestRefusedError } from './errors.ts';

const legal = /^[a-zA-Z0-9._-]{1,249}$/;

/** Topics that only coordinators write, and that are made when they are first needed. */
export const internalTopics: readonly string[] = ['__consumer_offsets', '__transaction_state'];

export function isInternalTopic(name: string): boolean {
  return internalTopics.includes(name);
}

/** Kafka's rules. @throws {RequestRefusedError} `INVALID_TOPIC_EXCEPTION` */
export function validateTopicName(name: string): void {
  if (legal.test(name) && name !== '.' && name !== '..' && name !== metadataTopic) return;
  const reason =
    name === metadataTopic
      ? 'it is the name of the log that holds the cluster metadata'
      : name === ''
        ? 'it is empty'
        : name === '.' || name === '..'
          ? 'it cannot be "." or ".."'
          : name.length > 249
            ? `it has ${name.length} characters, at most 249 are allowed`
            : 'only letters, digits, ".", "_" and "-" are allowed';
  throw new RequestRefusedError(
    'INVALID_TOPIC_EXCEPTION',
    `Topic name ${JSON.stringify(name.slice(0, 260))} is invalid: ${reason}.`,
    { context: { topic: name } },
  );
}

/** Where the cluster metadata lies; no topic of that name is shown to clients. */
export const metadataTopic = '__cluster_metadata';

/** `a.b` and `a_b` would have one name in metrics, where dots become underscores: Kafka refuses the second. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_');
}
