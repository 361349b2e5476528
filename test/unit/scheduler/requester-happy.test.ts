import { describe, expect, it } from 'vitest';
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
