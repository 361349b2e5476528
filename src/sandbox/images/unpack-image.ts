import { createHash, type Hash } from 'node:crypto';
import { Readable, Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import type { ContainerImage } from '../../domain/job.ts';
import {
  formatImageDigest,
  type ImageConfig,
  type ImageManifest,
  imageArchitecture,
  imageConfigSchema,
  imageManifestSchema,
  parseImageDocument,
} from '../../domain/oci-image.ts';
import { sha256 } from '../../lib/cid.ts';
import { describeError } from '../../lib/errors.ts';
import type { ImageSource } from '../interface.ts';
import { limitStream, readTar, refuse } from '../roots/read-tar.ts';
import { LayerTree } from './layer-tree.ts';

/** RFC 1952, RFC 8878. What a layer is packed with is seen from its bytes, which its digest fixes. */
const GZIP_MAGIC = '1f8b';
const ZSTD_MAGIC = '28b52ffd';
const MAGIC_BYTES = 4;

/** The configuration of an image, which its manifest names, and what its digest fixes. @throws SandboxError SANDBOX_ROOT_REFUSED */
export async function readImageConfig(image: ContainerImage, source: ImageSource): Promise<ImageConfig> {
  const manifestBytes = await collect(source.open('manifest'));
  assertDigest('the manifest', manifestBytes, image.digest);
  const configBytes = await collect(source.open('configuration'));
  assertDigest('the configuration', configBytes, image.config.digest);
  const manifest = parse('manifest', manifestBytes, imageManifestSchema);
  const config = parse('configuration', configBytes, imageConfigSchema);
  assertListed(image, manifest);
  const { os, architecture, rootfs } = config;
  const own = imageArchitecture(process.arch);
  if (os !== 'linux' || architecture !== own) {
    throw refuse(`it is for ${os.slice(0, 20)}/${architecture.slice(0, 20)}, and this host is linux/${own}`);
  }
  if (rootfs.diff_ids.length !== image.layers.length) throw refuse('its configuration names another number of layers');
  return config;
}

/**
 * Puts all layers into an empty folder that nobody else writes to; bytes that this took. Every layer is checked against its
 * digest as it travels and as it is unpacked: a folder is whole only where this resolves.
 * @throws SandboxError SANDBOX_ROOT_REFUSED; Error of the file system or of the store
 */
export async function unpackImage(
  {
    image,
    config,
    source,
  }: { readonly image: ContainerImage; readonly config: ImageConfig; readonly source: ImageSource },
  folder: string,
  { maxBytes }: { readonly maxBytes: number },
): Promise<number> {
  const tree = new LayerTree(folder, maxBytes);
  for (const [index, layer] of image.layers.entries()) {
    tree.beginLayer();
    const [head, bytes] = await peek(source.open(index));
    const stages = [
      Readable.from(bytes),
      checkDigest(`layer ${index}`, layer.digest),
      ...createDecompressor(head),
      limitStream(maxBytes),
      checkDigest(`layer ${index} unpacked`, config.rootfs.diff_ids[index] ?? ''),
    ];
    await readTar(stages, (entry, content) => tree.add(entry, content));
  }
  return tree.usedBytes;
}

function parse<Value>(
  what: 'manifest' | 'configuration',
  bytes: Uint8Array,
  schema: Parameters<typeof parseImageDocument<Value>>[2],
) {
  try {
    return parseImageDocument(what, bytes, schema);
  } catch (error) {
    throw refuse(describeError(error));
  }
}

/** A requester names each blob by itself: none of them may be another than the manifest has. */
function assertListed({ config, layers }: ContainerImage, manifest: ImageManifest): void {
  const isSame =
    manifest.config.digest === config.digest &&
    manifest.layers.length === layers.length &&
    manifest.layers.every(
      ({ digest, size }, index) => layers[index]?.digest === digest && layers[index].sizeBytes === size,
    );
  if (!isSame) throw refuse('its manifest has another configuration or other layers than the job names');
}

function assertDigest(what: string, bytes: Uint8Array, digest: string): void {
  if (formatImageDigest(sha256(bytes)) !== digest) throw refuse(`${what} has not the digest that the job names`);
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

/** The first bytes, and all of them. */
async function peek(bytes: AsyncIterable<Uint8Array>): Promise<[head: string, all: AsyncIterable<Uint8Array>]> {
  const iterator = bytes[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let isDone = false;
  while (!isDone && head.length < MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done === true) isDone = true;
    else head = Buffer.concat([head, next.value]);
  }
  const all = (async function* () {
    yield head as Uint8Array;
    if (!isDone) yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  return [head.toString('hex', 0, MAGIC_BYTES), all];
}

/** Passes bytes on, and ends the stream in an error unless they have this digest. */
function checkDigest(what: string, digest: string): Transform {
  const hash: Hash = createHash('sha256');
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      const isRight = formatImageDigest(hash.digest()) === digest;
      done(isRight ? null : refuse(`${what} has another digest than it should`));
    },
  });
}

function createDecompressor(head: string): readonly Transform[] {
  if (head.startsWith(GZIP_MAGIC)) return [zlib.createGunzip()];
  if (head !== ZSTD_MAGIC) return [];
  // Since Node.js 22.15.
  if (typeof zlib.createZstdDecompress !== 'function')
    throw refuse('a layer is packed with zstd, which this Node.js cannot read');
  return [zlib.createZstdDecompress()];
}
