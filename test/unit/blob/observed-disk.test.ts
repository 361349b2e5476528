import { describe, expect, it } from 'vitest';
import { ObservedBlobDisk } from '../../../src/blob/observed-blob-disk.ts';
import { ObservedDisk } from '../../../src/blob/snapshots/observed-disk.ts';
import type { DiskEffect, DiskObserver } from '../../../src/storage/interface.ts';
import { createBlob } from '../../support/blob-store-rig.ts';
import { MemoryBlobDisk } from '../../support/memory-blob-disk.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

function createObserver(told: string[], fail?: (effect: DiskEffect, when: string) => boolean): DiskObserver {
  const tell = (when: string) => (effect: DiskEffect) => {
    told.push(`${when} ${effect.kind} ${effect.name}`.trim());
    if (fail?.(effect, when) === true) throw new Error('stopped here');
  };
  return { before: tell('before'), after: tell('after') };
}

describe('ObservedDisk', () => {
  it('tells of each change before and after it, and of no reading', async () => {
    const told: string[] = [];
    await using disk = new ObservedDisk({ disk: new MemoryDisk(), observer: createObserver(told) });
    await disk.start();
    const output = await disk.create('a.tmp');
    await output.write(Uint8Array.of(1, 2), 0);
    await output.sync();
    await output.close();
    await disk.rename('a.tmp', 'a');
    await disk.sync();
    expect(await disk.list()).toEqual(['a']);
    expect(await disk.measure('a')).toBe(2);
    expect(await disk.read('a', 1, 5)).toEqual(Uint8Array.of(2));
    await disk.remove('a');
    const effects = ['create a.tmp', 'write a.tmp', 'sync a.tmp', 'rename a', 'sync-folder', 'remove a'];
    expect(told).toEqual(effects.flatMap((effect) => [`before ${effect}`, `after ${effect}`]));
  });

  it('does nothing where the observer threw before, and all of it where it threw after', async () => {
    for (const when of ['before', 'after']) {
      const inner = new MemoryDisk();
      const disk = new ObservedDisk({
        disk: inner,
        observer: createObserver([], (effect, at) => effect.kind === 'rename' && at === when),
      });
      await (await disk.create('a.tmp')).close();
      await expect(disk.rename('a.tmp', 'a')).rejects.toThrow('stopped here');
      expect(inner.names).toEqual(when === 'before' ? ['a.tmp'] : ['a']);
    }
  });
});

describe('ObservedBlobDisk', () => {
  const { blob } = createBlob(9, 1);
  const name = { blob, isSealed: false };

  it('tells of each change before and after it, and of no reading', async () => {
    const told: string[] = [];
    await using disk = new ObservedBlobDisk({ disk: new MemoryBlobDisk(), observer: createObserver(told) });
    await disk.start(async () => {});
    const incoming = await disk.createIncoming();
    await incoming.write(Uint8Array.of(1, 2));
    await incoming.sync();
    await disk.accept(incoming, name);
    const partial = await disk.openPartial(name, 3);
    expect(partial.foundBytes).toBe(2);
    await partial.write(Uint8Array.of(3), 2);
    await partial.sync();
    await partial.close();
    expect(await disk.read(name, 0, 9)).toEqual(Uint8Array.of(1, 2, 3));
    for await (const file of disk.list()) expect(file).toEqual({ ...name, sizeBytes: 3 });
    await disk.remove(name)();
    const first = ['create incoming', 'write incoming', 'sync incoming', `rename ${blob}`];
    const effects = [...first, ...['create', 'write', 'sync', 'remove'].map((kind) => `${kind} ${blob}`)];
    expect(told).toEqual(effects.flatMap((effect) => [`before ${effect}`, `after ${effect}`]));
  });
});
