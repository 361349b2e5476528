import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { link, lstat, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { formatImageDigest, MAX_IMAGE_DOCUMENT_BYTES, MAX_IMAGE_LAYERS } from '../../../domain/oci-image.ts';
import { sha256 } from '../../../lib/cid.ts';
import { describeError } from '../../../lib/errors.ts';
import { type EntryHead, readTar } from '../../../sandbox/roots/read-tar.ts';
import { ImageProblem } from './image-problem.ts';

/** Entries of an archive: documents, layers, and in old ones a folder with three files for each layer. */
const MAX_ENTRIES = 4 * MAX_IMAGE_LAYERS + 1024;
const MAX_ENTRY_NAME = 256;

/** `manifest.json` of `docker save` (moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format"). */
const dockerManifestSchema = z
  .array(
    z.object({
      Config: z.string().max(MAX_ENTRY_NAME),
      RepoTags: z.array(z.string().max(256)).nullish(),
      Layers: z.array(z.string().max(MAX_ENTRY_NAME)).max(MAX_IMAGE_LAYERS),
    }),
  )
  .min(1)
  .max(256);

/**
 * Unpacks a tar of an OCI image layout, or of `docker save`, into a layout that lasts as long as this process: its folder.
 * @throws ImageProblem
 */
export async function unpackImageArchive(path: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'fogproof-image-'));
  try {
    await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
    const files = await unpackFiles(path, folder);
    if (files.has('index.json')) await placeFiles(files, folder);
    else if (files.has('manifest.json')) await convertDocker(files, folder);
    else
      throw new ImageProblem(
        'it has neither the index.json of an OCI image layout nor the manifest.json of docker save',
      );
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  removeAtExit(folder);
  return folder;
}

const removed = new Set<string>();

function removeAtExit(folder: string): void {
  if (removed.size === 0) {
    process.once('exit', () => {
      for (const each of removed) rmSync(each, { recursive: true, force: true });
    });
  }
  removed.add(folder);
}

/** Where each regular file of the archive lies now, by its name in it. A link that names another file of it stands for that. */
type ArchiveFiles = Map<string, string>;

async function unpackFiles(path: string, folder: string): Promise<ArchiveFiles> {
  const files: ArchiveFiles = new Map();
  const links = new Map<string, string>();
  const add = async (head: EntryHead, content: Readable): Promise<void> => {
    if (files.size + links.size > MAX_ENTRIES) throw new ImageProblem(`it has more than ${MAX_ENTRIES} entries`);
    const name = normalize(head.name);
    if (head.type === 'symlink') links.set(name, normalize(join(name, '..', head.linkname ?? '')));
    if (head.type === 'link') links.set(name, normalize(head.linkname ?? ''));
    if (head.type !== 'file') return;
    const place = join(folder, `file-${files.size}`);
    await using file = await open(place, 'wx', 0o600);
    for await (const chunk of content) await file.write(chunk as Uint8Array);
    files.set(name, place);
  };
  try {
    await readTar([createReadStream(path)], add);
  } catch (error) {
    if (error instanceof ImageProblem) throw error;
    const info =
      error instanceof Error && 'info' in error ? (error.info as { readonly reason?: string }).reason : undefined;
    throw new ImageProblem(
      `it is no tar of an image (${info ?? describeError(error)}); one that is compressed has to be unpacked first`,
      {
        cause: error,
      },
    );
  }
  for (const [name, target] of links) {
    const place = files.get(target);
    if (place !== undefined) files.set(name, place);
  }
  return files;
}

function normalize(name: string): string {
  return name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
    .slice(0, MAX_ENTRY_NAME);
}

async function placeFiles(files: ArchiveFiles, folder: string): Promise<void> {
  for (const [name, place] of files) {
    if (name === 'index.json' || /^blobs\/sha256\/[0-9a-f]{64}$/.test(name)) await link(place, join(folder, name));
  }
}

/** What `docker save` wrote before it knew OCI: a configuration, and layers that are not compressed. */
async function convertDocker(files: ArchiveFiles, folder: string): Promise<void> {
  const listed = dockerManifestSchema.safeParse(parseJson(await readDocument(files, 'manifest.json')));
  if (!listed.success) throw new ImageProblem('its manifest.json is not one of docker save');
  const manifests = [];
  for (const { Config, RepoTags, Layers } of listed.data) {
    const config = await placeBlob(files, Config, folder);
    const layers = [];
    for (const name of Layers) layers.push(await placeBlob(files, name, folder));
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
      }),
    );
    const digest = formatImageDigest(sha256(bytes));
    await writeFile(join(folder, 'blobs/sha256', digest.slice('sha256:'.length)), bytes);
    const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: bytes.length };
    const tags = RepoTags?.length ? RepoTags : [undefined];
    for (const tag of tags) {
      manifests.push(
        tag === undefined ? descriptor : { ...descriptor, annotations: { 'org.opencontainers.image.ref.name': tag } },
      );
    }
  }
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}

async function placeBlob(files: ArchiveFiles, name: string, folder: string): Promise<{ digest: string; size: number }> {
  const place = files.get(normalize(name));
  if (place === undefined) throw new ImageProblem(`it names ${name} and does not have it`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(place)) hash.update(chunk as Uint8Array);
  const digest = formatImageDigest(hash.digest());
  const target = join(folder, 'blobs/sha256', digest.slice('sha256:'.length));
  await link(place, target).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  });
  return { digest, size: (await lstat(place)).size };
}

async function readDocument(files: ArchiveFiles, name: string): Promise<Uint8Array> {
  const place = files.get(name) ?? '';
  const { size } = await lstat(place);
  if (size > MAX_IMAGE_DOCUMENT_BYTES)
    throw new ImageProblem(`its ${name} has more than ${MAX_IMAGE_DOCUMENT_BYTES} bytes`);
  return await readFile(place);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
