import { Broker } from '@millrace/broker';

// A directory instead of 'memory' keeps everything on disk; acks=all is then answered after an fdatasync.
await using broker = await Broker.open({
  data: 'memory',
  listen: { port: 0 }, // any free one; 9092 is what clients try first
  config: { 'num.partitions': 3, 'auto.create.topics.enable': false },
});

// kcat, kafkajs, librdkafka and the Java client connect here; in this process a client takes `broker` itself.
console.log(`bootstrap.servers=${broker.address}`);

const { connectionCount, partitionCount } = broker.metrics();
console.log(`${connectionCount} connections, ${partitionCount} partitions`);

// Errors have a code, say where, and what to do.
const mistake = await Broker.open({ data: 'memory', config: { 'num.partitons': 3 } }).catch((error: Error) => error);
if (mistake instanceof Error) console.log(mistake.message);

// Between two tests: no topics, no groups, no transactions, same port.
await broker.reset();
