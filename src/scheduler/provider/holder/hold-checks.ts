import { CHECKPOINT, type Checkpoint } from '../../../domain/checkpoint.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import { LEASE, type Lease } from '../../../domain/lease.ts';
import type { JobRequest } from '../../../domain/messages.ts';
import type { Signed } from '../../../domain/signed.ts';
import { SNAPSHOT } from '../../../domain/snapshot.ts';
import { isDaemonError } from '../../../lib/errors.ts';
import { openSigned } from '../../../proofs/signed-object.ts';

export interface HoldContext {
  readonly networkId: string;
  readonly self: PeerKey;
  /** Who asks: the peer of the connection. */
  readonly peer: PeerKey;
  readonly nowMs: number;
}

export type Opened<Value> =
  | { readonly kind: 'opened'; readonly value: Value }
  | { readonly kind: 'broken'; readonly rule: string };

type Rule<Value> = readonly [broken: string, isKept: (value: Value, context: HoldContext) => boolean];

const LEASE_RULES: readonly Rule<Signed<Lease>>[] = [
  ['the lease is not signed by its requester', ({ value, signer }) => signer === value.requester],
  ['the lease is for another network', ({ value }, { networkId }) => value.network === networkId],
  ['the lease is with another provider', ({ value }, { peer }) => value.provider === peer],
  ['the lease has ended', ({ value }, { nowMs }) => nowMs < value.deadlineMs],
];

type HeldPair = { readonly lease: Signed<Lease>; readonly checkpoint: Signed<Checkpoint> };

const HOLD_RULES: readonly Rule<HeldPair>[] = [
  ['the lease names another holder', ({ lease }, { self }) => lease.value.snapshotHolder === self],
  [
    'the checkpoint is not signed by the provider',
    ({ lease, checkpoint }) => checkpoint.signer === lease.value.provider,
  ],
  [
    'the checkpoint names another provider',
    ({ lease, checkpoint }) => checkpoint.value.provider === lease.value.provider,
  ],
  ['the checkpoint is of another lease', ({ lease, checkpoint }) => isSameId(checkpoint.value.lease, lease.id)],
  ['the checkpoint is of another job', ({ lease, checkpoint }) => checkpoint.value.job === lease.value.job],
  ['the checkpoint has no snapshot', ({ checkpoint }) => checkpoint.value.snapshot !== null],
  [
    'the snapshot is larger than any',
    ({ checkpoint }) => (checkpoint.value.snapshot?.sizeBytes ?? 0) <= SNAPSHOT.maxBytes,
  ],
];

const CLAIM_RULES: readonly Rule<Signed<Lease>>[] = [
  ['the lease goes on from nothing', ({ value }) => value.resume !== undefined],
  ['the lease names another holder', ({ value }, { self }) => value.resume?.holder === self],
];

/** The lease and the checkpoint of a `hold` request, if they entitle its sender to it. */
export async function openHold(
  request: Extract<JobRequest, { op: 'hold' }>,
  context: HoldContext,
): Promise<Opened<HeldPair>> {
  return await guard(async () => {
    const lease = await openSigned(LEASE, request.lease);
    const checkpoint = await openSigned(CHECKPOINT, request.checkpoint);
    const pair = { lease, checkpoint };
    return judge(pair, findBroken(LEASE_RULES, lease, context) ?? findBroken(HOLD_RULES, pair, context));
  });
}

/** The lease of a `claim` request, if it entitles its sender to some snapshot. */
export async function openClaim(
  request: Extract<JobRequest, { op: 'claim' }>,
  context: HoldContext,
): Promise<Opened<Signed<Lease>>> {
  return await guard(async () => {
    const lease = await openSigned(LEASE, request.lease);
    return judge(lease, findBroken(LEASE_RULES, lease, context) ?? findBroken(CLAIM_RULES, lease, context));
  });
}

function findBroken<Value>(rules: readonly Rule<Value>[], value: Value, context: HoldContext): string | undefined {
  return rules.find(([, isKept]) => !isKept(value, context))?.[0];
}

function judge<Value>(value: Value, rule: string | undefined): Opened<Value> {
  return rule === undefined ? { kind: 'opened', value } : { kind: 'broken', rule };
}

async function guard<Value>(open: () => Promise<Opened<Value>>): Promise<Opened<Value>> {
  try {
    return await open();
  } catch (error) {
    if (isDaemonError(error)) return { kind: 'broken', rule: `${error.code}: ${error.message}` };
    throw error;
  }
}

/** Ids of one object that differ in brand only. */
function isSameId(a: string, b: string): boolean {
  return a === b;
}
