import { apis } from '@millrace/protocol';
import { errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';

const legalSoftware = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;
const firstVersionWithSoftware = 3;

/**
 * ApiVersions. Advertises the handlers, itself included. (Of a version that is not served, the session makes the answer.)
 * @param handlers asked for with the first request: this one is among them
 */
export function apiVersions(handlers: () => readonly Handler[]): Handler {
  return handlerOf(apis.apiVersions, [0, 4], (request, context) => {
    const { clientSoftwareName, clientSoftwareVersion } = request;
    const isLegal = legalSoftware.test(clientSoftwareName) && legalSoftware.test(clientSoftwareVersion);
    if (context.apiVersion >= firstVersionWithSoftware && !isLegal) return { errorCode: errorCodes.INVALID_REQUEST };
    return {
      errorCode: errorCodes.NONE,
      apiKeys: handlers().map(({ apiKey, minVersion, maxVersion }) => ({ apiKey, minVersion, maxVersion })),
    };
  });
}
