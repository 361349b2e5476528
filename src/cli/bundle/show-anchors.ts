import type { Anchor } from '../../domain/anchor.ts';
import { BlockHash, encodeBase58, identifyCluster } from '../../domain/chain.ts';
import { encodeHex } from '../../lib/bytes.ts';
import type { CliOutput } from '../interface.ts';

/** As Solana's tools write addresses and signatures. */
export function showAnchor(anchor: Anchor) {
  const genesis = BlockHash(encodeBase58(anchor.genesis));
  return {
    ...anchor,
    batchRoot: encodeHex(anchor.batchRoot),
    path: anchor.path.map(encodeHex),
    genesis,
    cluster: identifyCluster(genesis).name,
    program: encodeBase58(anchor.program),
    log: encodeBase58(anchor.log),
    owner: encodeBase58(anchor.owner),
    transaction: encodeBase58(anchor.transaction),
  };
}

/** Nothing for a file without anchors. */
export function renderAnchors(
  anchors: readonly ReturnType<typeof showAnchor>[],
  output: Pick<CliOutput, 'table'>,
): readonly string[] {
  if (anchors.length === 0) return [];
  return [
    '',
    ...output.table(
      ['ANCHORED RECEIPT', 'LEAF', 'WALLET', 'CHAIN', 'SLOT', 'TRANSACTION'],
      anchors.map(({ receipt, leafIndex, batchSize, owner, cluster, genesis, slot, transaction }) => [
        receipt,
        `${leafIndex} of ${batchSize}`,
        owner,
        cluster ?? `genesis ${genesis}`,
        String(slot),
        transaction,
      ]),
    ),
  ];
}
