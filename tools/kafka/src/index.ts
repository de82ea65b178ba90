export { kafkaVersion, whyNoKafka } from './distribution.ts';
export { KafkaServer, kafkaTool } from './kafka-server.ts';
