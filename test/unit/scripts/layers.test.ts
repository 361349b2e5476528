import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { computeLayerOverrides, LAYERS } from '../../../scripts/layers.ts';

const SRC = join(import.meta.dirname, '../../../src');

describe('the layers', () => {
  it('name every folder of src', () => {
    const folders = readdirSync(SRC, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    expect(LAYERS.flat()).toEqual(expect.arrayContaining(folders));
  });

  it('name every folder once', () => {
    expect(new Set(LAYERS.flat()).size).toBe(LAYERS.flat().length);
  });

  it('have rules for folders as deep as src is', () => {
    const depths = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => file.split('/').length - 1);
    const deepest = Math.max(...depths);
    const pattern = `**/src/cli/${'*/'.repeat(deepest - 1)}*.ts`;
    expect(computeLayerOverrides().flatMap(({ files }) => files)).toContain(pattern);
  });
});
