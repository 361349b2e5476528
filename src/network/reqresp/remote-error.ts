import { DaemonError } from '../../lib/errors.ts';
import { NetworkError } from '../errors.ts';

/** Codes that the transport itself answers with. */
export const REMOTE_BUSY_CODE = 'NETWORK_BUSY';
export const REMOTE_RATE_CODE = 'NETWORK_RATE_LIMITED';
export const REMOTE_INTERNAL_CODE = 'NETWORK_INTERNAL';
export const REMOTE_NO_HANDLER_CODE = 'NETWORK_NO_HANDLER';
export const REMOTE_BAD_MESSAGE_CODE = 'NETWORK_BAD_MESSAGE';

const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;

/** The code that leaves this node for an error of a handler: never its message, never its stack. */
export function describeForRemote(error: unknown): string {
  if (!(error instanceof DaemonError)) return REMOTE_INTERNAL_CODE;
  // instanceof leaves the type parameter open.
  const { code } = (error as DaemonError).info;
  return CODE.test(code) ? code : REMOTE_INTERNAL_CODE;
}

/** The error that a code from a peer becomes here. What is no code is not repeated. */
export function parseRemoteError(body: unknown, peer: string, protocol: string): NetworkError {
  const remoteCode = typeof body === 'string' && CODE.test(body) ? body : 'UNKNOWN';
  return remoteCode === REMOTE_BUSY_CODE || remoteCode === REMOTE_RATE_CODE
    ? new NetworkError({ code: 'NETWORK_REMOTE_BUSY', peer, protocol })
    : new NetworkError({ code: 'NETWORK_REMOTE_ERROR', peer, protocol, remoteCode });
}
