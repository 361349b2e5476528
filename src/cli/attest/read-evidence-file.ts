import { open, stat } from 'node:fs/promises';
import { UsageError } from '../../lib/errors.ts';
import { formatSize } from '../../lib/quantity.ts';
import { describeFileProblem } from '../framework/describe-file-problem.ts';

/** A file of at most `maxBytes`. @throws UsageError naming the option */
export async function readEvidenceFile(
  path: string,
  { flag, maxBytes }: { readonly flag: string; readonly maxBytes: number },
): Promise<Uint8Array> {
  try {
    // Before it is opened: a device or a pipe has no size, and no end.
    const status = await stat(path);
    if (!status.isFile() && !status.isDirectory()) {
      throw new UsageError(`${flag}: ${path} is no regular file`, 'Give the path of a file.');
    }
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > maxBytes) {
      throw new UsageError(`${flag}: ${path} has ${formatSize(size)}`, `At most ${formatSize(maxBytes)} are read.`);
    }
    return new Uint8Array(await file.readFile());
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    const reason = describeFileProblem(cause);
    throw new UsageError(`${flag}: cannot read ${path}: ${reason}`, 'Give the path of a file.', { cause });
  }
}
