import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type BuiltLayer,
  buildImage,
  buildLayer,
  createSource,
  digestOf,
  type LayerItem,
} from '../../../../scripts/build-image.ts';
import { SandboxError } from '../../../../src/sandbox/errors.ts';
import { readImageConfig, unpackImage } from '../../../../src/sandbox/images/unpack-image.ts';

let base: string;
let folder: string;
const MAX_BYTES = 2 ** 20;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'fogproof-layers-'));
  folder = await mkdtemp(join(base, 'root-'));
});
afterEach(async () => await rm(base, { recursive: true, force: true }));

async function unpackLayers(layers: readonly BuiltLayer[], maxBytes = MAX_BYTES): Promise<number> {
  const { image, source } = buildImage(layers);
  return await unpackImage({ image, config: await readImageConfig(image, source), source }, folder, { maxBytes });
}

async function unpack(...layers: readonly (readonly LayerItem[])[]): Promise<readonly string[]> {
  await unpackLayers(await Promise.all(layers.map((items) => buildLayer(items))));
  return await list(folder);
}

/** What stands in a folder: paths, with the text of files and the targets of links. */
async function list(place: string, at = ''): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const entry of await readdir(place, { withFileTypes: true })) {
    const path = `${at}${entry.name}`;
    const inner = join(place, entry.name);
    if (entry.isDirectory()) lines.push(`${path}/`, ...(await list(inner, `${path}/`)));
    else if (entry.isSymbolicLink()) lines.push(`${path} -> ${await readlink(inner)}`);
    else lines.push(`${path}=${await readFile(inner, 'utf8')}`);
  }
  return lines.toSorted();
}

const file = (name: string, content = name): LayerItem => ({ name, content });
const dir = (name: string): LayerItem => ({ name, type: 'directory' });
const link = (name: string, linkname: string): LayerItem => ({ name, type: 'symlink', linkname });
const hard = (name: string, linkname: string): LayerItem => ({ name, type: 'link', linkname });

