import { beforeEach, describe, expect, it } from 'vitest';
import { CandidateTable } from '../../../../src/network/neighbours/candidates/candidate-table.ts';
import { CANDIDATE_TABLE_DEFAULTS } from '../../../../src/network/neighbours/options.ts';
import { CandidateSaver } from '../../../../src/network/neighbours/stored/candidate-saver.ts';
import { LevelNeighbourStore } from '../../../../src/network/neighbours/stored/level-neighbour-store.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';
import { CountingRandom, createPeer, createVrfKey } from '../../../support/neighbour-rig.ts';
import { RecordingLogger } from '../../../support/network.ts';

const OPTIONS = { saveAfterMs: 10_000, saveAfterChanges: 4 };

describe('what is written of candidates', () => {
  let clock: ManualClock;
  let database: MemoryDatabase;
  let table: CandidateTable;
  let saver: CandidateSaver;
  /** Operations of each batch. */
  let batches: number[];
  let failures: number;
  beforeEach(() => {
    clock = new ManualClock();
    database = new MemoryDatabase();
    batches = [];
    failures = 0;
    database.onWrite = (operations) => void batches.push(operations.length);
    table = new CandidateTable(
      { random: new CountingRandom('saver'), onUnsaved: () => saver.noteChange() },
      { ...CANDIDATE_TABLE_DEFAULTS, usesPrivate: false },
    );
    const store = new LevelNeighbourStore({ database, logger: new RecordingLogger() });
    const inBackground = (task: () => Promise<void>): void => void task().catch(() => void (failures += 1));
    saver = new CandidateSaver({ clock, table, store, inBackground }, OPTIONS);
    saver.start();
  });
  const note = (name: string): boolean => {
    const node = { peer: createPeer(name), vrfPublicKey: createVrfKey(name), addresses: [], expiresAtMs: 1 };
    return table.note({ node, teller: 'one', epoch: 7 });
  };
  const readStored = async (): Promise<number> => {
    const store = new LevelNeighbourStore({ database: database.clone(), logger: new RecordingLogger() });
    const { candidates, beganEpoch } = await store.loadCandidates();
    if (candidates.length > 0) expect(beganEpoch).toBe(7);
    return candidates.length;
  };

  it('is one batch, and no more than one a second however many change', async () => {
    for (let index = 0; index < 40; index += 1) note(`first ${index}`);
    await clock.advance(0);
    // One operation more: since when the table has watched.
    expect(batches).toEqual([41]);
    for (let index = 0; index < 40; index += 1) note(`second ${index}`);
    await clock.advance(900);
    expect(batches).toHaveLength(1);
    await clock.advance(200);
    expect(batches).toEqual([41, 41]);
    expect(await readStored()).toBe(80);
    await clock.advance(60_000);
    expect([batches.length, clock.pending]).toEqual([2, 0]);
  });

  it('is in the next batch if a write fails, which is not tried again at once', async () => {
    let isFull = true;
    database.onWrite = () => {
      if (isFull) throw new TypeError('no space left');
    };
    for (let index = 0; index < 5; index += 1) note(`node ${index}`);
    await clock.advance(9_000);
    expect([failures, table.unsaved, await readStored()]).toEqual([1, 5, 0]);
    isFull = false;
    await clock.advance(2_000);
    expect([failures, table.unsaved, await readStored()]).toEqual([1, 0, 5]);
  });

  it('keeps the order of changes while a write takes long', async () => {
    const gate = Promise.withResolvers<void>();
    database.hold = () => gate.promise;
    note('peer');
    const first = saver.save();
    await clock.advance(0);
    table.sweep(7 + 100);
    const second = saver.save();
    gate.resolve();
    await Promise.all([first, second]);
    expect(await readStored()).toBe(0);
  });

  it('is nothing more once it is stopped', async () => {
    note('peer');
    await saver.stop();
    expect([await readStored(), clock.pending]).toEqual([1, 0]);
    note('late');
    expect(clock.pending).toBe(0);
  });
});
