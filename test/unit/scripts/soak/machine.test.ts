import { describe, expect, it } from 'vitest';
import { computeOtherwiseBusy, readMachineTimes } from '../../../../scripts/soak/machine.ts';
import type { Sample } from '../../../../scripts/soak/sample.ts';

const sample = (node: string, pid: number, processorSeconds: number): Sample => ({
  node,
  pid,
  processorSeconds,
  atSeconds: 0,
  rssBytes: 0,
  heapBytes: 0,
  descriptors: 0,
  openFiles: 0,
  threads: 0,
  children: 0,
  loopDelayMs: 0,
  loopDelayP99Ms: 0,
  databaseBytes: 0,
  blobBytes: 0,
  neighbours: 0,
});

describe('what else runs on the machine', () => {
  const before = { totalMs: 5_000, idleMs: 1_000 };
  const after = { totalMs: 105_000, idleMs: 41_000 };

  it('is what was neither idle nor taken by the daemons, each process by itself', () => {
    expect(computeOtherwiseBusy({ before, after }, [])).toBeCloseTo(0.6);
    const samples = [sample('ada', 1, 7), sample('ada', 1, 27), sample('ada', 2, 1), sample('ada', 2, 11)];
    expect(computeOtherwiseBusy({ before, after }, samples)).toBeCloseTo(0.3);
  });

  it('is nothing where the daemons took all, or no time passed', () => {
    expect(computeOtherwiseBusy({ before, after }, [sample('ada', 1, 0), sample('ada', 1, 90)])).toBe(0);
    expect(computeOtherwiseBusy({ before, after: before }, [])).toBe(0);
  });

  it('is read of the machine', () => {
    const { totalMs, idleMs } = readMachineTimes();
    expect(totalMs).toBeGreaterThan(idleMs);
    expect(idleMs).toBeGreaterThanOrEqual(0);
  });
});
