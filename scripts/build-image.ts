/** Builds OCI images of entries: the layout of examples/container, and those of tests. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import tar from 'tar-stream';
import type { BlobId } from '../src/domain/ids.ts';
import type { ContainerImage } from '../src/domain/job.ts';
import { blobOfDigest, formatImageDigest, imageArchitecture } from '../src/domain/oci-image.ts';
import { sha256 } from '../src/lib/cid.ts';
import type { ImageSource } from '../src/sandbox/interface.ts';

type Header = Parameters<ReturnType<typeof tar.pack>['entry']>[0];
export type LayerItem = Header & { readonly content?: string | Uint8Array };

/** A tar of entries as they are given. */
export async function packLayer(items: readonly LayerItem[]): Promise<Buffer> {
  const archive = tar.pack();
  for (const { content = '', ...header } of items) {
    archive.entry({ mtime: new Date(0), ...header }, typeof content === 'string' ? content : Buffer.from(content));
  }
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export interface BuiltLayer {
  readonly bytes: Uint8Array;
  readonly diffId: string;
}

export const digestOf = (bytes: Uint8Array): string => formatImageDigest(sha256(bytes));

export async function buildLayer(
  items: readonly LayerItem[],
  wrap: (tarball: Buffer) => Uint8Array = (bytes) => gzipSync(bytes),
): Promise<BuiltLayer> {
  const tarball = await packLayer(items);
  return { bytes: wrap(tarball), diffId: digestOf(tarball) };
}

export interface BuiltImage {
  readonly image: ContainerImage;
  readonly source: ImageSource;
  readonly manifest: Uint8Array;
  readonly config: Uint8Array;
  readonly layers: readonly Uint8Array[];
}

/** An image of layers, with what its configuration is to say. */
export function buildImage(
  layers: readonly BuiltLayer[],
  config: Readonly<Record<string, unknown>> = {},
  root: Readonly<Record<string, unknown>> = {},
): BuiltImage {
  const configBytes = Buffer.from(
    JSON.stringify({
      architecture: imageArchitecture(process.arch),
      os: 'linux',
      config,
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      ...root,
    }),
  );
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: digestOf(configBytes),
        size: configBytes.length,
      },
      layers: layers.map(({ bytes }) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })),
    }),
  );
  const parts = layers.map(({ bytes }) => bytes);
  return {
    image: {
      digest: digestOf(manifest),
      manifestSizeBytes: manifest.length,
      config: { digest: digestOf(configBytes), sizeBytes: configBytes.length },
      layers: parts.map((bytes) => ({
        digest: digestOf(bytes),
        blob: blobOfDigest(digestOf(bytes)) as BlobId,
        sizeBytes: bytes.length,
      })),
    },
    source: createSource(manifest, configBytes, parts),
    manifest,
    config: configBytes,
    layers: parts,
  };
}

export function createSource(manifest: Uint8Array, config: Uint8Array, layers: readonly Uint8Array[]): ImageSource {
  return {
    async *open(part) {
      if (part === 'manifest') yield manifest;
      else if (part === 'configuration') yield config;
      else yield layers[part] ?? new Uint8Array(0);
    },
  };
}

/** As `skopeo copy … oci:FOLDER:TAG` leaves it. */
export async function writeLayout(
  folder: string,
  { manifest, config, layers }: BuiltImage,
  tag = 'latest',
): Promise<void> {
  const blobs = join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  for (const bytes of [manifest, config, ...layers]) await writeFile(join(blobs, digestOf(bytes).slice(7)), bytes);
  const descriptor = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digestOf(manifest),
    size: manifest.length,
  };
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  await writeFile(
    join(folder, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, annotations }] }),
  );
}
