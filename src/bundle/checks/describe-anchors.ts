/** Anchors in plain words. */
import { type Cluster, encodeBase58 } from '../../domain/chain.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { isProven, isRefuted, type JudgedAnchor } from './anchor.ts';
import { listNames, shortPeer } from './check.ts';

/** @param others receipts of the accepted result that are not anchored */
export function describeAnchors(judged: readonly JudgedAnchor[], others: readonly Signed<Receipt>[]): string {
  return [...judged.map(describeAnchor), ...describeOthers(others), ...describeAsked(judged)].join('\n');
}

export function nameChain({ name, genesis }: Cluster): string {
  return name === null ? `a chain with genesis ${genesis}` : `Solana ${name}`;
}

function describeAnchor(judged: JudgedAnchor): string {
  const { anchor, receipt, cluster, label, reading } = judged;
  if (receipt === undefined || isRefuted(judged)) return `${capitalise(label)} does not pass its checks.`;
  const inFile =
    `Receipt ${receipt.id} of provider ${shortPeer(receipt.value.provider)} is leaf ${anchor.leafIndex} of ` +
    `${anchor.batchSize} under root ${encodeHex(anchor.batchRoot)}.`;
  const entry = `entry ${anchor.entry} of the log of wallet ${encodeBase58(anchor.owner)}`;
  const place =
    `in transaction ${encodeBase58(anchor.transaction)} at slot ${anchor.slot}${describeTime(reading?.blockTimeMs)} ` +
    `of ${nameChain(cluster)}${cluster.name === null ? ', which is no public Solana cluster: whoever runs it can write anything' : ''}.`;
  if (isProven(judged)) return `${inFile} This root was written as ${entry}, ${place}`;
  return `${inFile} The file says, unchecked, that this root was written as ${entry}, ${place}`;
}

function describeTime(blockTimeMs: number | null | undefined): string {
  return blockTimeMs === null || blockTimeMs === undefined ? '' : ` (${new Date(blockTimeMs).toISOString()})`;
}

function capitalise(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function describeOthers(others: readonly Signed<Receipt>[]): readonly string[] {
  if (others.length === 0) return [];
  const names = others.map(({ id, value }) => `receipt ${id} of provider ${shortPeer(value.provider)}`);
  return [
    `Of the accepted result ${listNames(names)} ${others.length === 1 ? 'is' : 'are'} not anchored in this file.`,
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
