import { z } from 'zod';
import { formatRawId } from '../lib/cid.ts';
import { DomainError } from './errors.ts';
import { BlobId } from './ids.ts';
import type { ContainerWorkload, Workload } from './job.ts';
import { blobOfDigest } from './oci-image.ts';

const DIGEST_PREFIX = 'sha256:';
const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/;
/** What a workload says to its program; that may look like anything. */
const PROGRAM_TEXT: ReadonlySet<string> = new Set(['arguments', 'environment', 'entrypoint', 'workingFolder']);

/** What a program is brought as: the blob of a module, of an archive, of an image. */
export const imageNameSchema = z
  .string()
  .max(128)
  .refine((text) => readImage(text) !== undefined, 'expected a blob id, or sha256: and 64 hexadecimal digits');

/** The blob id that a name of an image stands for; undefined if it names none. */
export function readImage(name: string): BlobId | undefined {
  if (name.startsWith(DIGEST_PREFIX)) {
    if (!DIGEST_PATTERN.test(name)) return undefined;
    return formatRawId(Buffer.from(name.slice(DIGEST_PREFIX.length), 'hex')) as BlobId;
  }
  try {
    return BlobId(name);
  } catch (error) {
    if (error instanceof DomainError) return undefined;
    throw error;
  }
}

/**
 * What a workload runs, whatever its kind: each blob and each digest that it names, but for what it says to the program.
 * Inputs are no part of a workload.
 */
export function listImages(workload: Workload | Readonly<Record<string, unknown>>): readonly BlobId[] {
  return [...new Set(collectImages(workload))];
}

/**
 * What has to be on a list of allowed images for a workload to be: of an OCI image its digest alone, since providers check
 * everything else against it; of other work all that it runs.
 */
export function listLeadingImages(workload: Workload | Readonly<Record<string, unknown>>): readonly BlobId[] {
  if (!('kind' in workload) || workload.kind !== 'container') return listImages(workload);
  const { image } = workload as ContainerWorkload;
  return [blobOfDigest(image.digest)];
}

function collectImages(value: unknown): readonly BlobId[] {
  if (typeof value === 'string') {
    const image = readImage(value);
    return image === undefined ? [] : [image];
  }
  if (Array.isArray(value)) return value.flatMap(collectImages);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([key, part]) => (PROGRAM_TEXT.has(key) ? [] : collectImages(part)));
}
