import { describe, expect, it } from 'vitest';
import { COMMITMENT, COMMITMENT_SET } from '../../../../../src/domain/commitment.ts';
import { RECEIPT, type Receipt } from '../../../../../src/domain/receipt.ts';
import type { Signed, SignedWire } from '../../../../../src/domain/signed.ts';
import { encodeUtf8 } from '../../../../../src/lib/bytes.ts';
import { verifyAttestedStatement } from '../../../../../src/proofs/attested-statement.ts';
import { createCommitmentSet } from '../../../../../src/proofs/commitment.ts';
import { openSigned } from '../../../../../src/proofs/signed-object.ts';
import { type ConfidentialLease, ConfidentialRequester } from '../../../../support/confidential-work.ts';
import { ProviderRig } from '../../../../support/provider-rig.ts';
import { Switchboard } from '../../../../support/provider-transport.ts';
import { TestTee } from '../../../../support/simulated-tee.ts';

const REPLICATED = { replication: { replicas: 2, quorum: 2, diversity: 'peer' } } as const;

async function startReplicas() {
  const [tee, switchboard] = [new TestTee(), new Switchboard()];
  const confidential = { confidentiality: tee.createConfidentiality(), producer: tee };
  const sides: ConfidentialRequester[] = [];
  for (const seed of [1, 2]) {
    const rig = await ProviderRig.start({ switchboard, seed, confidential });
    rig.executor.behaviour = (execution) => {
      execution.sink.log('log', 'equal on both', 1);
      execution.finish({ outputs: [{ path: '/out', bytes: encodeUtf8('equal on both') }] });
    };
    sides.push(new ConfidentialRequester(await rig.requester(), tee));
  }
  const [first] = sides;
  if (first === undefined) throw new TypeError();
  const job = await first.sealJob([{ path: '/in', bytes: encodeUtf8('equal for both') }], REPLICATED);
  const leases: ConfidentialLease[] = [];
  for (const side of sides) leases.push(await side.lease(job));
  return leases;
}

async function readCommitment({ log, provider }: ConfidentialLease) {
  await log.done;
  const last = log.events.at(-1)?.event;
  if (last?.kind !== 'committed') throw new TypeError(`the last event is ${last?.kind}`);
  return await openSigned(COMMITMENT, last.commitment, provider);
}

async function reveal(leases: readonly ConfidentialLease[]): Promise<readonly Signed<Receipt>[]> {
  const commitments = await Promise.all(leases.map(readCommitment));
  const [first] = leases;
  if (first === undefined) throw new TypeError();
  const ids = commitments.map(({ id }) => id);
  const set = createCommitmentSet(first.jobId, ids);
  const wires = commitments.map(({ wire }) => wire);
  const setSignatures: SignedWire[] = [];
  for (const { side, id } of leases) {
    const answer = await side.requester.sendOne({ op: 'sign-set', lease: id, set, commitments: wires });
    if (answer.kind !== 'set-signed') throw new TypeError(JSON.stringify(answer));
    setSignatures.push((await openSigned(COMMITMENT_SET, answer.signature)).wire);
  }
  const receipts: Signed<Receipt>[] = [];
  for (const { side, id, provider } of leases) {
    const answer = await side.requester.sendOne({ op: 'reveal', lease: id, setSignatures });
    if (answer.kind !== 'revealed') throw new TypeError(JSON.stringify(answer));
    receipts.push(await openSigned(RECEIPT, answer.receipt, provider));
  }
  return receipts;
}

describe('replicas of a confidential job', () => {
  it('are each shown evidence of their own, commit, and come to equal sealed results', async () => {
    const leases = await startReplicas();
    const evidences: Uint8Array[] = [];
    for (const lease of leases) evidences.push(await lease.unlock());
    const [one, two] = await reveal(leases);
    expect(one?.value.outputRoot).toBe(two?.value.outputRoot);
    expect(one?.value.result).toEqual(two?.value.result);
    expect(one?.value.attestation?.evidence).not.toBe(two?.value.attestation?.evidence);
    for (const [index, receipt] of [one, two].entries()) {
      const lease = leases[index];
      const { runtimeData } = (await lease?.judge(evidences[index] ?? new Uint8Array())) ?? {};
      const attestation = receipt?.value.attestation;
      if (receipt === undefined || runtimeData === undefined || runtimeData === null || attestation === undefined)
        throw new TypeError();
      const { job, outputRoot } = receipt.value;
      const { commitments } = lease?.job.signed.value.confidential ?? { commitments: [] };
      const statement = { job, lease: receipt.value.lease, nonce: runtimeData.nonce, commitments, outputRoot };
      const { signingKey } = runtimeData;
      expect(verifyAttestedStatement(statement, { signingKey, signature: attestation.signature })).toBe(true);
    }
  });

  it('refuse what was released to the other', async () => {
    const [one, two] = await startReplicas();
    if (one === undefined || two === undefined) throw new TypeError();
    const release = await one.describeRelease(await one.showEvidence());
    await two.showEvidence();
    expect(await two.release({ ...release, lease: two.id })).toMatchObject({ refusal: { code: 'RELEASE_INVALID' } });
    expect(await one.release(release)).toEqual({ kind: 'released' });
  });
});
