/** Anchors in plain words. */
import { type Cluster, encodeBase58 } from '../../domain/chain.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { isProven, isRefuted, type JudgedAnchor, nameBatch } from './anchor.ts';
import { listNames, shortPeer } from './check.ts';

/** @param others receipts of the accepted result that are not anchored */
export function describeAnchors(judged: readonly JudgedAnchor[], others: readonly Signed<Receipt>[]): string {
  return [...describeBatches(judged), ...describeOthers(others), ...describeAsked(judged)].join('\n');
}

export function nameChain({ name, genesis }: Cluster): string {
  return name === null ? `a chain with genesis ${genesis}` : `Solana ${name}`;
}

/** Anchors under one root that fare alike are told together. */
function describeBatches(judged: readonly JudgedAnchor[]): readonly string[] {
  const batches = Map.groupBy(judged, (each) =>
    isTold(each) ? `${nameBatch(each.anchor)} ${isProven(each)}` : each.label,
  );
  return [...batches.values()].map(describeBatch);
}

const isTold = (judged: JudgedAnchor): boolean => judged.receipt !== undefined && !isRefuted(judged);

function describeBatch(batch: readonly JudgedAnchor[]): string {
  const [first] = batch;
  if (first === undefined) return '';
  if (!isTold(first)) return `${capitalise(first.label)} does not pass its checks.`;
  const { anchor, cluster, reading } = first;
  const receipts = batch.flatMap(({ receipt, anchor: { leafIndex } }) =>
    receipt === undefined ? [] : [`${nameReceipt(receipt)} (leaf ${leafIndex})`],
  );
  const leaves = `${anchor.batchSize} ${anchor.batchSize === 1 ? 'leaf' : 'leaves'}`;
  const inFile = `Under root ${encodeHex(anchor.batchRoot)} of ${leaves}: ${listNames(receipts)}.`;
  const entry = `entry ${anchor.entry} of the log of wallet ${encodeBase58(anchor.owner)}`;
  const place =
    `at slot ${anchor.slot}${describeTime(reading?.blockTimeMs)} of ${nameChain(cluster)}` +
    `${cluster.name === null ? ', which is no public Solana cluster: whoever runs it can write anything' : ''}; ` +
    `the transaction named is ${encodeBase58(anchor.transaction)}.`;
  if (isProven(first)) return `${inFile} This root was written as ${entry}, ${place}`;
  return `${inFile} The file says, unchecked, that this root was written as ${entry}, ${place}`;
}

function nameReceipt({ id, value }: Signed<Receipt>): string {
  return `receipt ${id} of provider ${shortPeer(value.provider)}`;
}

function describeTime(blockTimeMs: number | null | undefined): string {
  return blockTimeMs === null || blockTimeMs === undefined ? '' : ` (${new Date(blockTimeMs).toISOString()})`;
}

function capitalise(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function describeOthers(others: readonly Signed<Receipt>[]): readonly string[] {
  if (others.length === 0) return [];
  return [
    `Of the accepted result ${listNames(others.map(nameReceipt))} ${others.length === 1 ? 'is' : 'are'} not anchored in this file.`,
  ];
}

function describeAsked(judged: readonly JudgedAnchor[]): readonly string[] {
  const asked = new Set(judged.flatMap(({ reading }) => reading?.askedEndpoints ?? []));
  return asked.size === 0 ? [] : [`Asked: ${listNames([...asked])}.`];
}

export function listAssumptions(sound: readonly JudgedAnchor[]): readonly string[] {
  const asked = new Set(sound.flatMap(({ reading }) => reading?.askedEndpoints ?? []));
  const programs = new Set(sound.map(({ anchor }) => encodeBase58(anchor.program)));
  return [
    ...new Set(sound.map(({ cluster }) => describeTrust(cluster))),
    ...(asked.size === 0
      ? []
      : [`what ${listNames([...asked])} answered is what the chain holds: no proof of it comes with the answer`]),
    ...[...programs].map(
      (program) =>
        `program ${program} is proof-anchor, unchanged, which lets nobody but the owner of a log and its delegate write to it`,
    ),
  ];
}

function describeTrust(cluster: Cluster): string {
  switch (cluster.name) {
    case 'mainnet-beta':
      return 'finality of Solana mainnet-beta: what is finalised there is not undone';
    case 'devnet':
    case 'testnet':
      return `finality of Solana ${cluster.name}, a test cluster: nothing of value stands behind it, and its operators may start it anew`;
    case null:
      return `whoever runs the chain with genesis ${cluster.genesis}: they can write to it, date it and undo it as they like`;
    default:
      return cluster.name satisfies never;
  }
}
