import { mkdtemp, readdir, rename, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnixMs } from '../../../src/domain/ids.ts';
import { DocumentCache } from '../../../src/tee/produce/collateral/document-cache.ts';
import type { KeptDocument } from '../../../src/tee/produce/collateral/vendor-document.ts';
import { MAX_KEPT_DOCUMENTS } from '../../../src/tee/produce/constants.ts';

let folder: string;
let cache: DocumentCache;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-documents-'));
  cache = new DocumentCache({ folder });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function documentOf(url: string): KeptDocument {
  const body = new TextEncoder().encode(url);
  return { type: 'fogproof/vendor-document@1', url, fetchedAtMs: UnixMs(1), body, issuerChain: null };
}

async function put(url: string): Promise<string> {
  const before = new Set(await readdir(folder));
  await cache.put(documentOf(url));
  const [name = ''] = (await readdir(folder)).filter((each) => !before.has(each));
  return join(folder, name);
}

describe('DocumentCache', () => {
  it('gives back what was kept for an address, and nothing for another', async () => {
    await put('https://a.example/1');
    expect(await cache.get('https://a.example/1')).toEqual(documentOf('https://a.example/1'));
    expect(await cache.get('https://a.example/2')).toBeUndefined();
  });

  it('does not take the document of one address for that of another', async () => {
    const [one, two] = [await put('https://a.example/1'), await put('https://a.example/2')];
    await rename(two, one);
    expect(await cache.get('https://a.example/1')).toBeUndefined();
  });

  it('lets the oldest go when there are many', async () => {
    const oldest = await put('https://a.example/oldest');
    await utimes(oldest, 1, 1);
    for (let index = 0; index < MAX_KEPT_DOCUMENTS; index++) await put(`https://a.example/${index}`);
    expect(await readdir(folder)).toHaveLength(MAX_KEPT_DOCUMENTS);
    expect(await cache.get('https://a.example/oldest')).toBeUndefined();
    expect(await cache.get('https://a.example/0')).toBeDefined();
  });
});
