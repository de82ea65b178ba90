/** What the files of a segment are called: twenty digits of its base offset, and what they hold. */
export const suffixes = {
  log: '.log',
  offsetIndex: '.index',
  timeIndex: '.timeindex',
  txnIndex: '.txnindex',
  snapshot: '.snapshot',
  /** About to be removed. */
  deleted: '.deleted',
  /** Being written by a compaction. */
  cleaned: '.cleaned',
  /** Written by a compaction, and taking the place of what it replaces. */
  swap: '.swap',
} as const;

export function segmentFileName(baseOffset: number, suffix: string): string {
  return `${String(baseOffset).padStart(20, '0')}${suffix}`;
}

/** The offset a file is named by; undefined: it is no file of a segment. */
export function offsetOfFileName(name: string): number | undefined {
  const match = /^(\d{20})\./.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** What a log's directory is called while it is removed. A file name has at most 255 bytes: of a long topic the beginning must do. */
export function graveName(topic: string, partition: number, topicId: string): string {
  const rest = `-${partition}.${topicId}-delete`;
  return topic.slice(0, 255 - rest.length) + rest;
}
