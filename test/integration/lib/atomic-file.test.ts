import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeFileAtomic } from '../../../src/lib/atomic-file.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-atomic-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it.each(['keep', 'replace'] as const)(
  'a file of any name that the file system takes is written (%s)',
  async (existing) => {
    const names = ['n', 'n'.repeat(238), 'n'.repeat(255), '\u{1F32B}'.repeat(63), '€'.repeat(85)];
    for (const name of names) await writeFileAtomic(join(folder, name), 'content', { mode: 0o600, existing });
    expect(new Set(await readdir(folder))).toEqual(new Set(names));
  },
);
