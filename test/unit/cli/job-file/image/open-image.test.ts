import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type BuiltImage,
  buildImage,
  buildLayer,
  digestOf,
  type LayerItem,
  packLayer,
  writeLayout,
} from '../../../../../scripts/build-image.ts';
import { openImage } from '../../../../../src/cli/job-file/image/open-image.ts';
import { imageArchitecture } from '../../../../../src/domain/oci-image.ts';

let folder: string;
let built: BuiltImage;
let other: BuiltImage;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-layout-'));
  // What archives are unpacked to lasts as long as a process.
  vi.stubEnv('TMPDIR', folder);
  const layer = await buildLayer([{ name: 'a', content: 'x' }]);
  built = buildImage([layer], { Cmd: ['/a'] });
  other = buildImage([layer], { Cmd: ['/b'] });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const layoutOf = (place = folder): string => join(place, 'image');
const blobPath = (bytes: Uint8Array): string => join(layoutOf(), 'blobs/sha256', digestOf(bytes).slice(7));
const writeIndex = async (manifests: readonly object[]): Promise<void> =>
  await writeFile(join(layoutOf(), 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
const describeManifest = ({ manifest }: BuiltImage, more: object = {}) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf(manifest),
  size: manifest.length,
  ...more,
});
const tagged = (tag: string) => ({ annotations: { 'org.opencontainers.image.ref.name': tag } });

async function pack(name: string, items: readonly LayerItem[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, await packLayer(items));
  return path;
}

