import { findEvidenceBlobs } from '../../../src/bundle/evidence-blobs.ts';
import type { EvidenceBlobs } from '../../../src/bundle/open-chain.ts';
import { assessEvidence } from '../../../src/bundle/verify.ts';
import type { Bundle } from '../../../src/domain/bundle.ts';
import { type BlobId, UnixMs } from '../../../src/domain/ids.ts';
import { describeError } from '../../../src/lib/errors.ts';
import { CheckpointStore } from '../../../src/scheduler/checkpoint-store.ts';
import { type EndedJob, isEnded } from '../../../src/scheduler/job-machine-state.ts';
import { JobStore } from '../../../src/scheduler/job-store.ts';
import { gatherEvidence } from '../../../src/scheduler/requester/gather-evidence.ts';
import type { InvariantId } from '../invariants.ts';
import type { JobHistory } from '../read-job.ts';
import type { RunContext } from '../run-context.ts';
import type { Rule } from '../tally.ts';

/** Results of an ended job: how many there are, and whether every signature and rule about them holds. */
export async function checkResults(context: RunContext, history: JobHistory): Promise<void> {
  const state = history.replayed?.state;
  if (state === undefined || !isEnded(state)) return;
  const subject = { node: history.node.name, key: `jobs/${history.id}` };
  context.tally.check('results-once', subject, listCountRules(history, state));
  if (state.attempts.some((attempt) => attempt.state === 'revealed')) await assess(context, history, state);
}

function listCountRules({ events, objects }: JobHistory, state: EndedJob): readonly Rule[] {
  const revealed = state.attempts.filter((attempt) => attempt.state === 'revealed');
  const replicas = new Set(revealed.map(({ replica }) => replica));
  const accepted = state.acceptedRoot;
  const giving = revealed.filter(({ outputRoot }) => outputRoot === accepted);
  const agreeing = state.agreeing?.length ?? giving.length;
  const without = revealed.find(({ lease }) => objects.get(lease)?.has('receipt') !== true);
  return [
    [events.filter(({ kind }) => kind === 'concluded').length <= 1, 'it accepted a result more than once'],
    [replicas.size === revealed.length, 'a replica has two results'],
    [
      new Set(revealed.map(({ provider }) => provider)).size === revealed.length,
      'one provider gave the results of two replicas',
    ],
    [accepted === null || giving.length > 0, 'it accepts a result that no attempt gave'],
    [accepted === null || agreeing >= state.facts.quorum, `${agreeing} agree, its quorum is ${state.facts.quorum}`],
    [without === undefined, `the receipt of the result of ${without?.lease} is missing`],
  ];
}

/** Through the checks of `bundle verify`: other code than that by which the requester took the results. */
async function assess(context: RunContext, history: JobHistory, state: EndedJob): Promise<void> {
  const { tally } = context;
  const { job, end, node } = history;
  const subject = { node: node.name, key: `job-objects/${history.id}` };
  if (job === undefined || end === undefined) return tally.skip('receipts-verify');
  try {
    const { database } = node;
    const stores = { jobs: new JobStore({ database }), checkpoints: new CheckpointStore({ database }) };
    const evidence = await gatherEvidence(stores, job, {
      view: end.view,
      missingReplicas: end.missingReplicas,
    });
    if (evidence === undefined) return tally.blame('receipts-verify', subject, 'the evidence of its results is gone');
    const bundle: Bundle = {
      type: 'fogproof/bundle@1',
      job: evidence.job.wire,
      attempts: [...evidence.attempts],
      commitmentSet: evidence.commitmentSet,
      unrevealed: [...(evidence.unrevealed ?? [])],
      missingReplicas: [...evidence.missingReplicas],
      blobs: [],
      exportedAtMs: UnixMs(0),
    };
    const blobs = await readEvidence(context, bundle);
    const { verification } = await assessEvidence(bundle, {}, { blobs, snapshots: [] });
    const checks = verification.assurances.flatMap(({ assurance, checks: found }) =>
      found.map((check) => ({ ...check, name: `${assurance}: ${check.name}` })),
    );
    for (const { name, verdict } of checks) {
      if (isAside(name, state)) continue;
      const invariant = chooseInvariant(name);
      if (verdict.kind === 'unchecked') tally.skip(invariant);
      else tally.check(invariant, subject, [[verdict.kind === 'valid', `${name}: ${describe(verdict)}`]]);
    }
  } catch (error) {
    tally.blame('receipts-verify', subject, describeError(error).slice(0, 300));
  }
}

function describe(verdict: { readonly kind: string; readonly reason?: string }): string {
  return verdict.reason ?? verdict.kind;
}

const TIME_CHECKS = [
  'receipt times',
  'lease renewal',
  'acceptance times',
  'checkpoint times',
  'commitment times',
  'committed after the run',
];

function chooseInvariant(name: string): InvariantId {
  return TIME_CHECKS.some((suffix) => name.endsWith(suffix)) ? 'receipts-in-lease' : 'receipts-verify';
}

/** No blobs are in what is assessed here (they are looked for apart), and a job that failed accepts none of its results. */
function isAside(name: string, state: EndedJob): boolean {
  if (name.endsWith('outputs in the file')) return true;
  const isAboutAgreement = name.endsWith('accepted result') || name.endsWith('quorum');
  return state.acceptedRoot === null && isAboutAgreement;
}

async function readEvidence({ shelves }: RunContext, bundle: Bundle): Promise<EvidenceBlobs> {
  const found = new Map<BlobId, Uint8Array>();
  for (const [blob, sizeBytes] of await findEvidenceBlobs(bundle)) {
    for (const shelf of shelves.values()) {
      const bytes = await shelf.read(blob);
      if (bytes?.length !== sizeBytes) continue;
      found.set(blob, bytes);
      break;
    }
  }
  return found;
}
