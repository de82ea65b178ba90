import { expectTypeOf } from 'vitest';
import {
  apis,
  decodeMessage,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  recordSchemas,
  type ApiSchema,
  type RequestInput,
  type RequestOf,
  type ResponseInput,
  type ResponseOf,
} from './index.ts';

// A decoded message has every field, mutable, with null only where some version allows it.
expectTypeOf<RequestOf<typeof apis.heartbeat>>().toEqualTypeOf<{
  groupId: string;
  generationId: number;
  memberId: string;
  groupInstanceId: string | null;
}>();

expectTypeOf<ResponseOf<typeof apis.initProducerId>>().toEqualTypeOf<{
  throttleTimeMs: number;
  errorCode: number;
  producerId: number;
  producerEpoch: number;
}>();

// Arrays of structs, of primitives, and nullable arrays.
expectTypeOf<RequestOf<typeof apis.metadata>['topics']>().toEqualTypeOf<
  { topicId: string; name: string | null }[] | null
>();
expectTypeOf<RequestOf<typeof apis.deleteTopics>['topicNames']>().toEqualTypeOf<string[]>();
expectTypeOf<RequestOf<typeof apis.endTxn>['committed']>().toEqualTypeOf<boolean>();
expectTypeOf<RequestOf<typeof apis.saslAuthenticate>['authBytes']>().toEqualTypeOf<Uint8Array>();

type FetchedPartition = ResponseOf<typeof apis.fetch>['responses'][number]['partitions'][number];
expectTypeOf<FetchedPartition['currentLeader']>().toEqualTypeOf<{ leaderId: number; leaderEpoch: number }>();
expectTypeOf<FetchedPartition['abortedTransactions']>().toEqualTypeOf<
  { producerId: number; firstOffset: number }[] | null
>();

// An input may leave out anything, takes readonly arrays, and stored batches as parts.
expectTypeOf<{}>().toExtend<RequestInput<typeof apis.produce>>();
expectTypeOf<RequestInput<typeof apis.heartbeat>>().toEqualTypeOf<{
  readonly groupId?: string | undefined;
  readonly generationId?: number | undefined;
  readonly memberId?: string | undefined;
  readonly groupInstanceId?: string | null | undefined;
}>();
type SentPartition = NonNullable<
  NonNullable<ResponseInput<typeof apis.fetch>['responses']>[number]['partitions']
>[number];
expectTypeOf<readonly Uint8Array[]>().toExtend<SentPartition['records']>();

// What was decoded can be encoded.
expectTypeOf<ResponseOf<typeof apis.describeGroups>>().toExtend<ResponseInput<typeof apis.describeGroups>>();

// Every API is one, and functions infer from it.
expectTypeOf<(typeof apis)[keyof typeof apis]>().toExtend<ApiSchema>();
expectTypeOf(decodeResponse(apis.findCoordinator, 4, new Uint8Array()).coordinators[0]!.host).toEqualTypeOf<string>();
expectTypeOf(decodeMessage(recordSchemas.offsetCommitValue, 3, new Uint8Array()).leaderEpoch).toEqualTypeOf<number>();

const header = { correlationId: 1, clientId: null };
// @ts-expect-error There is no such field.
encodeRequest(apis.heartbeat, 0, header, { group: 'g' });
// @ts-expect-error Its type is another.
encodeRequest(apis.heartbeat, 0, header, { groupId: 5 });
// @ts-expect-error A group id is never null.
encodeRequest(apis.heartbeat, 0, header, { groupId: null });
// @ts-expect-error 64-bit integers are numbers.
encodeResponse(apis.initProducerId, 0, 1, { producerId: 5n });
// @ts-expect-error Nested fields are checked too.
encodeRequest(apis.metadata, 1, header, { topics: [{ title: 'orders' }] });
