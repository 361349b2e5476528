import { COMMITMENT } from '../../../src/domain/commitment.ts';
import type { LeaseId } from '../../../src/domain/ids.ts';
import { JOB } from '../../../src/domain/job.ts';
import { LEASE } from '../../../src/domain/lease.ts';
import { RECEIPT, type Receipt } from '../../../src/domain/receipt.ts';
import type { Signed, SignedWire } from '../../../src/domain/signed.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { describeError } from '../../../src/lib/errors.ts';
import { openSigned, readSignedPayload } from '../../../src/proofs/signed-object.ts';
import { CLOCK_SKEW_MS } from '../../../src/scheduler/constants.ts';
import { isStanding } from '../../../src/scheduler/job-machine-state.ts';
import {
  ATTEMPT_ORIGIN_CODEC,
  ATTEMPT_SIGN_CODEC,
} from '../../../src/scheduler/provider/checkpoints/attempt-origin.ts';
import { LEASE_RECORD_CODEC } from '../../../src/scheduler/provider/leases/lease-record.ts';
import type { BlobShelf } from '../blob-shelf.ts';
import { attempt, type OpenedNode, readBytes, readRange } from '../open-node.ts';
import type { IssuedLease, ProvidedLease, RunContext } from '../run-context.ts';
import type { Rule, Tally } from '../tally.ts';

/** Every record that a provider has of a lease. Outputs that ride with receipts are put on its shelf. */
export async function readProvided(node: OpenedNode, shelf: BlobShelf, tally: Tally): Promise<ProvidedLease[]> {
  const found: ProvidedLease[] = [];
  for await (const [key, bytes] of readRange(node.database, 'leases', {})) {
    const decoded = attempt(() => LEASE_RECORD_CODEC.decode(bytes));
    if (decoded === undefined) continue;
    const { inline, ...record } = decoded;
    for (const { blob, bytes: content } of inline) {
      tally.check('blobs-whole', { node: node.name, key: `leases/${key}` }, [
        [shelf.addInline(blob, content), `the output ${blob} in it does not hash to its name`],
      ]);
    }
    found.push({ node, id: key as LeaseId, record, receipt: await openReceipt(record.receipt) });
  }
  return found;
}

async function openReceipt(wire: SignedWire | null): Promise<Signed<Receipt> | null> {
  return wire === null ? null : await openSigned(RECEIPT, wire).catch(() => null);
}

/** One lease at one provider: its record itself, and against what its requester has. */
export async function checkProvided(context: RunContext, provided: ProvidedLease): Promise<void> {
  const { tally } = context;
  const subject = { node: provided.node.name, key: `leases/${provided.id}` };
  tally.check('provider-records-whole', subject, [
    ...(await listRecordRules(provided)),
    ...(context.haveClocksJumped ? [] : listTimeRules(provided)),
  ]);
  await checkConcluded(context, provided);
  const shelf = context.shelves.get(provided.node);
  if (provided.record.endedAtMs !== null && provided.record.stored.length > 0) {
    const lost = provided.record.stored.find((blob) => shelf?.has(blob) !== true);
    tally.check('blobs-kept', subject, [[lost === undefined, `the output ${lost} of a kept result is not there`]]);
  }
  const issued = context.issued.get(provided.id);
  const isRequesterHere = context.nodes.some(({ peer }) => peer === provided.record.requester);
  if (!isRequesterHere) return tally.skip('leases-known');
  const others = (context.provided.get(provided.id) ?? []).filter(({ node }) => node !== provided.node);
  tally.check('leases-run-once', subject, [
    [others.length === 0, `${others.map(({ node }) => node.name).join(', ')} has the same lease`],
    [
      issued === undefined || provided.node.peer === null || issued.lease.value.provider === provided.node.peer,
      `it was issued to ${issued?.lease.value.provider}`,
    ],
    [
      (issued?.acceptedAtMs ?? provided.record.acceptedAtMs) === provided.record.acceptedAtMs,
      'its requester has a countersignature of another time: it was accepted twice',
    ],
  ]);
  tally.check('leases-known', subject, listIssuerRules(provided, issued));
  if (issued !== undefined) checkAgreement(context, provided, issued);
}

async function listRecordRules({ node, id, record, receipt }: ProvidedLease): Promise<readonly Rule[]> {
  const { phase, endedAtMs, commitment, set } = record;
  const isLive = phase === 'accepted' || phase === 'running';
  const rules: Rule[] = [
    [isLive === (endedAtMs === null), `it is ${phase} and ${endedAtMs === null ? 'has not ended' : 'has ended'}`],
    [
      (phase === 'ended') === (record.receipt !== null),
      `it is ${phase} and has ${record.receipt ? 'a' : 'no'} receipt`,
    ],
    [phase !== 'committed' || commitment !== null, 'it is committed and has no commitment'],
    [phase !== 'set-signed' || (commitment !== null && set !== null), 'it signed a set that it does not have'],
  ];
  if (record.receipt !== null) rules.push(...listReceiptRules(node, id, record, receipt));
  if (commitment !== null) rules.push(await judgeCommitment(node, id, commitment.wire));
  return rules;
}