describe('layers', () => {
  it('lie one on top of the other', async () => {
    expect(await unpack([dir('a/'), file('a/x', '1'), file('b', '1')], [file('a/y', '2'), file('b', '2')])).toEqual([
      'a/',
      'a/x=1',
      'a/y=2',
      'b=2',
    ]);
  });

  it('may be plain, gzip or zstd, and are read in pieces of any size', async () => {
    const items = [file('x', 'text'.repeat(1000))];
    const wraps = [
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => gzipSync(bytes),
      (bytes: Buffer) => zstdCompressSync(bytes),
    ];
    for (const [index, wrap] of wraps.entries()) {
      const layer = await buildLayer(
        items.map((item) => ({ ...item, name: `x${index}` })),
        wrap,
      );
      const { image, manifest, config } = buildImage([layer]);
      const whole = createSource(manifest, config, [layer.bytes]);
      const source = {
        async *open(part: 'manifest' | 'configuration' | number) {
          for await (const bytes of whole.open(part)) for (const byte of bytes) yield Uint8Array.of(byte);
        },
      };
      await unpackImage({ image, config: await readImageConfig(image, source), source }, folder, {
        maxBytes: MAX_BYTES,
      });
    }
    expect((await list(folder)).map((line) => line.slice(0, 3))).toEqual(['x0=', 'x1=', 'x2=']);
  });

  it('take away a file, a folder with all in it, a link, and nothing of what they bring', async () => {
    const lower = [dir('a/'), file('a/x'), file('a/y'), file('b'), link('c', 'b'), file('d/e/f')];
    expect(
      await unpack(lower, [file('a/.wh.x', ''), file('.wh.c', ''), file('.wh.d', ''), file('.wh.none', '')]),
    ).toEqual(['a/', 'a/y=a/y', 'b=b']);
    expect(await readdir(folder)).not.toContain('d');
  });

  it.each([
    ['before', (mark: LayerItem, items: readonly LayerItem[]) => [mark, ...items]],
    ['after', (mark: LayerItem, items: readonly LayerItem[]) => [...items, mark]],
  ])('take away all of a folder from below, with the mark %s what they bring themselves', async (_where, order) => {
    const lower = [file('a/old'), file('a/b/old'), file('a/b/c/old'), file('z')];
    const upper = order(file('a/.wh..wh..opq', ''), [dir('a/'), file('a/b/new'), file('a/new')]);
    expect(await unpack(lower, upper)).toEqual(['a/', 'a/b/', 'a/b/new=a/b/new', 'a/new=a/new', 'z=z']);
  });

  it.each([
    ['before', (mark: LayerItem, items: readonly LayerItem[]) => [mark, ...items]],
    ['after', (mark: LayerItem, items: readonly LayerItem[]) => [...items, mark]],
  ])('take away a folder from below with the mark %s the same folder of theirs', async (_where, order) => {
    expect(await unpack([file('a/old'), file('a/b/old')], order(file('.wh.a', ''), [file('a/b/new')]))).toEqual([
      'a/',
      'a/b/',
      'a/b/new=a/b/new',
    ]);
  });

  it('ignore the marks of AUFS', async () => {
    expect(
      await unpack([file('a')], [dir('.wh..wh.plnk/'), file('.wh..wh.plnk/1.2'), file('.wh..wh.aufs', '')]),
    ).toEqual(['a=a']);
  });

  it('exchange files, folders and links for one another, and write through none of them', async () => {
    expect(await unpack([file('a/x'), link('b', 'a'), file('c')], [file('a'), dir('b/'), link('c', 'a')])).toEqual([
      'a=a',
      'b/',
      'c -> a',
    ]);
  });

  it('do not change the other names of a file that they replace', async () => {
    expect(await unpack([file('x', 'old'), hard('y', 'x')], [file('x', 'new')])).toEqual(['x=new', 'y=old']);
    expect((await lstat(join(folder, 'y'))).nlink).toBe(1);
  });

  it('have hard links to files of lower layers, also from their root, and to themselves', async () => {
    expect(await unpack([file('a/x')], [hard('y', '/a/x'), hard('a/x', 'a/x')])).toEqual(['a/', 'a/x=a/x', 'y=a/x']);
    expect((await lstat(join(folder, 'y'))).nlink).toBe(2);
  });

  it('reach folders through links of the image, which begin at its own root and end there', async () => {
    expect(
      await unpack(
        [
          file('usr/bin/sh'),
          link('bin', 'usr/bin'),
          link('abs', '/usr'),
          link('out', '../../../../usr'),
          link('deep', 'abs/../bin'),
        ],
        [file('bin/ls'), file('abs/x'), file('out/y'), file('deep/z'), hard('twin', 'bin/sh')],
      ),
    ).toEqual([
      'abs -> /usr',
      'bin -> usr/bin',
      'deep -> abs/../bin',
      'out -> ../../../../usr',
      'twin=usr/bin/sh',
      'usr/',
      'usr/bin/',
      'usr/bin/ls=bin/ls',
      'usr/bin/sh=usr/bin/sh',
      'usr/bin/z=deep/z',
      'usr/x=abs/x',
      'usr/y=out/y',
    ]);
  });

  it('lose owner, set-user-id bits and modes that others could not read', async () => {
    await unpack([
      { name: 'a', mode: 0o4711, uid: 0, content: 'x' },
      { name: 'b', mode: 0o600, content: 'x' },
      { name: 'c/', type: 'directory', mode: 0o700 },
    ]);
    const modes = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => (await lstat(join(folder, name))).mode & 0o7777),
    );
    expect(modes).toEqual([0o755, 0o644, 0o755]);
  });

  it.each<readonly [string, RegExp, readonly (readonly LayerItem[])[]]>([
    ['a path that leads out', /leads out/, [[file('../x')]]],
    ['a path that leads out later', /leads out/, [[file('a/../../x')]]],
    ['a hard link to outside', /leads out/, [[hard('x', '../../etc/passwd')]]],
    ['a hard link to nothing', /no file before it/, [[hard('x', 'etc/passwd')]]],
    ['a hard link to a link', /no file before it/, [[link('a', '/etc/passwd'), hard('x', 'a')]]],
    ['a hard link through a link to the host', /no file before it/, [[link('a', '/etc'), hard('x', 'a/passwd')]]],
    ['a hard link to a folder', /no file before it/, [[dir('a/'), hard('x', 'a')]]],
    ['a file in a file', /no folder/, [[file('a'), file('a/x')]]],
    ['a file through links that go round', /too many links/, [[link('a', 'b'), link('b', 'a'), file('a/x')]]],
    ['a device', /neither file/, [[{ name: 'dev/sda', type: 'block-device', devmajor: 8, devminor: 0 }]]],
    ['a character device', /neither file/, [[{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }]]],
    ['a pipe', /neither file/, [[{ name: 'pipe', type: 'fifo' }]]],
    ['a whiteout of its parent', /no name/, [[file('.wh...', '')]]],
    ['a whiteout of itself', /no name/, [[file('.wh..', '')]]],
    ['a whiteout of nothing', /no name/, [[file('.wh.', '')]]],
    ['something inside of a whiteout', /taken away/, [[file('.wh.a/x', '')]]],
    ['a root that is a file', /no folder/, [[{ name: './', type: 'symlink', linkname: '/etc' }]]],
    [
      'more than may be unpacked',
      /takes more than/,
      [[file('a', 'x'.repeat(MAX_BYTES - 10_000))], [file('a', 'x'.repeat(20_000))]],
    ],
  ])('are refused with %s, and nothing is written beside the folder', async (_what, reason, layers) => {
    await expect(unpack(...layers)).rejects.toThrow(reason);
    expect(await readdir(base)).toHaveLength(1);
  });

  it('are ended where they decompress to more than they may, whatever is in it', async () => {
    const bomb = await buildLayer([], () => gzipSync(Buffer.alloc(64 * MAX_BYTES)));
    await expect(unpackLayers([bomb])).rejects.toThrow(/holds more than/);
    const zstd = await buildLayer([], () => zstdCompressSync(Buffer.alloc(64 * MAX_BYTES)));
    await expect(unpackLayers([zstd])).rejects.toThrow(/holds more than/);
  });

  it('are refused if their digest is another, compressed or not, though they can be read', async () => {
    const one = await buildLayer([file('a')]);
    const other = await buildLayer([file('b')]);
    const { image, manifest, config } = buildImage([one]);
    const source = createSource(manifest, config, [other.bytes]);
    await expect(
      unpackImage({ image, config: await readImageConfig(image, source), source }, folder, { maxBytes: MAX_BYTES }),
    ).rejects.toThrow(/layer 0 has another digest/);
    await expect(unpackLayers([{ ...one, diffId: other.diffId }])).rejects.toThrow(
      /layer 0 unpacked has another digest/,
    );
  });

  it('says of any bytes that it refuses them, or unpacks them inside of its folder', async () => {
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 2000 }), fc.constant(new Uint8Array(0)));
    const wrap = fc.constantFrom(
      (all: Buffer) => all,
      (all: Buffer) => gzipSync(all),
    );
    await fc.assert(
      fc.asyncProperty(bytes, wrap, async (garbage, pack) => {
        const packed = pack(Buffer.from(garbage));
        if (packed.length === 0) return;
        await unpackLayers([{ bytes: packed, diffId: digestOf(garbage) }]).catch((error: unknown) => {
          expect(error).toBeInstanceOf(SandboxError);
        });
        expect(await readdir(base)).toHaveLength(1);
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same as a plain model of the layers, for any of them', async () => {
    const names = fc.constantFrom('a', 'b', 'c');
    const paths = fc.array(names, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const items = fc.oneof(
      fc.record({ kind: fc.constant('file' as const), path: paths, text: fc.constantFrom('1', '2') }),
      fc.record({ kind: fc.constant('dir' as const), path: paths }),
      fc.record({ kind: fc.constant('gone' as const), path: paths }),
      fc.record({ kind: fc.constant('opaque' as const), path: paths }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(items, { maxLength: 5 }), { maxLength: 4 }), async (layers) => {
        const own = await mkdtemp(join(base, 'model-'));
        const expected = applyModel(layers);
        const built = await Promise.all(layers.map((layer) => buildLayer(layer.map(toItem))));
        const { image, source } = buildImage(built);
        const parts = { image, config: await readImageConfig(image, source), source };
        const unpacking = unpackImage(parts, own, { maxBytes: MAX_BYTES });
        if (expected === null) await expect(unpacking).rejects.toBeInstanceOf(SandboxError);
        else {
          await unpacking;
          expect(await list(own)).toEqual(expected);
        }
        await rm(own, { recursive: true });
      }),
      { numRuns: 150 },
    );
  });
});

