import { describeError } from '../lib/errors.ts';
import { StorageError } from './errors.ts';

/** What is read when a database is opened, in messages. */
export const OPENING = 'its list of files';

export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** LevelDB tells a full disk and a damaged file only in the text of its status (`IO error: …: No space left on device`). */
export function toStorageError(error: unknown, path: string, where: string): StorageError {
  if (error instanceof StorageError) return error;
  const code = errorCode(error);
  const reason = describeError(error);
  if (/no space left on device|disk quota exceeded/i.test(reason)) {
    return new StorageError({ code: 'STORAGE_FULL', path }, { cause: error });
  }
  // A file that CURRENT or the manifest names and that is not there: the folder itself is made before.
  const isFileMissing = where === OPENING && code.startsWith('LEVEL_') && /no such file/i.test(reason);
  if (isFileMissing || code === 'LEVEL_CORRUPTION' || /^corruption:/i.test(reason)) {
    return new StorageError({ code: 'STORAGE_CORRUPT', path, where, reason }, { cause: error });
  }
  if (code === 'LEVEL_DATABASE_NOT_OPEN' || code === 'LEVEL_ITERATOR_NOT_OPEN') {
    return new StorageError({ code: 'STORAGE_CLOSED', path }, { cause: error });
  }
  return new StorageError({ code: 'STORAGE_IO', path, reason }, { cause: error });
}
