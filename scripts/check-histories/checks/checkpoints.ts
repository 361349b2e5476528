import { CHECKPOINT, CHECKPOINT_CHAIN, type Checkpoint } from '../../../src/domain/checkpoint.ts';
import type { LeaseId } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import type { Lease } from '../../../src/domain/lease.ts';
import { decodeObject } from '../../../src/domain/object-type.ts';
import { RECEIPT, type Receipt } from '../../../src/domain/receipt.ts';
import type { Signed } from '../../../src/domain/signed.ts';
import { areBytesEqual, encodeHex } from '../../../src/lib/bytes.ts';
import { describeError } from '../../../src/lib/errors.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { type OpenedChain, verifyChain, verifyCheckpoint } from '../../../src/proofs/verify-chain.ts';
import { decodeCheckpoint, heldSchema } from '../../../src/scheduler/checkpoint-store.ts';
import { isEnded } from '../../../src/scheduler/job-machine-state.ts';
import { decodeEntry } from '../../../src/scheduler/job-records.ts';
import { JOURNALLED_LINK_CODEC } from '../../../src/scheduler/provider/checkpoints/attempt-journal.ts';
import { attempt, type OpenedNode, readBytes, readRange, under } from '../open-node.ts';
import type { JobHistory } from '../read-job.ts';
import type { IssuedLease, RunContext } from '../run-context.ts';
import type { Rule, Subject } from '../tally.ts';

/** State roots by step, of all attempts of one job. */
type Roots = Map<number, { readonly root: string; readonly lease: LeaseId }>;

/** The checkpoints of one job at its requester and its providers. */
export async function checkCheckpoints(context: RunContext, history: JobHistory): Promise<void> {
  const { job, replayed, node } = history;
  if (job?.value.checkpoints === undefined || replayed === undefined) return;
  const roots: Roots = new Map();
  for (const { lease } of replayed.state.attempts) {
    const issued = context.issued.get(lease);
    if (issued === undefined) continue;
    const seen = await readSeen(context, history, issued);
    const links = await readJournalled(context, issued);
    const chain = await readChain(context, history, issued);
    const subject = { node: node.name, key: `job-checkpoints/${history.id}/${lease}` };
    for (const { value } of [...seen, ...links]) note(roots, lease, value);
    for (const { step, stateRoot } of chain?.links ?? []) note(roots, lease, { step, stateRoot });
    if (seen.length > 0) checkAgainst(context, subject, { seen, links, chain });
    // Training jobs that are no stepping modules may differ in the last bit (domain/job.ts, comparisons).
    if (job.value.checkpoints.schedule.kind === 'rounds') roots.clear();
  }
  const subject = { node: node.name, key: `job-checkpoints/${history.id}` };
  for (const [step, { root, lease }] of roots) {
    context.tally.check('checkpoints-agree', subject, [
      [root !== CONTRADICTED, `${lease} gives another state root at step ${step} than an attempt before`],
    ]);
  }
  await checkHeld(context, history);
}

const CONTRADICTED = 'contradicted';

function note(roots: Roots, lease: LeaseId, at: Pick<Checkpoint, 'step' | 'stateRoot'>): void {
  const root = encodeHex(at.stateRoot);
  const known = roots.get(at.step);
  if (known === undefined) roots.set(at.step, { root, lease });
  else if (known.root !== root) roots.set(at.step, { root: CONTRADICTED, lease });
}

/** What the requester saw: each signed by the provider, and each on the one before. */
async function readSeen(context: RunContext, history: JobHistory, issued: IssuedLease): Promise<Signed<Checkpoint>[]> {
  const { tally } = context;
  const found: Signed<Checkpoint>[] = [];
  let previous: Checkpoint | null = null;
  const prefix = `${history.id}/${issued.attempt.lease}`;
  for await (const [key, bytes] of readRange(history.node.database, 'job-checkpoints', under(prefix))) {
    const subject = { node: history.node.name, key: `job-checkpoints/${key}` };
    if (key.endsWith('/conflict')) {
      tally.blame('checkpoints-chained', subject, 'its provider signed two checkpoints of one index');
      continue;
    }
    const stored = attempt(() => decodeCheckpoint(key, bytes));
    if (stored === undefined) continue;
    const opened = await openLink(stored.wire);
    tally.check('checkpoints-chained', subject, judgeLink(opened, issued, previous));
    if (typeof opened === 'string') continue;
    found.push(opened);
    previous = opened.value;
  }
  return found;
}

async function openLink(wire: Parameters<typeof openSigned>[1]): Promise<Signed<Checkpoint> | string> {
  return await openSigned(CHECKPOINT, wire).catch((error: unknown) => describeError(error));
}

function judgeLink(
  opened: Signed<Checkpoint> | string,
  { job, lease }: { readonly job: Signed<Job>; readonly lease: Signed<Lease> },
  previous: Checkpoint | null,
): readonly Rule[] {
  if (typeof opened === 'string') return [[false, opened]];
  const checked = verifyCheckpoint(opened, { job, lease, previous });
  return [[checked.ok, checked.ok ? '' : checked.problem.detail]];
}

