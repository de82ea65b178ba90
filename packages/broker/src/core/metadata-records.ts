import protobuf from 'protobufjs/minimal.js';

/**
 * The records of `__cluster_metadata-0`, as `cluster-metadata.proto` has them. Coded by hand on protobufjs's reader and writer: the
 * reflection that would do it from the `.proto` costs the start of every broker more than all else (a test compares the two).
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

const varint = 0;
const lengthDelimited = 2;
const tag = (field: number, wireType: number): number => (field << 3) | wireType;

/** The same subject is always the same bytes: compaction compares them. */
export function encodeMetadataKey(key: MetadataKey): Uint8Array {
  const writer = protobuf.Writer.create();
  switch (key.subject) {
    case 'cluster':
      return writer.uint32(tag(1, varint)).bool(true).finish();
    case 'topic':
      return writer.uint32(tag(2, lengthDelimited)).string(key.topicId).finish();
    case 'producerIds':
      return writer.uint32(tag(3, varint)).bool(true).finish();
  }
}

/** undefined: a subject of a later version. */
export function decodeMetadataKey(bytes: Uint8Array): MetadataKey | undefined {
  const reader = protobuf.Reader.create(bytes);
  let key: MetadataKey | undefined;
  while (reader.pos < reader.len) {
    const next = reader.uint32();
    if (next === tag(1, varint) && reader.bool()) key = { subject: 'cluster' };
    else if (next === tag(2, lengthDelimited)) key = { subject: 'topic', topicId: reader.string() };
    else if (next === tag(3, varint) && reader.bool()) key = { subject: 'producerIds' };
    else if (next !== tag(1, varint) && next !== tag(3, varint)) reader.skipType(next & 7);
  }
  return key;
}

export function encodeMetadataValue(value: MetadataValue): Uint8Array {
  const writer = protobuf.Writer.create();
  switch (value.subject) {
    case 'cluster':
      writer.uint32(tag(1, lengthDelimited)).fork();
      writer.uint32(tag(1, lengthDelimited)).string(value.clusterId);
      writer.uint32(tag(2, varint)).uint64(value.brokerEpoch);
      break;
    case 'topic':
      writer.uint32(tag(2, lengthDelimited)).fork();
      writer.uint32(tag(1, lengthDelimited)).string(value.name);
      writer.uint32(tag(2, varint)).uint32(value.partitionCount);
      for (const [name, text] of value.configs) {
        writer.uint32(tag(3, lengthDelimited)).fork();
        writer.uint32(tag(1, lengthDelimited)).string(name);
        writer.uint32(tag(2, lengthDelimited)).string(text);
        writer.ldelim();
      }
      if (value.isDeleting) writer.uint32(tag(4, varint)).bool(true);
      break;
    case 'producerIds':
      writer.uint32(tag(3, lengthDelimited)).fork();
      writer.uint32(tag(1, varint)).uint64(value.nextProducerId);
      break;
  }
  return writer.ldelim().finish();
}

/** undefined: a state of a later version. */
export function decodeMetadataValue(bytes: Uint8Array): MetadataValue | undefined {
  const reader = protobuf.Reader.create(bytes);
  let value: MetadataValue | undefined;
  while (reader.pos < reader.len) {
    const next = reader.uint32();
    if (next === tag(1, lengthDelimited)) value = decodeCluster(reader, reader.uint32() + reader.pos);
    else if (next === tag(2, lengthDelimited)) value = decodeTopic(reader, reader.uint32() + reader.pos);
    else if (next === tag(3, lengthDelimited)) value = decodeProducerIds(reader, reader.uint32() + reader.pos);
    else reader.skipType(next & 7);
  }
  return value;
}

function decodeCluster(reader: protobuf.Reader, end: number): MetadataValue {
  let clusterId = '';
  let brokerEpoch = 0;
  while (reader.pos < end) {
    const next = reader.uint32();
    if (next === tag(1, lengthDelimited)) clusterId = reader.string();
    else if (next === tag(2, varint)) brokerEpoch = Number(reader.uint64());
    else reader.skipType(next & 7);
  }
  return { subject: 'cluster', clusterId, brokerEpoch };
}

function decodeTopic(reader: protobuf.Reader, end: number): MetadataValue {
  let name = '';
  let partitionCount = 0;
  const configs = new Map<string, string>();
  let isDeleting = false;
  while (reader.pos < end) {
    const next = reader.uint32();
    if (next === tag(1, lengthDelimited)) name = reader.string();
    else if (next === tag(2, varint)) partitionCount = reader.uint32();
    else if (next === tag(3, lengthDelimited)) decodeConfig(reader, reader.uint32() + reader.pos, configs);
    else if (next === tag(4, varint)) isDeleting = reader.bool();
    else reader.skipType(next & 7);
  }
  return { subject: 'topic', name, partitionCount, configs, isDeleting };
}

function decodeConfig(reader: protobuf.Reader, end: number, into: Map<string, string>): void {
  let name = '';
  let text = '';
  while (reader.pos < end) {
    const next = reader.uint32();
    if (next === tag(1, lengthDelimited)) name = reader.string();
    else if (next === tag(2, lengthDelimited)) text = reader.string();
    else reader.skipType(next & 7);
  }
  into.set(name, text);
}

function decodeProducerIds(reader: protobuf.Reader, end: number): MetadataValue {
  let nextProducerId = 0;
  while (reader.pos < end) {
    const next = reader.uint32();
    if (next === tag(1, varint)) nextProducerId = Number(reader.uint64());
    else reader.skipType(next & 7);
  }
  return { subject: 'producerIds', nextProducerId };
}
