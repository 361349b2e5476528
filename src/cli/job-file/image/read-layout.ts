import type { Stats } from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import {
  formatImageDigest,
  type ImageIndex,
  imageArchitecture,
  imageConfigSchema,
  imageIndexSchema,
  imageManifestSchema,
  MAX_IMAGE_DOCUMENT_BYTES,
  parseImageDocument,
} from '../../../domain/oci-image.ts';
import { sha256 } from '../../../lib/cid.ts';
import { ImageProblem } from './image-problem.ts';

/** Where a tag stands, and how an index is told from a manifest (image-spec annotations.md, media-types.md). */
const REFERENCE = 'org.opencontainers.image.ref.name';
const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const INDEX_DEPTH = 3;

export interface ImageChoice {
  readonly reference?: string | undefined;
  readonly digest?: string | undefined;
}

/** A file of the image, and what it has to hash to. */
export interface ImageFile {
  readonly path: string;
  readonly digest: string;
}

export interface ImageFiles {
  readonly manifest: ImageFile;
  readonly config: ImageFile;
  readonly layers: readonly ImageFile[];
}

/** The files of one image of an OCI image layout. @throws ImageProblem with what is wrong */
export async function readLayout(folder: string, choice: ImageChoice): Promise<ImageFiles> {
  const layout = new Layout(folder);
  const index = await layout.readJson(join(folder, 'index.json'), 'index', imageIndexSchema);
  const digest = await chooseManifest(layout, index, choice, 1);
  const manifest = await layout.readDocument(digest, 'manifest', imageManifestSchema);
  const config = await layout.readDocument(manifest.config.digest, 'configuration', imageConfigSchema);
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new ImageProblem('its configuration and its manifest name different numbers of layers');
  }
  return {
    manifest: layout.fileOf(digest),
    config: layout.fileOf(manifest.config.digest),
    layers: await Promise.all(
      manifest.layers.map(async ({ digest: layer, size }) => {
        const file = layout.fileOf(layer);
        const found = await layout.stat(file.path);
        if (found.size !== size) throw new ImageProblem(`the layer ${layer} has ${found.size} bytes and not ${size}`);
        return file;
      }),
    ),
  };
}

/** An image by its digest, its tag, its platform, or because there is no other. */
async function chooseManifest(layout: Layout, index: ImageIndex, choice: ImageChoice, depth: number): Promise<string> {
  const { reference, digest } = choice;
  const named = index.manifests.filter(
    ({ annotations }) => reference === undefined || annotations?.[REFERENCE] === reference,
  );
  const own = named.filter(
    ({ platform }) =>
      platform === undefined || (platform.os === 'linux' && platform.architecture === imageArchitecture(process.arch)),
  );
  const exact = index.manifests.find((each) => each.digest === digest);
  const [only, ...others] = exact === undefined ? own : [exact];
  if (only === undefined) {
    const what =
      reference === undefined
        ? `image for linux/${imageArchitecture(process.arch)}`
        : `image with the tag '${reference}'`;
    throw new ImageProblem(`it has no ${what}`);
  }
  if (others.length > 0) throw new ImageProblem(`it has ${own.length} images: name one with reference or digest`);
  if (INDEX_TYPES.includes(only.mediaType ?? '')) {
    if (depth >= INDEX_DEPTH) throw new ImageProblem('its indexes lie too deep in one another');
    const inner = await layout.readDocument(only.digest, 'index', imageIndexSchema);
    // The tag is of this index; below it there are only platforms.
    return await chooseManifest(layout, inner, { digest }, depth + 1);
  }
  if (digest !== undefined && only.digest !== digest) throw new ImageProblem(`it has ${only.digest} and not ${digest}`);
  return only.digest;
}

class Layout {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  fileOf(digest: string): ImageFile {
    return { path: join(this.#folder, 'blobs', 'sha256', digest.slice('sha256:'.length)), digest };
  }

  /** No link is followed: a layout from anywhere must not have other files of this machine sent to providers. */
  async stat(path: string): Promise<Stats> {
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) throw new ImageProblem(`${path} is missing`);
    if (!found.isFile()) throw new ImageProblem(`${path} is not a regular file`);
    return found;
  }

  async readDocument<Value>(
    digest: string,
    what: 'index' | 'manifest' | 'configuration',
    schema: z.ZodType<Value>,
  ): Promise<Value> {
    const { path } = this.fileOf(digest);
    const bytes = await this.#read(path);
    if (formatImageDigest(sha256(bytes)) !== digest) throw new ImageProblem(`${path} is not what its name says`);
    return parse(what, bytes, schema);
  }

  async readJson<Value>(path: string, what: 'index', schema: z.ZodType<Value>): Promise<Value> {
    return parse(what, await this.#read(path), schema);
  }

  async #read(path: string): Promise<Uint8Array> {
    const { size } = await this.stat(path);
    if (size > MAX_IMAGE_DOCUMENT_BYTES)
      throw new ImageProblem(`${path} has more than ${MAX_IMAGE_DOCUMENT_BYTES} bytes`);
    return await readFile(path);
  }
}

function parse<Value>(
  what: 'index' | 'manifest' | 'configuration',
  bytes: Uint8Array,
  schema: z.ZodType<Value>,
): Value {
  try {
    return parseImageDocument(what, bytes, schema);
  } catch (error) {
    throw new ImageProblem(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
