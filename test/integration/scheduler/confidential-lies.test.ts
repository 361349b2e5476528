import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  ATTEMPT_EVIDENCE,
  type AttemptEvidence,
  type AttestResponse,
  RUNTIME_DATA,
  type RuntimeData,
} from '../../../src/domain/confidential.ts';
import { decodeObject, encodeObject } from '../../../src/domain/object-type.ts';
import type { JobView } from '../../../src/scheduler/interface.ts';
import { ConfidentialSides, type Middle } from '../../support/confidential-sides.ts';
import { TestTee } from '../../support/simulated-tee.ts';

const SECRET = 'nobody but the measured code may read this';

function openEvidence(answer: AttestResponse): AttemptEvidence {
  if (answer.kind !== 'evidence') throw new TypeError(JSON.stringify(answer));
  return decodeObject(ATTEMPT_EVIDENCE, answer.evidence);
}

const answerWith = (evidence: AttemptEvidence): AttestResponse => ({
  kind: 'evidence',
  evidence: encodeObject(ATTEMPT_EVIDENCE, evidence),
});

/** Changes what the provider shows. */
function forging(change: (evidence: AttemptEvidence) => AttemptEvidence | Promise<AttemptEvidence>): Middle {
  return async (request, forward) => {
    const answer = await forward(request);
    return request.op === 'challenge' ? answerWith(await change(openEvidence(answer))) : answer;
  };
}

function changeRuntimeData(evidence: AttemptEvidence, change: Partial<RuntimeData>): AttemptEvidence {
  const runtimeData = { ...decodeObject(RUNTIME_DATA, evidence.runtimeData), ...change };
  return { ...evidence, runtimeData: encodeObject(RUNTIME_DATA, runtimeData) };
}

/** Makes evidence of its own, in an environment that is not the network's. */
async function attestElsewhere(evidence: AttemptEvidence): Promise<AttemptEvidence> {
  const elsewhere = new TestTee();
  const runtimeData = { ...decodeObject(RUNTIME_DATA, evidence.runtimeData), encryptionKey: freshKey() };
  const bytes = encodeObject(RUNTIME_DATA, runtimeData);
  const reportData = await elsewhere.createConfidentiality().computeReportData(bytes);
  const produced = await elsewhere.produce({ reportData, gpuNonce: null, signal: new AbortController().signal });
  return { ...evidence, ...produced, runtimeData: bytes };
}

const freshKey = () => new Uint8Array(randomBytes(32));

function readFirst({ attempts }: JobView): string {
  return attempts[0]?.reason ?? '';
}

