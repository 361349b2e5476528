import { describeError } from '../../../lib/errors.ts';
import { systemErrorCode } from '../../../lib/system-error.ts';
import { TeeError } from '../../errors.ts';

/** What firmware and kernel answer that is not there for good: busy, interrupted, limited, timed out. */
const PASSING: ReadonlySet<string> = new Set(['EBUSY', 'EAGAIN', 'EINTR', 'ETIMEDOUT', 'ETIME']);
const FORBIDDEN: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);

/** A failure of the hardware's interface as a coded error; TeeErrors stay as they are. */
export function describeFailure(what: string, error: unknown): TeeError {
  if (error instanceof TeeError) return error;
  const code = systemErrorCode(error);
  const reason = describeError(error);
  if (code !== undefined && PASSING.has(code))
    return new TeeError({ code: 'TEE_BUSY', what, reason }, { cause: error });
  const isForbidden = code !== undefined && FORBIDDEN.has(code);
  const more = isForbidden ? '; the account of the daemon needs the right to it (it is root alone by default)' : '';
  return new TeeError({ code: 'TEE_PRODUCE_FAILED', what, reason: `${reason}${more}` }, { cause: error });
}
