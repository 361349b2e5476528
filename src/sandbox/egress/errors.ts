import { SandboxError } from '../errors.ts';

/** The error of a listener that did not come to be in a sandbox. */
export function startListenerFailed(reason: string, cause?: unknown): SandboxError {
  return new SandboxError({ code: 'SANDBOX_EGRESS_UNAVAILABLE', reason }, { cause });
}
