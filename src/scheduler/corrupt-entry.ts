import { StorageError } from '../storage/errors.ts';
import { SchedulerError } from './errors.ts';

/** True for damage of what is stored; false for a disk that is full, or a database that is closed. */
export function isDamage(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'STORAGE_CORRUPT';
}

/** An entry that the database found damaged, as one of a job that cannot be gone on with. */
export function toCorruptEntry(error: StorageError): SchedulerError {
  const { info } = error;
  const key = info.code === 'STORAGE_CORRUPT' ? info.where : info.path;
  return new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key, reason: error.message }, { cause: error });
}
