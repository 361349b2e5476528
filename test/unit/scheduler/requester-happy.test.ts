import { describe, expect, it } from 'vitest';
import type { JobId } from '../../../src/domain/ids.ts';
import { RequesterRig } from '../../support/requester-rig.ts';

describe('a job with one replica', () => {
  it('runs from submission to a verified result with its file', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider();
    const view = await rig.end(await rig.submit());
    expect(view).toMatchObject({
      state: 'completed',
      failure: null,
      attempts: [{ provider: provider.peer, state: 'revealed' }],
    });
    const [output] = view.result?.outputs ?? [];
    expect(new TextDecoder().decode(await rig.blobs.get(output?.blob as never, 100))).toBe('forty-two');
  });
});

describe('the end of a job', () => {
  it.each([
    ['alone', 1],
    ['of a batch', 2],
  ])('is told once it is on disk, and not before: %s', async (_, count) => {
    const rig = await RequesterRig.start();
    await rig.addProvider();
    const held = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    rig.database.hold = (operations) => {
      if (!operations.some(({ namespace, key }) => namespace === 'jobs' && key.endsWith('/end'))) return undefined;
      arrived.resolve();
      return held.promise;
    };
    const drafts = await Promise.all(Array.from({ length: count }, () => rig.draft()));
    const jobs = await rig.requester.submitMany(drafts);
    await arrived.promise;
    for (const job of jobs) {
      expect(await rig.requester.show(job)).toMatchObject({ endedAtMs: null, result: null });
      expect((await rig.requester.explain(job)).state).not.toBe('completed');
    }
    expect(await rig.requester.list({ state: 'completed', limit: 9 })).toEqual([]);
    const cancelled = rig.requester.cancel(jobs[0] as JobId);
    held.resolve();
    rig.database.hold = undefined;
    for (const job of jobs) expect(await rig.end(job)).toMatchObject({ state: 'completed', failure: null });
    // Too late: what is under way is waited for, or goes on.
    expect((await cancelled).state).toBe(count === 1 ? 'completed' : 'running');
  });
});

describe('a job with three replicas', () => {
  it('commits, reveals and agrees', async () => {
    const rig = await RequesterRig.start();
    for (let index = 0; index < 3; index += 1) await rig.addProvider();
    const view = await rig.end(await rig.submitReplicas(3, 2));
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(3);
    const evidence = await rig.requester.evidence(view.job);
    expect(evidence.attempts).toHaveLength(3);
    expect(evidence.attempts.every((attempt) => attempt.commitment !== null && attempt.setSignature !== null)).toBe(
      true,
    );
    expect(evidence.commitmentSet?.commitments).toHaveLength(3);
    expect(evidence.missingReplicas).toEqual([]);
  });
});
