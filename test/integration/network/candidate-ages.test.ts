import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CandidateTable } from '../../../src/network/neighbours/candidates/candidate-table.ts';
import { CANDIDATE_SAVER_DEFAULTS, CANDIDATE_TABLE_DEFAULTS } from '../../../src/network/neighbours/options.ts';
import { CandidateSaver } from '../../../src/network/neighbours/stored/candidate-saver.ts';
import { LevelNeighbourStore } from '../../../src/network/neighbours/stored/level-neighbour-store.ts';
import { LevelDatabase } from '../../../src/storage/level-database.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { CountingRandom, createPeer, createVrfKey } from '../../support/neighbour-rig.ts';

const EPOCH = 100;
const logger = new NoopLogger();
const OPTIONS = { ...CANDIDATE_TABLE_DEFAULTS, usesPrivate: false };

it('ages of candidates are on disk in the epoch in which they began, though nothing was stopped in order', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-ages-'));
  const clock = new ManualClock();
  const node = { peer: createPeer('node'), vrfPublicKey: createVrfKey('node'), addresses: [], expiresAtMs: 1e6 };
  {
    await using database = await LevelDatabase.open(folder, { logger });
    let writing: Promise<void> | undefined;
    const table: CandidateTable = new CandidateTable(
      { random: new CountingRandom('first'), onUnsaved: () => saver.noteChange() },
      OPTIONS,
    );
    const store = new LevelNeighbourStore({ database, logger });
    const inBackground = (task: () => Promise<void>): void => void (writing = task());
    const saver = new CandidateSaver({ clock, table, store, inBackground }, CANDIDATE_SAVER_DEFAULTS);
    saver.start();
    table.note({ node, teller: 'one', epoch: EPOCH });
    await clock.advance(299_000);
    expect(writing).toBeUndefined();
    await clock.advance(2_000);
    expect(writing).toBeDefined();
    await writing;
  }
  await using reopened = await LevelDatabase.open(folder, { logger });
  const again = new CandidateTable({ random: new CountingRandom('second') }, OPTIONS);
  const stored = await new LevelNeighbourStore({ database: reopened, logger }).loadCandidates();
  again.restore(stored, EPOCH + 2);
  again.note({ node: { ...node, expiresAtMs: 2e6 }, teller: 'two', epoch: EPOCH + 2 });
  const eligible = [...again.eligible({ epoch: EPOCH + 2, nowMs: 0, isGenesis: false })];
  expect(eligible.map(({ candidate }) => candidate.peer)).toEqual([node.peer]);
  expect(again.beganEpoch).toBe(EPOCH);
  await rm(folder, { recursive: true });
});
