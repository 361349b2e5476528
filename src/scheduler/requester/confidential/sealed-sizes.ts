import type { Job } from '../../../domain/job.ts';

/** docs/confidential.md, «Sealing»: a file begins with 32 bytes; each chunk of 64 KiB, the last one too, has a tag of 16. */
const SEALED_HEAD_BYTES = 32;
const CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;

/** Bytes that the outputs of a job may have together: sealed ones are larger than what the program wrote. */
export function limitOutputs({ confidential, resources }: Job, files: number): number {
  const { outputBytes } = resources;
  if (confidential === undefined) return outputBytes;
  const chunks = Math.ceil(outputBytes / CHUNK_BYTES) + files;
  return outputBytes + files * SEALED_HEAD_BYTES + chunks * TAG_BYTES;
}
