import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SOURCE = fileURLToPath(new URL('../../../src/', import.meta.url));

/** Packages that run in a browser, as their own package.json states, and that verification needs. */
const BROWSER_PACKAGES = [
  '@hpke/core',
  '@ipld/car/decoder',
  '@ipld/dag-cbor',
  '@ipld/dag-pb',
  '@libp2p/peer-id',
  '@libp2p/peer-record',
  '@noble/curves/ed25519.js',
  '@noble/hashes/sha2.js',
  '@xmldom/xmldom',
  'lru-cache',
  'multiformats',
  'multiformats/bases/base58',
  'multiformats/bases/base64',
  'multiformats/cid',
  'multiformats/codecs/raw',
  'multiformats/hashes/digest',
  'zod',
];

/** Values that a module imports; what is imported as a type only is gone at run time. */
function listImports(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm);
  const dynamic = source.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g);
  return [...statements, ...dynamic].flatMap(([, specifier]) => specifier ?? []);
}

async function walkImports(entry: string): Promise<{ files: Set<string>; packages: Set<string> }> {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (files.has(path)) return;
    files.add(path);
    for (const specifier of listImports(await readFile(path, 'utf8'))) {
      if (specifier.startsWith('.')) await visit(resolve(dirname(path), specifier));
      else packages.add(specifier);
    }
  };
  await visit(resolve(SOURCE, entry));
  return { files, packages };
}

const ENTRIES = [
  'bundle/verify.ts',
  'bundle/verify-in-toto.ts',
  'tee/verify-evidence.ts',
  'tee/judge/attempt-evidence-judge.ts',
  'tee/confidentiality.ts',
];

describe.each(ENTRIES)('%s', (entry) => {
  it('imports nothing of Node and only packages that run in a browser', async () => {
    const { files, packages } = await walkImports(entry);
    expect(files.size).toBeGreaterThan(8);
    expect([...packages].filter((name) => !BROWSER_PACKAGES.includes(name))).toEqual([]);
  });

  it('names no global of Node', async () => {
    const { files } = await walkImports(entry);
    for (const path of files) {
      expect(await readFile(path, 'utf8'), path).not.toMatch(/\b(Buffer|process|require|__dirname)\b[.(]/);
    }
  });
});

it('finds an import of Node where there is one', async () => {
  const { packages } = await walkImports('bundle/car-bundle-exporter.ts');
  expect([...packages].some((name) => name.startsWith('node:'))).toBe(true);
});
