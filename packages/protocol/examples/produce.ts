import {
  apis,
  decodeRequest,
  decodeRequestHeader,
  encodeRequest,
  encodeResponse,
  errorCodes,
  FrameSplitter,
  RecordBatchWriter,
  RecordReader,
  validateBatch,
} from '@millrace/protocol';

// A producer builds a batch, and a request around it.
const writer = new RecordBatchWriter();
writer.append(1_700_000_000_000, Buffer.from('alice'), Buffer.from('{"total":12}'));
writer.append(1_700_000_000_250, Buffer.from('bob'), null, [['reason', Buffer.from('deleted')]]);
const batch = writer.close({ compression: 'lz4' });
const request = encodeRequest(
  apis.produce,
  9,
  { correlationId: 1, clientId: 'example' },
  { acks: -1, timeoutMs: 30_000, topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batch }] }] },
);
console.log(`request: ${request.byteLength} bytes in ${request.parts.length} parts`);

// A broker cuts the stream into frames, whatever the chunks.
const splitter = new FrameSplitter({ maxFrameBytes: 104_857_600 });
for (const chunk of request.parts) splitter.push(chunk, serve);

function serve(frame: Uint8Array): void {
  const { apiKey, apiVersion, correlationId, clientId, bodyPosition } = decodeRequestHeader(frame);
  console.log(`api ${apiKey} version ${apiVersion} of ${clientId}`);
  const { topicData } = decodeRequest(apis.produce, apiVersion, frame, bodyPosition);
  const reader = new RecordReader();
  for (const { name, partitionData } of topicData) {
    for (const { index, records } of partitionData) {
      if (!(records instanceof Uint8Array)) continue;
      validateBatch(records, 0);
      reader.reset(records, 0);
      while (reader.next()) {
        const value = reader.value === null ? 'null' : Buffer.from(reader.value).toString();
        const headers = reader
          .headers()
          .map(([header, content]) => `${header}=${Buffer.from(content ?? []).toString()}`);
        console.log(
          `${name}-${index} @${reader.offset} ${Buffer.from(reader.key!).toString()}: ${value} ${headers.join()}`,
        );
      }
    }
  }
  const response = encodeResponse(apis.produce, apiVersion, correlationId, {
    responses: [{ name: 'orders', partitionResponses: [{ index: 0, errorCode: errorCodes.NONE, baseOffset: 42 }] }],
  });
  console.log(`response: ${response.byteLength} bytes`);
}
