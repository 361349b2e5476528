import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { type Anchor, encodeAnchorLeaf } from '../../domain/anchor.ts';
import { decodeBase58 } from '../../domain/chain.ts';
import { ObjectId } from '../../domain/ids.ts';
import { DAG_CBOR_CODE, SHA2_256 } from '../../lib/cid.ts';
import { computeLeafHash, verifyInclusion } from '../../proofs/merkle.ts';
import type { BatchRecord, BatchRecords } from './batch-record.ts';
import { DIGEST_BYTES } from './constants.ts';
import { AnchoringError } from './errors.ts';
import type { LeafIndex, LeafPlace } from './leaf-index.ts';
import type { StoredTrees } from './stored-tree.ts';

export interface AnchorProofsModules {
  readonly records: BatchRecords;
  readonly trees: StoredTrees;
  readonly index: LeafIndex;
}

/** Makes anchors for bundles out of what is on disk. */
export class AnchorProofs {
  readonly #modules: AnchorProofsModules;

  constructor(modules: AnchorProofsModules) {
    this.#modules = modules;
  }

  /** Undefined for a receipt that is not under a confirmed root. @throws AnchoringError ANCHORING_DAMAGED */
  async prove(digest: Uint8Array): Promise<Anchor | undefined> {
    if (digest.length !== DIGEST_BYTES) return undefined;
    const place = await this.#modules.index.get({ kind: 'receipt', digest });
    if (place === undefined) return undefined;
    const record = await this.#modules.records.get(place.batch);
    if (record === undefined || record.root === null || record.landing === null) return undefined;
    try {
      return await this.#describe(digest, place, record);
    } catch (error) {
      // It may have been forgotten in between.
      if ((await this.#modules.index.get({ kind: 'receipt', digest })) === undefined) return undefined;
      throw error;
    }
  }

  async #describe(digest: Uint8Array, { batch, index }: LeafPlace, record: BatchRecord): Promise<Anchor> {
    const { root, landing, leaves } = record;
    if (root === null || landing === null) throw new TypeError('this batch is not in a log');
    const path = await this.#modules.trees.readPath(batch, index);
    const leafHash = computeLeafHash(encodeAnchorLeaf({ kind: 'receipt', digest }));
    if (!verifyInclusion({ leafHash, index: BigInt(index), size: BigInt(leaves), path, root })) {
      throw new AnchoringError({ code: 'ANCHORING_DAMAGED', batch, reason: `leaf ${index} is not under its root` });
    }
    const { place } = landing;
    return {
      receipt: ObjectId(CID.createV1(DAG_CBOR_CODE, Digest.create(SHA2_256, digest)).toString()),
      leafIndex: index,
      batchSize: leaves,
      batchRoot: root,
      path,
      genesis: decodeBase58(place.genesis),
      program: decodeBase58(place.program),
      log: decodeBase58(place.log),
      owner: decodeBase58(place.owner),
      generation: place.generation,
      entry: place.entry,
      transaction: decodeBase58(landing.transaction),
      slot: landing.slot,
    };
  }
}