function listTimeRules({ record, receipt }: ProvidedLease): readonly Rule[] {
  const { endedAtMs, acceptedAtMs } = record;
  if (endedAtMs === null) return [];
  return [
    [endedAtMs >= acceptedAtMs, 'it ended before it was accepted'],
    [
      receipt === null || receipt.value.finishedAtMs <= endedAtMs + CLOCK_SKEW_MS,
      'its receipt is younger than its end',
    ],
  ];
}

function listReceiptRules(
  node: OpenedNode,
  id: LeaseId,
  record: ProvidedLease['record'],
  receipt: Signed<Receipt> | null,
): readonly Rule[] {
  if (receipt === null) return [[false, 'the signature of its receipt does not hold']];
  const { value, signer } = receipt;
  return [
    [value.lease === id && value.job === record.job, 'its receipt is of another lease or job'],
    [value.requester === record.requester, 'its receipt is for another requester'],
    [signer === value.provider && (node.peer === null || signer === node.peer), `its receipt is signed by ${signer}`],
  ];
}

async function judgeCommitment(node: OpenedNode, id: LeaseId, wire: SignedWire): Promise<Rule> {
  try {
    const { value, signer } = await openSigned(COMMITMENT, wire);
    return [value.lease === id && (node.peer === null || signer === node.peer), 'its commitment is of another lease'];
  } catch (error) {
    return [false, `its commitment: ${describeError(error)}`];
  }
}

/** A process that was killed leaves leases half way, which its next start ends. One that was stopped does not. */
async function checkConcluded(context: RunContext, { node, id, record }: ProvidedLease): Promise<void> {
  const { database, name, wasKilled } = node;
  const subject = { node: name, key: `leases/${id}` };
  if (record.endedAtMs !== null) return void context.tally.check('leases-concluded', subject, []);
  const originBytes = await readBytes(database, 'attempt-origins', id);
  const signBytes = await readBytes(database, 'attempt-signs', id);
  const origin = originBytes && attempt(() => ATTEMPT_ORIGIN_CODEC.decode(originBytes));
  const sign = signBytes && attempt(() => ATTEMPT_SIGN_CODEC.decode(signBytes));
  const rules: Rule[] = [
    [
      wasKilled || (origin !== undefined && sign !== undefined),
      `it was left ${record.phase} by a node that stopped in order`,
    ],
  ];
  if (origin !== undefined) rules.push(await judgeOrigin(id, record, origin));
  context.tally.check('leases-concluded', subject, rules);
}

async function judgeOrigin(
  id: LeaseId,
  record: ProvidedLease['record'],
  origin: { readonly job: SignedWire; readonly lease: SignedWire },
): Promise<Rule> {
  try {
    const job = await openSigned(JOB, origin.job, record.requester);
    const lease = await openSigned(LEASE, origin.lease, record.requester);
    const isOwn = (lease.id as string) === id && (job.id as string) === record.job;
    return [isOwn && (lease.value.job as string) === job.id, 'it would be gone on with under another lease or job'];
  } catch (error) {
    return [false, `it cannot be gone on with: ${describeError(error)}`];
  }
}

function listIssuerRules({ record }: ProvidedLease, issued: IssuedLease | undefined): readonly Rule[] {
  if (issued === undefined) return [[false, 'its requester never issued it']];
  return [
    [(issued.job.id as string) === record.job, `its requester issued it for the job ${issued.job.id}`],
    [issued.lease.value.requester === record.requester, 'it names another requester than the lease'],
    [issued.lease.value.commitReveal === record.commitReveal, 'it says otherwise than the lease whether to commit'],
    [
      issued.lease.value.issuedAtMs <= record.acceptedAtMs + issued.lease.value.durationMs,
      'it was accepted long before it was issued',
    ],
  ];
}

/** Byte for byte: a lease that ran twice has two receipts. */
function checkAgreement({ tally }: RunContext, { node, id, record }: ProvidedLease, issued: IssuedLease): void {
  const subject = { node: node.name, key: `leases/${id}` };
  const receipt = digestOf(record.receipt);
  const commitment = digestOf(record.commitment?.wire ?? null);
  if (receipt !== null && issued.receipt !== null) {
    tally.check('receipts-agree', subject, [[receipt === issued.receipt, 'its requester has another receipt for it']]);
  }
  if (commitment !== null && issued.commitment !== null) {
    tally.check('receipts-agree', subject, [
      [commitment === issued.commitment, 'its requester has another commitment for it'],
    ]);
  }
}

function digestOf(wire: SignedWire | null): string | null {
  return wire === null ? null : encodeHex(sha256(readSignedPayload(wire)));
}

/** What a requester counts on, its provider has: it wrote it down before it said yes. */
export function checkCountedOn(context: RunContext, issued: IssuedLease, keepForMs: number): void {
  const { attempt: current, lease, isJobEnded } = issued;
  if (isJobEnded || !current.isAccepted || !isStanding(current)) return;
  const provider = context.nodes.find(({ peer }) => peer === lease.value.provider);
  if (provider === undefined || context.nowMs > lease.value.deadlineMs + keepForMs) return;
  context.tally.check('leases-known', { node: provider.name, key: `leases/${current.lease}` }, [
    [
      (context.provided.get(current.lease) ?? []).some(({ node }) => node === provider),
      'it countersigned this lease, which its requester counts on, and has no record of it',
    ],
  ]);
}