type ModelItem = { readonly kind: 'file' | 'dir' | 'gone' | 'opaque'; readonly path: string; readonly text?: string };

function toItem({ kind, path, text }: ModelItem): LayerItem {
  const place = path.slice(0, path.lastIndexOf('/') + 1);
  if (kind === 'file') return file(path, text);
  if (kind === 'dir') return dir(`${path}/`);
  return kind === 'opaque' ? file(`${path}/.wh..wh..opq`, '') : file(`${place}.wh.${path.slice(place.length)}`, '');
}

/** By paths alone: each with what it is, and the newest layer that has put it, or something in it, there. Null: refused. */
function applyModel(layers: readonly (readonly ModelItem[])[]): readonly string[] | null {
  const tree = new Map<string, { text: string | null; layer: number }>();
  const removeBelow = (path: string): void => {
    for (const each of tree.keys()) if (each.startsWith(`${path}/`)) tree.delete(each);
  };
  const removeLower = (isGone: (path: string) => boolean, layer: number): void => {
    for (const [each, node] of tree) if (isGone(each) && node.layer < layer) tree.delete(each);
  };
  for (const [layer, items] of layers.entries()) {
    for (const { kind, path, text = '' } of items) {
      const parents = path
        .split('/')
        .map((_, index, parts) => parts.slice(0, index).join('/'))
        .slice(1);
      if (kind === 'gone') {
        removeLower((each) => each === path || each.startsWith(`${path}/`), layer);
        continue;
      }
      if (kind === 'opaque') {
        removeLower((each) => each.startsWith(`${path}/`), layer);
        continue;
      }
      for (const parent of parents) {
        if ((tree.get(parent)?.text ?? null) !== null) return null;
        tree.set(parent, { text: null, layer });
      }
      if (kind === 'file') removeBelow(path);
      tree.set(path, { text: kind === 'file' ? text : null, layer });
    }
  }
  return [...tree].map(([path, { text }]) => (text === null ? `${path}/` : `${path}=${text}`)).toSorted();
}
