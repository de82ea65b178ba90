import { fieldsOf, messageField, numberOf, textField, textOf, varintField } from './protobuf-wire.ts';

/**
 * The records of `__cluster_metadata-0`, as `cluster-metadata.proto` has them (a test compares the two). Coded by hand on its fields: what would do it
 * from the `.proto` costs the start of every broker more than all else.
 */
export type MetadataKey =
  | { readonly subject: 'cluster' }
  | { readonly subject: 'topic'; readonly topicId: string }
  | { readonly subject: 'producerIds' };

export type MetadataValue =
  | { readonly subject: 'cluster'; readonly clusterId: string; readonly brokerEpoch: number }
  | {
      readonly subject: 'topic';
      readonly name: string;
      readonly partitionCount: number;
      readonly configs: ReadonlyMap<string, string>;
      readonly isDeleting: boolean;
    }
  | { readonly subject: 'producerIds'; readonly nextProducerId: number };

export type TopicValue = Extract<MetadataValue, { readonly subject: 'topic' }>;

/** The same subject is always the same bytes: compaction compares them. */
export function encodeMetadataKey(key: MetadataKey): Uint8Array {
  switch (key.subject) {
    case 'cluster':
      return varintField(1, true);
    case 'topic':
      return textField(2, key.topicId);
    case 'producerIds':
      return varintField(3, true);
  }
}

/** undefined: a subject of a later version. @throws {CorruptLogError} */
export function decodeMetadataKey(bytes: Uint8Array): MetadataKey | undefined {
  let key: MetadataKey | undefined;
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') {
      if (number === 1 && value !== 0) key = { subject: 'cluster' };
      else if (number === 3 && value !== 0) key = { subject: 'producerIds' };
    } else if (number === 2) key = { subject: 'topic', topicId: textOf(value) };
  }
  return key;
}

export function encodeMetadataValue(value: MetadataValue): Uint8Array {
  switch (value.subject) {
    case 'cluster':
      return messageField(1, [textField(1, value.clusterId), varintField(2, value.brokerEpoch)]);
    case 'topic':
      return messageField(2, [
        textField(1, value.name),
        varintField(2, value.partitionCount),
        ...Array.from(value.configs, ([name, text]) => messageField(3, [textField(1, name), textField(2, text)])),
        ...(value.isDeleting ? [varintField(4, true)] : []),
      ]);
    case 'producerIds':
      return messageField(3, [varintField(1, value.nextProducerId)]);
  }
}

/** undefined: a state of a later version. @throws {CorruptLogError} */
export function decodeMetadataValue(bytes: Uint8Array): MetadataValue | undefined {
  let decoded: MetadataValue | undefined;
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') continue; // of a later version, as is a field with another wire type than ours below
    if (number === 1) decoded = decodeCluster(value);
    else if (number === 2) decoded = decodeTopic(value);
    else if (number === 3) decoded = decodeProducerIds(value);
  }
  return decoded;
}

function decodeCluster(bytes: Uint8Array): MetadataValue {
  let clusterId = '';
  let brokerEpoch = 0;
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') {
      if (number === 2) brokerEpoch = numberOf(value);
    } else if (number === 1) clusterId = textOf(value);
  }
  return { subject: 'cluster', clusterId, brokerEpoch };
}

function decodeTopic(bytes: Uint8Array): MetadataValue {
  let name = '';
  let partitionCount = 0;
  const configs = new Map<string, string>();
  let isDeleting = false;
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') {
      if (number === 2) partitionCount = numberOf(value);
      else if (number === 4) isDeleting = value !== 0;
    } else if (number === 1) name = textOf(value);
    else if (number === 3) configs.set(...decodeConfig(value));
  }
  return { subject: 'topic', name, partitionCount, configs, isDeleting };
}

function decodeConfig(bytes: Uint8Array): [name: string, text: string] {
  let name = '';
  let text = '';
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') continue;
    if (number === 1) name = textOf(value);
    else if (number === 2) text = textOf(value);
  }
  return [name, text];
}

function decodeProducerIds(bytes: Uint8Array): MetadataValue {
  let nextProducerId = 0;
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number' && number === 1) nextProducerId = numberOf(value);
  }
  return { subject: 'producerIds', nextProducerId };
}
