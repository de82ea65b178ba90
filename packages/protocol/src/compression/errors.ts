import { CorruptBatchError } from '../errors.ts';
import type { CompressionType } from './compression-type.ts';

export function tooLarge(type: CompressionType, maxBytes: number): CorruptBatchError {
  return new CorruptBatchError(
    `${type} data inflates beyond the limit of ${maxBytes} bytes`,
    { type, maxBytes },
    undefined,
    'Raise the limit if batches may be so large.',
  );
}

export function malformed(type: CompressionType, problem: string, cause?: unknown): CorruptBatchError {
  return new CorruptBatchError(`Malformed ${type} data: ${problem}`, { type }, cause);
}