describe('a requester of a confidential job', () => {
  it('gets the result from who shows evidence, and opens what it prints', async () => {
    await using sides = await ConfidentialSides.start();
    const view = await sides.run(SECRET);
    expect(view).toMatchObject({ state: 'completed', failure: null });
    expect(await sides.readOutput(view)).toBe(SECRET);
    expect(view.attempts[0]?.evidence).toMatchObject({ kind: 'simulated', gpus: false });
    const said = (await sides.readEvents(view.job)).flatMap((event) => (event.kind === 'log' ? [event.text] : []));
    expect(said).toEqual([SECRET]);
  });

  const lies: readonly (readonly [what: string, middle: Middle, check: string])[] = [
    [
      'a man in the middle, who puts his key where the attested one was',
      forging((evidence) => changeRuntimeData(evidence, { encryptionKey: freshKey() })),
      'binding',
    ],
    [
      'a man in the middle with a machine of his own, outside of the hardware',
      forging(attestElsewhere),
      'report-signature',
    ],
    [
      'a replayed nonce',
      (request, forward) => forward(request.op === 'challenge' ? { ...request, nonce: freshKey() } : request),
      'nonce',
    ],
    [
      'a swapped key of the requester',
      (request, forward) => forward(request.op === 'challenge' ? { ...request, requesterKey: freshKey() } : request),
      'requester-key',
    ],
    [
      'a swapped key that signs results',
      forging((evidence) => changeRuntimeData(evidence, { signingKey: freshKey() })),
      'binding',
    ],
    [
      'a report that was changed',
      forging((evidence) => ({
        ...evidence,
        // In its report data: what was signed says something else.
        report: evidence.report.map((byte, index) => (index === 60 ? ~byte : byte)),
      })),
      'report-signature',
    ],
    ['no evidence at all', async () => ({ kind: 'evidence', evidence: new Uint8Array([0xa0]) }), 'evidence-format'],
  ];
  it.each(lies)('refuses %s, by name, and goes elsewhere', async (_what, middle, check) => {
    await using sides = await ConfidentialSides.start({ providers: 2, middle });
    const view = await sides.run(SECRET);
    const [liar, honest] = sides.rigs.map(({ identity }) => identity.peer);
    expect(view.attempts.map(({ provider, state }) => [provider, state])).toEqual([
      [liar, 'failed'],
      [honest, 'revealed'],
    ]);
    expect(readFirst(view)).toMatch(new RegExp(`^EVIDENCE_REFUSED: its evidence is invalid: (.*; )?${check}: `));
    expect(view.state).toBe('completed');
    expect(await sides.readOutput(view)).toBe(SECRET);
    // Nothing was sealed for the liar.
    expect(sides.released).toHaveLength(1);
    expect(sides.metrics.sums.get('fogproof_requester_peer_faults_total EVIDENCE_REFUSED')).toBe(1);
  });

  it('hands out its sealed inputs with the release, not before, and the plain ones never', async () => {
    const seen: (readonly [op: string, answers: readonly string[]])[] = [];
    const middle: Middle = async (request, forward) => {
      seen.push([request.op, await sides.tryFetch()]);
      return await forward(request);
    };
    await using sides = await ConfidentialSides.start({ middle });
    expect((await sides.run(SECRET)).state).toBe('completed');
    expect(seen).toEqual([
      ['challenge', ['not-found', 'not-found']],
      ['release', ['not-found', 'chunk', 'not-found']],
    ]);
  });

  it("refuses another job's evidence, by name", async () => {
    let recorded: AttestResponse | undefined;
    const middle: Middle = async (request, forward) => {
      if (request.op === 'release') return await forward(request);
      recorded ??= await forward(request);
      return recorded;
    };
    await using sides = await ConfidentialSides.start({ providers: 2, middle });
    expect((await sides.run(SECRET)).attempts).toHaveLength(1);
    const view = await sides.run('another job');
    expect(readFirst(view)).toMatch(/^EVIDENCE_REFUSED: .*\bnonce: .*\bjob: /);
    expect(await sides.readOutput(view)).toBe('another job');
  });

  it('refuses code that its policy does not name, and code that the policy of its node does not name', async () => {
    const other = JSON.stringify({ simulated: { measurements: ['ab'.repeat(48)] } });
    await using sides = await ConfidentialSides.start();
    const named = await sides.submit(SECRET, { confidential: { policy: other }, retries: 0 });
    const refused = await sides.requester.wait(named.job, { signal: AbortSignal.timeout(20_000) });
    expect(refused).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_RETRIES_EXHAUSTED' } });
    expect(readFirst(refused)).toMatch(/^EVIDENCE_REFUSED: .*measurement: /);
    await using strict = await ConfidentialSides.start({ options: { ownPolicy: other } });
    const own = await strict.run(SECRET, { retries: 0 });
    expect(readFirst(own)).toMatch(/^EVIDENCE_REFUSED: .*policy-2\/measurement: /);
    expect([...sides.released, ...strict.released]).toEqual([]);
  });

  it('goes elsewhere where the hardware gives no evidence, and does not call it a lie', async () => {
    await using sides = await ConfidentialSides.start({ providers: 2 });
    let isFirst = true;
    sides.tee.before = async () => {
      if (!isFirst) return;
      isFirst = false;
      throw new TypeError('the hardware is gone');
    };
    const view = await sides.run(SECRET);
    expect(readFirst(view)).toMatch(/^EVIDENCE_FAILED/);
    expect(view.state).toBe('completed');
    expect(sides.metrics.sums.get('fogproof_requester_peer_faults_total EVIDENCE_REFUSED')).toBeUndefined();
  });

  it('says that nobody can show evidence, and sends nothing', async () => {
    await using sides = await ConfidentialSides.start({ providers: 0, plainProviders: 2 });
    const { job } = await sides.submit(SECRET);
    await expect
      .poll(async () => (await sides.explain(job)).asked.filter(({ answer }) => answer.kind === 'refused').length)
      .toBe(2);
    const { asked, hints } = await sides.explain(job);
    expect(asked.map(({ answer }) => (answer.kind === 'refused' ? answer.refusal.code : answer.kind))).toEqual([
      'NO_EVIDENCE',
      'NO_EVIDENCE',
    ]);
    expect(hints[0]).toBe(
      'no trusted execution environment of the kind SIMULATED is known on this network: nothing of the job was sent',
    );
    expect(sides.asked).toEqual([]);
    for (const rig of sides.rigs) expect(rig.blobs.blobs.size).toBe(0);
    await sides.requester.cancel(job);
  });

  it('has each replica show evidence of its own, and equal results are equal though they are sealed', async () => {
    await using sides = await ConfidentialSides.start({ providers: 3 });
    const view = await sides.run(SECRET, { replication: { replicas: 3, quorum: 3, diversity: 'peer' } });
    expect(view).toMatchObject({ state: 'completed' });
    expect(view.result?.agreeing).toHaveLength(3);
    expect(new Set(view.attempts.map(({ evidence }) => evidence?.blob)).size).toBe(3);
    expect(await sides.readOutput(view)).toBe(SECRET);
  });

  it('is refused in a batch, whatever way it comes', async () => {
    await using sides = await ConfidentialSides.start({ providers: 0 });
    const { requester } = sides;
    const refusal = { code: 'SCHEDULER_CONFIDENTIAL_REFUSED' };
    const draft = await sides.describeDraft(SECRET);
    await expect(requester.submitMany([draft])).rejects.toMatchObject(refusal);
    const batch = 'sweep-1' as never;
    await requester.batches.open({ batch, name: 'sweep', size: 1, digest: 'ab' });
    const replicated = { ...draft, replication: { replicas: 3, quorum: 2, diversity: 'peer' } as const };
    for (const each of [draft, replicated]) {
      await expect(requester.batches.submit(batch, [{ index: 0, draft: each }])).rejects.toMatchObject(refusal);
    }
    expect(requester.counts()).toEqual({ active: 0, total: 0 });
  });
});
