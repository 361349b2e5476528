import { describeError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'this user may not read it',
};

/** Why a file cannot be read, in words; the path is said by whoever tells it. */
export function describeFileProblem(error: unknown): string {
  return REASONS[systemErrorCode(error) ?? ''] ?? describeError(error);
}
