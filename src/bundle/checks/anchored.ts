/** The `anchored` assurance: a receipt's hash is under a root that was written to a chain (design section 7). */
import type { Anchor } from '../../domain/anchor.ts';
import type { AssuranceReport } from '../../domain/assurance.ts';
import { encodeBase58 } from '../../domain/chain.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { areBytesEqual, encodeHex } from '../../lib/bytes.ts';
import type { AcceptedResult } from './accepted-result.ts';
import { type ChainAccess, isProven, isRefuted, type JudgedAnchor, judgeAnchors } from './anchor.ts';
import { type Check, checkRules, combineChecks, uncheckedCheck } from './check.ts';
import { describeAnchors, listAssumptions, nameChain } from './describe-anchors.ts';

export interface AnchoredContext {
  readonly receipts: readonly Signed<Receipt>[];
  readonly accepted: AcceptedResult | undefined;
  readonly chain: ChainAccess | undefined;
}

/** What the anchors say of the time at which the accepted result was there. */
export type Dating =
  | { readonly kind: 'none' }
  | { readonly kind: 'unchecked' }
  /** Proven, on a chain that is no public cluster. */
  | { readonly kind: 'private'; readonly chain: string }
  | { readonly kind: 'public'; readonly chain: string; readonly slot: number; readonly blockTimeMs: number | null };

export interface AnchoredFindings {
  readonly report: AssuranceReport;
  readonly dating: Dating;
}

export async function reportAnchored(anchors: readonly Anchor[], context: AnchoredContext): Promise<AnchoredFindings> {
  const { accepted, receipts, chain } = context;
  const judged = await judgeAnchors(anchors, receipts, chain);
  const checks = [
    ...judged.flatMap((anchor) => anchor.checks),
    checkDistinct(anchors),
    checkConsistent(anchors),
    ...checkCoverage(judged, accepted),
  ];
  const sound = judged.filter((anchor) => !isRefuted(anchor));
  const verdict = combineChecks(checks);
  return {
    report: {
      assurance: 'anchored',
      statement: describeAnchors(judged, accepted?.receipts.filter((receipt) => !isAnchored(receipt, judged)) ?? []),
      by: [...new Set(sound.map(({ anchor }) => encodeBase58(anchor.owner)))],
      assumes: listAssumptions(sound),
      doesNotClaim: [
        'that a receipt is true: only that it existed when its root was written',
        'that the times in a receipt are right, or that it was not written long after the work',
        'who holds the key of a wallet named here, or that all receipts of anybody are anchored',
      ],
      verdict,
      checks,
    },
    dating: verdict.kind === 'invalid' ? { kind: 'none' } : findDating(judged, accepted),
  };
}

/** One receipt may be anchored by several owners, or again in a later batch; one entry of a log counts once. */
function checkDistinct(anchors: readonly Anchor[]): Check {
  const keys = anchors.map((anchor) => `${anchor.receipt} ${nameLog(anchor)} ${anchor.entry}`);
  return checkRules('anchors distinct', 'REPEATED', [
    [new Set(keys).size === keys.length, 'a receipt is said twice to be under one entry of a log'],
  ]);
}

function checkConsistent(anchors: readonly Anchor[]): Check {
  const pairs = anchors.flatMap((a, index) => anchors.slice(index + 1).map((b) => [a, b] as const));
  return checkRules('anchors consistent', 'CONTRADICTORY', [
    [!pairs.some(([a, b]) => isSameEntry(a, b) && !isSameBatch(a, b)), 'one entry of a log is said to be two batches'],
    [
      !pairs.some(([a, b]) => isSameLog(a, b) && isOutOfOrder(a, b)),
      'a later entry of a log is said to be written at an earlier slot',
    ],
    [
      !pairs.some(([a, b]) => isSameTransaction(a, b) && a.slot !== b.slot),
      'one transaction is said to be in two slots',
    ],
  ]);
}

function nameLog({ genesis, program, log, generation }: Anchor): string {
  return `${[genesis, program, log].map(encodeHex).join(' ')} ${generation}`;
}

const isSameLog = (a: Anchor, b: Anchor): boolean => nameLog(a) === nameLog(b);
const isSameEntry = (a: Anchor, b: Anchor): boolean => a.entry === b.entry && isSameLog(a, b);
const isOutOfOrder = (a: Anchor, b: Anchor): boolean => (a.entry - b.entry) * (a.slot - b.slot) < 0;

function isSameTransaction(a: Anchor, b: Anchor): boolean {
  return areBytesEqual(a.transaction, b.transaction) && areBytesEqual(a.genesis, b.genesis);
}

function isSameBatch(a: Anchor, b: Anchor): boolean {
  return (
    areBytesEqual(a.batchRoot, b.batchRoot) &&
    a.batchSize === b.batchSize &&
    areBytesEqual(a.transaction, b.transaction) &&
    a.slot === b.slot
  );
}

/** Anchors of other receipts say nothing of the result that this file is about. */
function checkCoverage(judged: readonly JudgedAnchor[], accepted: AcceptedResult | undefined): readonly Check[] {
  const name = 'accepted result anchored';
  if (accepted === undefined) return [];
  const isCovered = accepted.receipts.some((receipt) => isAnchored(receipt, judged));
  if (isCovered) return [checkRules(name, 'WRONG_RECEIPT', [])];
  return [uncheckedCheck(name, 'an anchor of a receipt of the accepted result')];
}

function isAnchored({ id }: Signed<Receipt>, judged: readonly JudgedAnchor[]): boolean {
  return judged.some((anchor) => anchor.receipt?.id === id && !isRefuted(anchor));
}

/** The earliest that is proven of a receipt of the accepted result. */
function findDating(judged: readonly JudgedAnchor[], accepted: AcceptedResult | undefined): Dating {
  const ids = new Set(accepted?.receipts.map(({ id }) => id));
  const relevant = judged.filter(({ receipt }) => receipt !== undefined && ids.has(receipt.id));
  const proven = relevant.filter(isProven);
  const [earliest] = proven
    .filter(({ cluster }) => cluster.name !== null)
    .toSorted((a, b) => timeOf(a) - timeOf(b) || a.anchor.slot - b.anchor.slot);
  if (earliest !== undefined) {
    const { cluster, anchor, reading } = earliest;
    const blockTimeMs = reading?.blockTimeMs ?? null;
    return { kind: 'public', chain: nameChain(cluster), slot: anchor.slot, blockTimeMs };
  }
  const [first] = proven;
  if (first !== undefined) return { kind: 'private', chain: nameChain(first.cluster) };
  return relevant.length > 0 ? { kind: 'unchecked' } : { kind: 'none' };
}

function timeOf({ reading }: JudgedAnchor): number {
  return reading?.blockTimeMs ?? Number.MAX_VALUE;
}
