/**
 * The documents of an OCI image, as far as they are used here: index, manifest and configuration
 * (opencontainers/image-spec v1.1, image-index.md, manifest.md, config.md). Docker's own of schema 2 have the same form.
 */
import { z } from 'zod';
import { encodeHex } from '../lib/bytes.ts';
import { formatRawId } from '../lib/cid.ts';
import { DomainError } from './errors.ts';
import type { BlobId } from './ids.ts';

/** Most bytes of a manifest, an index or a configuration; a blob of that size is named by the hash of its bytes (docs/blobs.md). */
export const MAX_IMAGE_DOCUMENT_BYTES = 1024 * 1024;
export const MAX_IMAGE_LAYERS = 128;
/** Largest layer as it travels. */
export const MAX_LAYER_BYTES = 2 ** 37;

const DIGEST_PREFIX = 'sha256:';
export const imageDigestSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 hexadecimal digits; no other hash is supported');

const descriptorSchema = z.object({
  mediaType: z.string().max(256).optional(),
  digest: imageDigestSchema,
  size: z.int().min(0).max(MAX_LAYER_BYTES),
});

const platformSchema = z.object({ os: z.string().max(64), architecture: z.string().max(64) });

/** Text that a program can be given: the kernel ends it at the first zero byte. */
const processText = z.string().regex(/^[^\0]*$/, 'expected text without zero bytes');

export const imageIndexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z
    .array(
      descriptorSchema.extend({
        platform: platformSchema.optional(),
        annotations: z.record(z.string(), z.string()).optional(),
      }),
    )
    .max(4096),
});
export type ImageIndex = z.output<typeof imageIndexSchema>;

export const imageManifestSchema = z.object({
  schemaVersion: z.literal(2),
  config: descriptorSchema.refine(({ size }) => size <= MAX_IMAGE_DOCUMENT_BYTES, 'a configuration has at most 1 MiB'),
  layers: z.array(descriptorSchema.extend({ size: z.int().min(1).max(MAX_LAYER_BYTES) })).max(MAX_IMAGE_LAYERS),
});
export type ImageManifest = z.output<typeof imageManifestSchema>;

const wordsSchema = z.array(processText.max(131_072)).max(4096).nullish();
export const imageConfigSchema = z.object({
  architecture: z.string().max(64),
  os: z.string().max(64),
  config: z
    .object({
      User: processText.max(512).nullish(),
      Env: wordsSchema,
      Entrypoint: wordsSchema,
      Cmd: wordsSchema,
      WorkingDir: processText.max(4096).nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(imageDigestSchema).max(MAX_IMAGE_LAYERS) }),
});
export type ImageConfig = z.output<typeof imageConfigSchema>;

/** As OCI names processors, by Node's name; undefined for one without a table of system calls. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
export function imageArchitecture(nodeName: string): string | undefined {
  return ARCHITECTURES[nodeName];
}

/** @throws DomainError DOMAIN_IMAGE_DOCUMENT with what is wrong, where it is too large, no JSON, or not of the form */
export function parseImageDocument<Value>(
  what: 'index' | 'manifest' | 'configuration',
  bytes: Uint8Array,
  schema: z.ZodType<Value>,
): Value {
  const fail = (reason: string): never => {
    throw new DomainError({ code: 'DOMAIN_IMAGE_DOCUMENT', what, reason });
  };
  if (bytes.length > MAX_IMAGE_DOCUMENT_BYTES) fail(`it has more than ${MAX_IMAGE_DOCUMENT_BYTES} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    fail('it is no JSON');
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return fail(`${issue?.path.map(String).join('.') || 'it'}: ${issue?.message ?? 'invalid'}`);
}

/** The digest of a blob that is named by the hash of its bytes: OCI's name for the same. */
export function formatImageDigest(digest: Uint8Array): string {
  return `${DIGEST_PREFIX}${encodeHex(digest)}`;
}

/** The id of a blob of at most 1 MiB with this digest. */
export function blobOfDigest(digest: string): BlobId {
  const pairs = digest.slice(DIGEST_PREFIX.length).match(/../g) ?? [];
  return formatRawId(Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))) as BlobId;
}
