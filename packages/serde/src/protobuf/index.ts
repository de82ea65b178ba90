export { protobuf, type ProtobufClass, type ProtobufValue } from './protobuf.ts';
