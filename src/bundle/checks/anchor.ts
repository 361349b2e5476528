/**
 * Checks of anchors. In the file: the leaf is of a receipt of this bundle, the path leads to the batch's root (RFC 9162
 * section 2.1.3.2), the log is the owner's (programs/proof-anchor/README.md). On the chain: what an AnchorReader finds.
 */
import { CID } from 'multiformats/cid';
import { type Anchor, encodeAnchorLeaf } from '../../domain/anchor.ts';
import { BlockHash, type Cluster, encodeBase58, identifyCluster } from '../../domain/chain.ts';
import { unixMsSchema } from '../../domain/ids.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { createDeadline, raceSignal } from '../../lib/abort.ts';
import { areBytesEqual, encodeHex, encodeUtf8 } from '../../lib/bytes.ts';
import { computeLeafHash, verifyInclusion } from '../../proofs/merkle.ts';
import { findProgramAddress } from '../../proofs/program-address.ts';
import { BLOCK_TIME_TOLERANCE_MS } from '../constants.ts';
import type { AnchorReader, AnchorReading } from '../interface.ts';
import { type Check, checkRules, uncheckedCheck } from './check.ts';

/** What a bundle's reader may ask of a chain, and for how long. */
export interface ChainAccess {
  readonly reader: AnchorReader;
  /** For all anchors together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface JudgedAnchor {
  readonly label: string;
  readonly anchor: Anchor;
  /** Undefined if it is none of this bundle's sound receipts. */
  readonly receipt: Signed<Receipt> | undefined;
  readonly cluster: Cluster;
  readonly checks: readonly Check[];
  /** What the chain said; undefined if it was not asked. */
  readonly reading: AnchorReading | undefined;
}

const LOG_SEED = encodeUtf8('log');
export const MISSING_ENDPOINT = 'a Solana RPC endpoint: fogproof bundle verify FILE --rpc-url URL';

/** Without `chain` nothing is known beyond the file. The chain is not asked about an anchor that the file refutes. */
export async function judgeAnchors(
  anchors: readonly Anchor[],
  receipts: readonly Signed<Receipt>[],
  chain: ChainAccess | undefined,
): Promise<readonly JudgedAnchor[]> {
  const judged = anchors.map((anchor, index) => judgeInFile(`anchor ${index + 1}`, anchor, receipts));
  if (chain === undefined) return judged.map((each) => addChecks(each, [onChain(each, MISSING_ENDPOINT)]));
  using deadline = createDeadline(chain.timeoutMs, chain.signal);
  const readings = new Map<string, AnchorReading | undefined>();
  const results: JudgedAnchor[] = [];
  for (const each of judged) {
    if (isRefuted(each)) {
      results.push(each);
      continue;
    }
    const key = nameBatch(each.anchor);
    if (!readings.has(key)) readings.set(key, await read(each.anchor, chain, deadline.signal));
    results.push(addReading(each, readings.get(key), chain.timeoutMs));
  }
  return results;
}

export function isRefuted({ checks }: Pick<JudgedAnchor, 'checks'>): boolean {
  return checks.some(({ verdict }) => verdict.kind === 'invalid');
}

export function isProven({ checks }: Pick<JudgedAnchor, 'checks'>): boolean {
  return checks.every(({ verdict }) => verdict.kind === 'valid');
}

function judgeInFile(label: string, anchor: Anchor, receipts: readonly Signed<Receipt>[]): JudgedAnchor {
  const { leafIndex, batchSize, batchRoot, path, generation, slot } = anchor;
  const receipt = receipts.find(({ id }) => id === anchor.receipt);
  const { digest } = CID.parse(anchor.receipt).multihash;
  const { address } = findProgramAddress([LOG_SEED, anchor.owner], anchor.program);
  const checks = [
    checkRules(`${label}: receipt`, 'WRONG_RECEIPT', [
      [receipt !== undefined, `${anchor.receipt} is no receipt of this file that passes its checks`],
    ]),
    checkRules(`${label}: inclusion in the batch`, 'NOT_IN_BATCH', [
      [
        verifyInclusion({
          leafHash: computeLeafHash(encodeAnchorLeaf({ kind: 'receipt', digest })),
          index: BigInt(leafIndex),
          size: BigInt(batchSize),
          path,
          root: batchRoot,
        }),
        `its path does not lead from leaf ${leafIndex} of ${batchSize} to the root ${encodeHex(batchRoot)}`,
      ],
    ]),
    checkRules(`${label}: log address`, 'WRONG_LOG', [
      [
        areBytesEqual(anchor.log, address),
        `${encodeBase58(anchor.log)} is not the log of ${encodeBase58(anchor.owner)} under program ${encodeBase58(anchor.program)}: that is ${encodeBase58(address)}`,
      ],
    ]),
    checkRules(`${label}: slots`, 'WRONG_TIME', [
      [slot >= generation, `it was written at slot ${slot} to a log that was made at slot ${generation}`],
    ]),
  ];
  const cluster = identifyCluster(BlockHash(encodeBase58(anchor.genesis)));
  return { label, anchor, receipt, cluster, checks, reading: undefined };
}

function addChecks(judged: JudgedAnchor, checks: readonly Check[]): JudgedAnchor {
  return { ...judged, checks: [...judged.checks, ...checks] };
}

function onChain({ label }: JudgedAnchor, missing: string): Check {
  return uncheckedCheck(`${label}: on the chain`, missing);
}

/** Receipts of one batch stand under one entry: the chain is asked once for all of them. */
export function nameBatch(anchor: Anchor): string {
  const { genesis, program, log, owner, batchRoot, transaction } = anchor;
  const parts = [genesis, program, log, owner, batchRoot, transaction].map(encodeHex);
  return [...parts, anchor.batchSize, anchor.generation, anchor.entry, anchor.slot].join(' ');
}

/** Undefined if there was no answer before the deadline. */
async function read(anchor: Anchor, chain: ChainAccess, deadline: AbortSignal): Promise<AnchorReading | undefined> {
  try {
    deadline.throwIfAborted();
    return await raceSignal(chain.reader.readAnchor(anchor, { signal: deadline }), deadline);
  } catch (error) {
    chain.signal?.throwIfAborted();
    if (deadline.aborted) return undefined;
    throw error;
  }
}

function addReading(judged: JudgedAnchor, reading: AnchorReading | undefined, timeoutMs: number): JudgedAnchor {
  if (reading === undefined) {
    return addChecks(judged, [onChain(judged, `an answer of the Solana RPC endpoint within ${timeoutMs / 1000} s`)]);
  }
  const checks = reading.checks.map(({ name, verdict }) => ({ name: `${judged.label}: ${name}`, verdict }));
  // Nothing that was checked is nothing that was found good.
  if (checks.length === 0) return addChecks(judged, [onChain(judged, 'any answer of the Solana RPC endpoint')]);
  const blockTimeMs = unixMsSchema.safeParse(reading.blockTimeMs).data ?? null;
  return {
    ...addChecks(judged, [...checks, ...checkDating(judged, blockTimeMs)]),
    reading: { ...reading, blockTimeMs },
  };
}

/** Only a public cluster has a clock of its own. */
function checkDating({ label, receipt, cluster }: JudgedAnchor, blockTimeMs: number | null): readonly Check[] {
  if (receipt === undefined || blockTimeMs === null || cluster.name === null) return [];
  return [
    checkRules(`${label}: receipt time`, 'WRONG_TIME', [
      [
        receipt.value.finishedAtMs <= blockTimeMs + BLOCK_TIME_TOLERANCE_MS,
        'the receipt says that it finished after the block that holds its hash',
      ],
    ]),
  ];
}
