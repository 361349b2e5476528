import { appendFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tailFile } from '../../../src/cli/node/tail-file.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';

const { signal } = new AbortController();

describe('tailFile', () => {
  it.each([
    ['', 3, []],
    ['one\n', 3, ['one']],
    ['one\ntwo\nthree\n', 2, ['two', 'three']],
    ['one\ntwo\nthree', 2, ['two']],
    ['one\ntwo\n', 0, []],
    [`${'x'.repeat(70_000)}\nlast\n`, 1, ['last']],
    [`${'x'.repeat(70_000)}\n${'y'.repeat(70_000)}\n`, 1, ['y'.repeat(70_000)]],
  ])('gives the last lines: case %#', async (text, lines, expected) => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'log');
    await writeFile(path, text);
    const found: string[] = [];
    for await (const line of tailFile(path, { lines, follow: false, signal })) found.push(line);
    expect(found).toEqual(expected);
  });

  it('follows what is appended, through a change of file', async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'log');
    await writeFile(path, 'one\n');
    const controller = new AbortController();
    const lines = tailFile(path, { lines: 10, follow: true, signal: controller.signal });
    const next = async (): Promise<string | undefined> => (await lines.next()).value as string | undefined;
    expect(await next()).toBe('one');
    await appendFile(path, 'two\nthr');
    expect(await next()).toBe('two');
    await appendFile(path, 'ee\n');
    expect(await next()).toBe('three');
    await rename(path, `${path}.1`);
    await writeFile(path, 'four\n');
    expect(await next()).toBe('four');
    controller.abort();
    await expect(lines.next()).rejects.toMatchObject({ name: 'AbortError' });
  });
});
