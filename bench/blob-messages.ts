import type { BlobId, PeerKey } from '../src/domain/ids.ts';

/** What a source of bench/blobs.ts is told: to have a file of so many bytes and grant it. */
export interface SourceOrder {
  readonly sizeBytes: number;
  readonly reader: PeerKey;
}

export type SourceAnswer =
  | { readonly kind: 'ready'; readonly address: string; readonly peer: PeerKey; readonly port: number }
  | { readonly kind: 'has'; readonly blob: BlobId; readonly sizeBytes: number };
