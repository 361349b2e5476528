import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { parseEvidencePolicy } from '../../../src/tee/policy.ts';

const PAGE = new URL('../../../docs/attestation.md', import.meta.url);

it('every policy in docs/attestation.md is accepted', async () => {
  const blocks = [...(await readFile(PAGE, 'utf8')).matchAll(/^```yaml\n(?<text>.*?)^```$/gmsu)];
  expect(blocks.length).toBeGreaterThan(0);
  for (const { groups } of blocks) {
    const policy = parseEvidencePolicy(parseDocument(groups?.['text'] ?? '').toJS());
    expect(Object.keys(policy).length).toBeGreaterThan(0);
  }
});
