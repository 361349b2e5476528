import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  MAX_ASN_DATABASE_BYTES,
  openAutonomousSystems,
} from '../../../src/network/neighbours/candidates/mmdb-autonomous-systems.ts';
import { HistoryRun } from '../../support/history-run.ts';

const FILE = join(import.meta.dirname, '../../vectors/maxmind-asn/GeoLite2-ASN-Test.mmdb');

describe('a file of autonomous systems', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-asn-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('is read whole', async () => {
    expect((await openAutonomousSystems(FILE)).find('1.128.0.0')).toBe(1221);
  });

  it('is refused, with what to do, if it is missing, a folder, another file or too large', async () => {
    const [text, large] = [join(folder, 'text.mmdb'), join(folder, 'large.mmdb')];
    await writeFile(text, 'network,autonomous_system_number\n');
    await writeFile(large, '');
    // Sparse: no disk is taken, and nothing of it is read.
    await truncate(large, MAX_ASN_DATABASE_BYTES + 1);
    for (const [path, reason] of [
      [join(folder, 'missing.mmdb'), 'ENOENT'],
      [folder, 'not a file'],
      [text, 'no MaxMind DB file'],
      [large, `${MAX_ASN_DATABASE_BYTES + 1} bytes`],
    ] as const) {
      const refusal = openAutonomousSystems(path);
      await expect(refusal).rejects.toMatchObject({ code: 'NETWORK_BAD_ASN_DATABASE' });
      await expect(refusal).rejects.toThrow(reason);
      await expect(refusal).rejects.toHaveProperty('hint', expect.stringContaining('neighbours.asnDatabase'));
    }
  });

  it('keeps a daemon from starting that is to use one which is not there', async () => {
    await using run = await HistoryRun.open();
    const overrides = { 'provide.enabled': false, 'neighbours.asnDatabase': join(folder, 'missing.mmdb') };
    await expect(run.start('node', overrides)).rejects.toMatchObject({ code: 'NETWORK_BAD_ASN_DATABASE' });
    await run.start('other', { ...overrides, 'neighbours.asnDatabase': FILE });
  });
});