describe('openImage', () => {
  it('finds manifest, configuration and layers of a layout, each by its digest', async () => {
    await writeLayout(layoutOf(), built);
    const files = await openImage(layoutOf(), {});
    expect(files.manifest).toEqual({ path: blobPath(built.manifest), digest: built.image.digest });
    expect(files.config.digest).toBe(built.image.config.digest);
    expect(files.layers.map(({ digest }) => digest)).toEqual(built.image.layers.map(({ digest }) => digest));
  });

  it('chooses among several by tag, digest and platform, and says where it cannot', async () => {
    await writeLayout(layoutOf(), built);
    await writeLayout(layoutOf(), other);
    await writeIndex([describeManifest(built, tagged('one')), describeManifest(other, tagged('two'))]);
    expect((await openImage(layoutOf(), { reference: 'two' })).manifest.digest).toBe(other.image.digest);
    expect((await openImage(layoutOf(), { digest: built.image.digest })).manifest.digest).toBe(built.image.digest);
    await expect(openImage(layoutOf(), {})).rejects.toThrow(/2 images/);
    await expect(openImage(layoutOf(), { reference: 'three' })).rejects.toThrow(/tag 'three'/);
    await expect(openImage(layoutOf(), { digest: `sha256:${'0'.repeat(64)}` })).rejects.toMatchObject({
      code: 'JOB_FILE_BAD_IMAGE',
    });
    const platform = { os: 'linux', architecture: imageArchitecture(process.arch) };
    await writeIndex([
      describeManifest(built, { platform: { ...platform, architecture: 's390x' } }),
      describeManifest(other, { platform }),
    ]);
    expect((await openImage(layoutOf(), {})).manifest.digest).toBe(other.image.digest);
  });

  it('goes into an index of platforms below a tag', async () => {
    await writeLayout(layoutOf(), built);
    const inner = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [describeManifest(built)] }));
    await writeFile(blobPath(inner), inner);
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    await writeIndex([{ mediaType, digest: digestOf(inner), size: inner.length, ...tagged('multi') }]);
    expect((await openImage(layoutOf(), { reference: 'multi' })).manifest.digest).toBe(built.image.digest);
    expect((await openImage(layoutOf(), { digest: built.image.digest })).manifest.digest).toBe(built.image.digest);
  });

  it('refuses a digest that the job does not want, also where there is no other image', async () => {
    await writeLayout(layoutOf(), built);
    await expect(openImage(layoutOf(), { digest: other.image.digest })).rejects.toThrow(/and not sha256/);
  });

  it('sends no other file of this machine, whatever a layout links to', async () => {
    await writeLayout(layoutOf(), built);
    const secret = join(folder, 'secret');
    const path = blobPath(built.layers[0] ?? new Uint8Array(0));
    await rename(path, secret);
    await symlink(secret, path);
    await expect(openImage(layoutOf(), {})).rejects.toThrow(/not a regular file/);
  });

  it('says what is missing, cut or changed', async () => {
    await writeLayout(layoutOf(), built);
    const layer = blobPath(built.layers[0] ?? new Uint8Array(0));
    await writeFile(layer, 'cut');
    await expect(openImage(layoutOf(), {})).rejects.toThrow(/has 3 bytes/);
    await rm(layer);
    await expect(openImage(layoutOf(), {})).rejects.toThrow(/is missing/);
    await writeFile(
      blobPath(built.manifest),
      Buffer.from(built.manifest).toString().replace('schemaVersion', 'schemaversion'),
    );
    await expect(openImage(layoutOf(), {})).rejects.toThrow(/not what its name says/);
    await expect(openImage(join(folder, 'nowhere'), {})).rejects.toMatchObject({ code: 'JOB_FILE_UNREADABLE' });
  });

  it('reads a tar of a layout', async () => {
    await writeLayout(layoutOf(), built);
    const blobs = [built.manifest, built.config, ...built.layers];
    const path = await pack('image.tar', [
      { name: './index.json', content: await readFile(join(layoutOf(), 'index.json')) },
      ...blobs.map((bytes) => ({ name: `./blobs/sha256/${digestOf(bytes).slice(7)}`, content: bytes })),
    ]);
    const files = await openImage(path, { digest: built.image.digest });
    expect(digestOf(await readFile(files.layers[0]?.path ?? ''))).toBe(built.image.layers[0]?.digest);
  });

  it('makes an image of what docker save wrote before it knew OCI, the same for the same', async () => {
    const layer = await buildLayer([{ name: 'a', content: 'x' }], (tarball) => tarball);
    const plain = buildImage([layer]);
    const items: readonly LayerItem[] = [
      { name: 'one/layer.tar', content: layer.bytes },
      { name: 'two/layer.tar', type: 'symlink', linkname: '../one/layer.tar' },
      { name: 'config.json', content: plain.config },
      {
        name: 'manifest.json',
        content: JSON.stringify([{ Config: 'config.json', RepoTags: ['x:1', 'x:2'], Layers: ['two/layer.tar'] }]),
      },
    ];
    const first = await openImage(await pack('docker.tar', items), { reference: 'x:2' });
    const second = await openImage(await pack('again.tar', items), { reference: 'x:1' });
    expect(first.manifest.digest).toBe(second.manifest.digest);
    expect(first.config.digest).toBe(plain.image.config.digest);
    expect(first.layers.map(({ digest }) => digest)).toEqual([layer.diffId]);
    const missing = items.filter(({ name }) => name !== 'one/layer.tar');
    await expect(openImage(await pack('missing.tar', missing), {})).rejects.toThrow(/does not have it/);
  });

  it('says of any bytes that they are no image, and of any documents too', async () => {
    await mkdir(layoutOf(), { recursive: true });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 600 }),
          fc.json().map((text) => Buffer.from(text)),
        ),
        async (bytes) => {
          const path = join(folder, 'garbage.tar');
          await writeFile(path, bytes);
          await expect(openImage(path, {})).rejects.toMatchObject({ code: 'JOB_FILE_BAD_IMAGE' });
          await writeFile(join(layoutOf(), 'index.json'), bytes);
          await expect(openImage(layoutOf(), {})).rejects.toMatchObject({ code: 'JOB_FILE_BAD_IMAGE' });
        },
      ),
      { numRuns: 40 },
    );
  });
});
