import { describe, expect, it } from 'vitest';
import type { SnapshotEntry, SnapshotKey } from '../../../../../src/blob/interface.ts';
import { type BlobId, type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../../../src/domain/ids.ts';
import { SnapshotDuties } from '../../../../../src/scheduler/provider/checkpoints/snapshot-duties.ts';
import { HeldSnapshots } from '../../../../../src/scheduler/provider/holder/held-snapshots.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../../src/scheduler/provider/options.ts';
import { NoopLogger } from '../../../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../../../support/manual-clock.ts';
import { MemoryDatabase } from '../../../../support/memory-database.ts';

const OWN = 'lease-of-own-job' as LeaseId;
const OTHER = 'lease-of-another' as LeaseId;

function entryOf(lease: LeaseId): SnapshotEntry {
  return {
    role: 'holder',
    lease,
    step: 4,
    job: 'job' as JobId,
    reference: { blob: `blob-of-${lease}` as BlobId, sizeBytes: 1 },
    itemBytes: 1,
    addedBytes: 1,
    keptUntilMs: 2 ** 50,
  };
}

/** A node that was started again with one snapshot of its own job and one that it holds for somebody else. */
async function restart(keptUntilMs: UnixMs) {
  const database = new MemoryDatabase();
  const entries = [entryOf(OWN), entryOf(OTHER)];
  const released: SnapshotKey[] = [];
  const store = {
    list: ({ lease }: { readonly lease?: LeaseId }) =>
      entries.filter((entry) => (lease ?? entry.lease) === entry.lease),
    release: async (key: SnapshotKey) => void released.push(key),
  };
  const duties = new SnapshotDuties(database, 'holder');
  await duties.put(OTHER, {
    version: 1,
    job: 'job' as JobId,
    requester: 'requester' as PeerKey,
    provider: 'provider' as PeerKey,
    holder: 'self' as PeerKey,
    startStep: 0,
    keptUntilMs,
  });
  const modules = { store, duties, clock: new ManualClock(), logger: new NoopLogger() };
  const held = new HeldSnapshots(modules, { ...JOB_PROVIDER_DEFAULTS.snapshots.hold, keepForMs: 0 });
  await held.load();
  return { held, released };
}

describe('HeldSnapshots after a restart', () => {
  it('lets go of nothing that the node holds as a requester', async () => {
    const { held, released } = await restart(UnixMs(2 ** 50));
    expect(released).toEqual([]);
    expect(held.has(OTHER)).toBe(true);
    expect(held.has(OWN)).toBe(false);
  });

  it('lets go of what was to be kept until then', async () => {
    const { held, released } = await restart(UnixMs(1));
    expect(released).toEqual([{ role: 'holder', lease: OTHER, step: 4 }]);
    expect(held.isEmpty).toBe(true);
  });
});
