import { expect, it } from 'vitest';
import { EvictionNotes, MAX_EVICTION_NOTES } from '../../../src/blob/eviction-notes.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import { computeRawId } from '../../../src/lib/cid.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const blobOf = (index: number): BlobId => computeRawId(Uint8Array.of(index >> 8, index & 0xff)) as string as BlobId;
const oldest = blobOf(0);

it('of blobs that made room are bounded: the oldest goes, also after a restart', async () => {
  const database = new MemoryDatabase();
  const notes = new EvictionNotes(database);
  for (let index = 0; index < MAX_EVICTION_NOTES; index += 1) {
    await database.write(notes.noteOperations([blobOf(index)], 1_000 + index));
  }
  const again = new EvictionNotes(database);
  await again.load();
  await database.write(again.noteOperations([blobOf(1)], 10_000));
  expect(database.rows('blob-evictions').has(oldest)).toBe(true);
  await database.write(again.noteOperations([blobOf(MAX_EVICTION_NOTES)], 10_001));
  const { size } = database.rows('blob-evictions');
  expect([size, database.rows('blob-evictions').has(oldest)]).toEqual([MAX_EVICTION_NOTES, false]);
  expect(database.rows('blob-evictions').has(blobOf(1))).toBe(true);
  expect(again.forgetOperations(oldest)).toEqual([]);
});

it('that is damaged keeps no store from starting', async () => {
  const database = new MemoryDatabase();
  await database.write(new EvictionNotes(database).noteOperations([oldest], 1));
  database.rows('blob-evictions').set(oldest, Uint8Array.of(1, 2));
  const notes = new EvictionNotes(database);
  await notes.load();
  expect(notes.forgetOperations(oldest)).toEqual([]);
});
