import { decodeMessage, encodeMessage, messageVersion, recordSchemas } from '@millrace/protocol';
import type { CoordinatorRecord } from '../coordinator-log.ts';
import type { CommittedOffset } from './offsets.ts';

/** What `__consumer_offsets` holds: Kafka's records, so that Kafka's own tools can read it. */
export type GroupRecord =
  | {
      readonly kind: 'offset';
      readonly groupId: string;
      readonly topic: string;
      readonly partition: number;
      readonly value: CommittedOffset | null;
    }
  | { readonly kind: 'group'; readonly groupId: string; readonly value: StoredGroup | null };

export interface StoredGroup {
  /** null: the group only stores offsets. */
  readonly protocolType: string | null;
  readonly generationId: number;
  readonly protocolName: string | null;
  readonly leader: string | null;
  /** When its state began; null: unknown (written by an old broker). */
  readonly stateTimestampMs: number | null;
  readonly members: readonly StoredMember[];
}

export interface StoredMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** Its metadata for the chosen protocol. */
  readonly subscription: Uint8Array;
  readonly assignment: Uint8Array;
}

const offsetKeyVersion = 1;
const groupKeyVersion = 2;
// The highest versions that are not flexible: what Kafka writes too. Only version 1 of an offset has an expiry of its own.
const offsetValueVersion = 3;
const expiringOffsetValueVersion = 1;
const groupValueVersion = 3;

export function offsetRecord(
  groupId: string,
  topic: string,
  partition: number,
  value: CommittedOffset | null,
): CoordinatorRecord {
  return {
    key: encodeMessage(recordSchemas.offsetCommitKey, offsetKeyVersion, { group: groupId, topic, partition }),
    value:
      value &&
      encodeMessage(
        recordSchemas.offsetCommitValue,
        value.expireTimestampMs === null ? offsetValueVersion : expiringOffsetValueVersion,
        {
          offset: value.offset,
          leaderEpoch: value.leaderEpoch,
          metadata: value.metadata,
          commitTimestamp: value.commitTimestampMs,
          expireTimestamp: value.expireTimestampMs ?? -1,
        },
      ),
  };
}

export function groupRecord(groupId: string, value: StoredGroup | null): CoordinatorRecord {
  return {
    key: encodeMessage(recordSchemas.groupMetadataKey, groupKeyVersion, { group: groupId }),
    value:
      value &&
      encodeMessage(recordSchemas.groupMetadataValue, groupValueVersion, {
        protocolType: value.protocolType ?? '',
        generation: value.generationId,
        protocol: value.protocolName,
        leader: value.leader,
        currentStateTimestamp: value.stateTimestampMs ?? -1,
        members: value.members.map((member) => ({
          memberId: member.memberId,
          groupInstanceId: member.groupInstanceId,
          clientId: member.clientId,
          clientHost: member.clientHost,
          rebalanceTimeout: member.rebalanceTimeoutMs,
          sessionTimeout: member.sessionTimeoutMs,
          subscription: member.subscription,
          assignment: member.assignment,
        })),
      }),
  };
}

/** undefined: a record of a kind that is not known here (of a consumer group of KIP-848, say). Keeps nothing of the bytes. */
export function decodeGroupRecord(record: CoordinatorRecord, recordOffset: number): GroupRecord | undefined {
  const { key, value } = record;
  const version = messageVersion(key);
  if (version === 0 || version === offsetKeyVersion) {
    const { group: groupId, topic, partition } = decodeMessage(recordSchemas.offsetCommitKey, version, key);
    return { kind: 'offset', groupId, topic, partition, value: value && decodeOffset(value, recordOffset) };
  }
  if (version === groupKeyVersion) {
    const { group: groupId } = decodeMessage(recordSchemas.groupMetadataKey, version, key);
    return { kind: 'group', groupId, value: value && decodeGroup(value) };
  }
  return undefined;
}

function decodeOffset(value: Uint8Array, recordOffset: number): CommittedOffset {
  const decoded = decodeMessage(recordSchemas.offsetCommitValue, messageVersion(value), value);
  return {
    offset: decoded.offset,
    leaderEpoch: decoded.leaderEpoch,
    metadata: decoded.metadata,
    commitTimestampMs: decoded.commitTimestamp,
    expireTimestampMs: decoded.expireTimestamp < 0 ? null : decoded.expireTimestamp,
    recordOffset,
  };
}

function decodeGroup(value: Uint8Array): StoredGroup {
  const decoded = decodeMessage(recordSchemas.groupMetadataValue, messageVersion(value), value);
  return {
    protocolType: decoded.protocolType === '' ? null : decoded.protocolType,
    generationId: decoded.generation,
    protocolName: decoded.protocol,
    leader: decoded.leader,
    stateTimestampMs: decoded.currentStateTimestamp < 0 ? null : decoded.currentStateTimestamp,
    members: decoded.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeout < 0 ? member.sessionTimeout : member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      subscription: new Uint8Array(member.subscription),
      assignment: new Uint8Array(member.assignment),
    })),
  };
}
