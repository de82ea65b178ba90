import { isMillraceError } from '@millrace/platform';
import { prepareCompression } from '@millrace/protocol';

/**
 * Makes zstd readable on Nodes before 22.15, where its module is installed. Where it is not, whoever meets a zstd batch says so,
 * and everything else works.
 */
export async function loadZstd(): Promise<void> {
  try {
    await prepareCompression('zstd');
  } catch (error) {
    if (!isMillraceError(error, 'UNSUPPORTED_COMPRESSION_TYPE')) throw error;
  }
}
