import { describe, expect, it } from 'vitest';
import { runCrashes } from '../../../../scripts/crash-anchoring/run.ts';

describe('a process that is killed while it anchors', () => {
  it('neither loses nor doubles a root: 5 kills (`npm run crash:anchoring` does hundreds)', {
    timeout: 180_000,
  }, async () => {
    const seed = Date.now() % 1_000_000;
    const report = await runCrashes({ kills: 5, seed });
    expect({ seed, faults: report.faults }).toEqual({ seed, faults: [] });
    expect(report.leaves).toBe(report.leavesGiven);
    expect(report.givenOnce).toBe(report.leavesGiven);
    expect(report.roots).toBeGreaterThan(0);
  });
});