/** What the provider journalled of an attempt: all links, without a gap. */
async function readJournalled(context: RunContext, issued: IssuedLease): Promise<Signed<Checkpoint>[]> {
  const found: Signed<Checkpoint>[] = [];
  for (const { node } of context.provided.get(issued.attempt.lease) ?? []) {
    let previous: Checkpoint | null = null;
    for await (const [key, bytes] of readRange(node.database, 'checkpoints', under(issued.attempt.lease))) {
      const stored = attempt(() => JOURNALLED_LINK_CODEC.decode(bytes));
      if (stored === undefined) continue;
      const opened = await openLink(stored.wire);
      const index: number = previous === null ? 0 : previous.index + 1;
      context.tally.check('checkpoints-chained', { node: node.name, key: `checkpoints/${key}` }, [
        ...judgeLink(opened, issued, previous),
        [typeof opened === 'string' || opened.value.index === index, `it is not link ${index}`],
      ]);
      if (typeof opened === 'string') continue;
      found.push(opened);
      previous = opened.value;
    }
  }
  return found;
}

async function readChain(
  context: RunContext,
  history: JobHistory,
  { attempt: { lease, state }, lease: signedLease, job }: IssuedLease,
): Promise<OpenedChain | undefined> {
  const wire = state === 'revealed' ? history.objects.get(lease)?.get('receipt') : undefined;
  const receipt: Receipt | undefined = wire && (await openSigned(RECEIPT, wire).catch(() => undefined))?.value;
  const named = receipt?.checkpointChain;
  if (receipt === undefined || named === undefined) return undefined;
  for (const shelf of context.shelves.values()) {
    const bytes = await shelf.read(named.blob);
    const chain = bytes && attempt(() => decodeObject(CHECKPOINT_CHAIN, bytes));
    if (chain === undefined) continue;
    const checked = verifyChain(chain, { job, lease: signedLease, receipt });
    const subject = { node: history.node.name, key: `job-objects/${history.id}/${lease}/receipt` };
    context.tally.check('checkpoints-chained', subject, [[checked.ok, checked.ok ? '' : checked.problem.detail]]);
    return checked.ok ? checked.value : undefined;
  }
  context.tally.skip('checkpoints-chained');
  return undefined;
}

/** What was seen, what was journalled and what the receipt's chain has: the same heads at the same indices. */
function checkAgainst(
  { tally }: RunContext,
  subject: Subject,
  all: {
    readonly seen: readonly Signed<Checkpoint>[];
    readonly links: readonly Signed<Checkpoint>[];
    readonly chain: OpenedChain | undefined;
  },
): void {
  const { seen, links, chain } = all;
  const journalled = new Map(links.map(({ value }) => [value.index, value.head]));
  const other = seen.find(({ value }) => {
    const head = journalled.get(value.index);
    return head !== undefined && !areBytesEqual(head, value.head);
  });
  const strange = seen.find(({ value }) => {
    if (chain === undefined) return false;
    const head = value.index === 0 ? chain.startHead : chain.heads[value.index - 1];
    return head === undefined || !areBytesEqual(head, value.head);
  });
  tally.check('checkpoints-chained', subject, [
    [other === undefined, `its provider has another link ${other?.value.index} than it told`],
    [strange === undefined, `link ${strange?.value.index} is not in the chain of its receipt`],
  ]);
}

/** Points that an active job may go on from. */
async function checkHeld(context: RunContext, { node, id, replayed, job }: JobHistory): Promise<void> {
  const bytes = await readBytes(node.database, 'job-checkpoints', `${id}/held`);
  const held = bytes && attempt(() => decodeEntry(heldSchema, id, bytes));
  if (held === undefined || replayed === undefined || job === undefined) return;
  const holder = job.value.checkpoints?.holder ?? job.value.requester;
  const place = holder === job.value.requester ? node : context.nodes.find(({ peer }) => peer === holder);
  for (const { lease, index, step, head, snapshot } of held) {
    const subject = { node: node.name, key: `job-checkpoints/${id}/held` };
    const stored = await readCheckpoint(node, `${id}/${lease}/${String(index).padStart(5, '0')}`);
    context.tally.check('snapshots-held', subject, [
      [
        stored !== undefined && areBytesEqual(stored.head, head),
        `the checkpoint of step ${step} that it names is not known`,
      ],
    ]);
    if (isEnded(replayed.state) || place === undefined) continue;
    const row = await readBytes(place.database, 'snapshots', `holder/${lease}/${String(step).padStart(16, '0')}`);
    context.tally.check('snapshots-held', subject, [
      [row !== undefined, `${place.name} does not have the snapshot ${snapshot.blob} of step ${step}`],
    ]);
  }
}

async function readCheckpoint(node: OpenedNode, key: string): Promise<Checkpoint | undefined> {
  const bytes = await readBytes(node.database, 'job-checkpoints', key);
  return bytes && attempt(() => decodeCheckpoint(key, bytes))?.value;
}
