import { describeError, isAbortError } from '../lib/errors.ts';
import { isDiskFull } from '../lib/system-error.ts';
import { StorageError } from '../storage/errors.ts';
import { BlobError } from './errors.ts';

/** Carries a failure of the chunks' sender through: it is not one of our disk, though it may look like it. */
class SenderFailure extends Error {}

/** The same chunks, whose failure `toBlobErrors` lets pass as it is. */
export async function* markSender(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* chunks;
  } catch (cause) {
    throw new SenderFailure('the sender failed', { cause });
  }
}

/** Failures of disk and database as errors of this folder; what is neither passes through. @throws BlobError */
export async function toBlobErrors<Result>(directory: string, task: () => Promise<Result>): Promise<Result> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof SenderFailure) throw error.cause;
    if (isDiskFull(error) || (error instanceof StorageError && error.code === 'STORAGE_FULL')) {
      throw new BlobError({ code: 'BLOB_DISK_FULL', directory }, { cause: error });
    }
    const isSystemError = error instanceof Error && 'syscall' in error;
    if (isAbortError(error) || !isSystemError) throw error;
    throw new BlobError({ code: 'BLOB_IO', directory, reason: describeError(error) }, { cause: error });
  }
}
