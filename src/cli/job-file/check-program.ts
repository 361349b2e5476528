import { open } from 'node:fs/promises';
import type { JobFile } from '../../domain/job-file.ts';
import { checkModel } from './check-model.ts';
import { checkModule, describeMissing, type Reason } from './check-module.ts';

/** Where a tar has its magic, `ustar`, and how gzip begins (POSIX.1-2017 pax, RFC 1952). */
const TAR_MAGIC_OFFSET = 257;
const TAR_MAGIC = 'ustar';
const GZIP_MAGIC = '1f8b';

export type ProgramReason = Reason & { readonly field: readonly string[] };

/** Why a provider would refuse the file that a job's program comes in; undefined if it would not. */
export async function checkProgram(
  { workload, resources }: Pick<JobFile, 'workload' | 'resources'>,
  path: string,
): Promise<ProgramReason | undefined> {
  if (workload.kind === 'command') {
    const reason = await checkArchive(path);
    return reason && { field: ['workload', 'root'], ...reason };
  }
  if (workload.kind === 'container') return undefined;
  if (workload.kind === 'inference') {
    const reason = await checkModel(path);
    return reason && { field: ['workload', 'model'], ...reason };
  }
  const reason = await checkModule(path, { abi: workload.abi, memoryBytes: resources.memory });
  return reason && { field: ['workload', 'module'], ...reason };
}

/** Its entries are looked at where it is unpacked. */
async function checkArchive(path: string): Promise<Reason | undefined> {
  try {
    await using file = await open(path, 'r');
    const { buffer } = await file.read(Buffer.alloc(512), 0, 512, 0);
    const isGzip = buffer.toString('hex', 0, 2) === GZIP_MAGIC;
    const magic = buffer.toString('latin1', TAR_MAGIC_OFFSET, TAR_MAGIC_OFFSET + TAR_MAGIC.length);
    if (isGzip || magic === TAR_MAGIC) return undefined;
    return {
      message: `${path} is no tar archive, plain or gzip`,
      hint: 'Make one of the root file system: tar -C FOLDER -czf root.tar.gz .',
    };
  } catch (error) {
    return describeMissing(path, error);
  }
}
