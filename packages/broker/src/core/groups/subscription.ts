import { decodeMessage, recordSchemas } from '@millrace/protocol';
import { isMillraceError } from '@millrace/platform';

/** The protocol type of Kafka's consumers. Others (Kafka Connect's, say) have metadata that only they understand. */
export const consumerProtocolType = 'consumer';

/** The topics in a consumer's metadata; null: it is not what Kafka's consumers send. */
export function subscribedTopicsIn(metadata: Uint8Array): readonly string[] | null {
  try {
    // Every later version begins with the fields of version 0.
    return decodeMessage(recordSchemas.consumerProtocolSubscription, 0, metadata).topics;
  } catch (error) {
    if (isMillraceError(error)) return null;
    throw error;
  }
}
