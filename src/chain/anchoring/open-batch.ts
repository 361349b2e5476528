import { UnixMs } from '../../domain/ids.ts';
import { concatBytes } from '../../lib/bytes.ts';
import { MerkleTree } from '../../proofs/merkle.ts';
import type { WriteOperation } from '../../storage/interface.ts';
import type { BatchRecord, BatchRecords } from './batch-record.ts';
import { CHUNK_LEAVES, LEAF_BYTES } from './constants.ts';
import { AnchoringError } from './errors.ts';
import { isReceiptLeaf } from './leaf-index.ts';
import { buildChunkTree, type StoredTrees } from './stored-tree.ts';

export interface OpenBatchModules {
  readonly records: BatchRecords;
  readonly trees: StoredTrees;
}

interface Begin {
  readonly batch: number;
  readonly createdAtMs: number;
  /** Leaves of all batches before. */
  readonly totalBefore: number;
}

/** The batch that collects: of its leaves only the last row is in memory, of the rows before only their roots. */
export class OpenBatch {
  readonly batch: number;
  readonly createdAtMs: number;
  readonly #modules: OpenBatchModules;
  readonly #totalBefore: number;
  #leaves = 0;
  #receipts = 0;
  #roots: Uint8Array[] = [];
  #tail: Uint8Array = new Uint8Array(CHUNK_LEAVES * LEAF_BYTES);
  #isTailChanged = false;
  /** Rows that were completed since the last write. */
  #completed: [chunk: number, row: Uint8Array][] = [];

  constructor(modules: OpenBatchModules, begin: Begin) {
    this.#modules = modules;
    this.batch = begin.batch;
    this.createdAtMs = begin.createdAtMs;
    this.#totalBefore = begin.totalBefore;
  }

  /** The open batch as it is on disk. @throws AnchoringError ANCHORING_DAMAGED */
  static async load(modules: OpenBatchModules, batch: number, record: BatchRecord): Promise<OpenBatch> {
    const { createdAtMs, leaves, receipts, total } = record;
    const open = new OpenBatch(modules, { batch, createdAtMs, totalBefore: total - leaves });
    for await (const [, row] of modules.trees.chunks(batch)) {
      for (let offset = 0; offset < row.length; offset += LEAF_BYTES) {
        open.append(row.subarray(offset, offset + LEAF_BYTES));
      }
    }
    open.#isTailChanged = false;
    open.#completed = [];
    if (open.#leaves !== leaves || open.#receipts !== receipts) {
      const reason = `${open.#leaves} leaves where the record says ${leaves}`;
      throw new AnchoringError({ code: 'ANCHORING_DAMAGED', batch, reason });
    }
    return open;
  }

  get leaves(): number {
    return this.#leaves;
  }

  get total(): number {
    return this.#totalBefore + this.#leaves;
  }

  /** A copy to try changes on before they are durable. */
  clone(): OpenBatch {
    const { batch, createdAtMs } = this;
    const copy = new OpenBatch(this.#modules, { batch, createdAtMs, totalBefore: this.#totalBefore });
    copy.#leaves = this.#leaves;
    copy.#receipts = this.#receipts;
    copy.#roots = [...this.#roots];
    copy.#tail = this.#tail.slice();
    return copy;
  }

  /** @returns the index of the leaf */
  append(leaf: Uint8Array): number {
    const index = this.#leaves;
    const within = index % CHUNK_LEAVES;
    this.#tail.set(leaf, within * LEAF_BYTES);
    this.#leaves += 1;
    if (isReceiptLeaf(leaf)) this.#receipts += 1;
    this.#isTailChanged = true;
    if (within + 1 === CHUNK_LEAVES) this.#completeRow();
    return index;
  }

  /** Writes what changed since the last call. */
  takeOperations(): WriteOperation[] {
    const rows = this.#completed;
    const tailBytes = (this.#leaves % CHUNK_LEAVES) * LEAF_BYTES;
    if (this.#isTailChanged && tailBytes > 0) rows.push([this.#roots.length, this.#tail.slice(0, tailBytes)]);
    this.#completed = [];
    this.#isTailChanged = false;
    return [
      ...rows.map(([chunk, row]) => this.#modules.trees.putChunkOperation(this.batch, chunk, row)),
      this.#modules.records.putOperation(this.batch, this.#describe()),
    ];
  }

  /** Writes what changed, and the batch as sealed. */
  takeSealOperations(nowMs: number): { readonly record: BatchRecord; readonly operations: WriteOperation[] } {
    const within = this.#leaves % CHUNK_LEAVES;
    const last = within === 0 ? [] : [buildChunkTree(this.#tail.subarray(0, within * LEAF_BYTES)).root];
    const roots = concatBytes(...this.#roots, ...last);
    const record: BatchRecord = {
      ...this.#describe(),
      state: 'sealed',
      sealedAtMs: UnixMs(nowMs),
      root: new MerkleTree(roots).root,
    };
    const operations = [
      ...this.takeOperations(),
      this.#modules.trees.putRootsOperation(this.batch, roots),
      this.#modules.records.putOperation(this.batch, record),
    ];
    return { record, operations };
  }

  #completeRow(): void {
    const row = this.#tail.slice();
    this.#completed.push([this.#roots.length, row]);
    this.#roots.push(buildChunkTree(row).root);
  }

  #describe(): BatchRecord {
    return {
      state: 'open',
      leaves: this.#leaves,
      receipts: this.#receipts,
      total: this.total,
      createdAtMs: UnixMs(this.createdAtMs),
      sealedAtMs: null,
      root: null,
      attempt: 0,
      intent: null,
      sinceSlot: null,
      landing: null,
    };
  }
}
