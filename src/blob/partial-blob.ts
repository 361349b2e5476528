import { describeShape } from '../domain/blob-shape.ts';
import type { BlobId } from '../domain/ids.ts';
import type { BlobFileName } from './blob-disk.ts';
import { LeafBits } from './leaf-bits.ts';
import type { ReceptionRecord } from './reception-codec.ts';

/** A blob that has arrived in part. */
export class PartialBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
  readonly sealedKey: string | null;
  /** Leaves that can be read; those that survive a power cut are in its row. */
  leaves: LeafBits;
  lastUseMs: number;
  isOpen = false;
  /** True once the blob came whole by another way, or was given up: its file and row are no longer its own. */
  isGone = false;

  constructor(blob: BlobId, record: ReceptionRecord) {
    this.blob = blob;
    this.sizeBytes = record.sizeBytes;
    this.sealedKey = record.sealedKey;
    this.lastUseMs = record.lastUseMs;
    this.leaves = new LeafBits(describeShape(record.sizeBytes).leafCount, record.leaves);
  }

  get name(): BlobFileName {
    return { blob: this.blob, isSealed: this.sealedKey !== null };
  }

  describe(leaves: LeafBits): ReceptionRecord {
    const { sizeBytes, sealedKey, lastUseMs } = this;
    return { sizeBytes, sealedKey, lastUseMs, leaves: leaves.toBytes() };
  }
}
