import { readFile } from 'node:fs/promises';
import type { BlobReception, BlobStat, BlobTransferStore, NodePlace } from '../../src/blob/interface.ts';
import { BlobId } from '../../src/domain/ids.ts';
import { computeRawCid } from '../../src/lib/cid.ts';

/** Blobs in memory. Like the real store, it takes a blob that it holds as received without looking. */
export class HeapBlobStore implements BlobTransferStore {
  readonly blobs = new Map<BlobId, Uint8Array>();
  readonly pins = new Map<BlobId, number>();

  async put(bytes: Uint8Array): Promise<BlobStat> {
    const blob = BlobId(computeRawCid(bytes).toString());
    this.blobs.set(blob, bytes);
    return { blob, sizeBytes: bytes.length };
  }

  async putFile(path: string): Promise<BlobStat> {
    return await this.put(await readFile(path));
  }

  async stat(blob: BlobId): Promise<BlobStat | undefined> {
    const bytes = this.blobs.get(blob);
    return bytes === undefined ? undefined : { blob, sizeBytes: bytes.length };
  }

  async get(blob: BlobId, maxBytes: number): Promise<Uint8Array> {
    const bytes = this.blobs.get(blob);
    if (bytes === undefined || bytes.length > maxBytes) throw new TypeError(`no blob ${blob}`);
    return bytes;
  }

  async read(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined> {
    return this.blobs.get(blob)?.subarray(offset, offset + length);
  }

  async receive(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.blobs.has(blob)) return;
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    const bytes = Buffer.concat(parts);
    if (bytes.length !== sizeBytes || computeRawCid(bytes).toString() !== blob) throw new TypeError('mismatch');
    this.blobs.set(blob, new Uint8Array(bytes));
  }

  async openReception(_blob: BlobId, _sizeBytes: number, _options: object): Promise<BlobReception> {
    throw new TypeError('this store takes whole blobs only');
  }

  async readNode(_blob: BlobId, _place: NodePlace): Promise<Uint8Array | undefined> {
    return undefined;
  }

  partialLeaves(_blob: BlobId): { readonly sizeBytes: number; readonly leaves: Uint8Array } | undefined {
    return undefined;
  }

  pin(blob: BlobId): Disposable {
    this.pins.set(blob, (this.pins.get(blob) ?? 0) + 1);
    return { [Symbol.dispose]: () => this.pins.set(blob, (this.pins.get(blob) ?? 0) - 1) };
  }

  /** Pins that are held now. */
  get pinned(): readonly BlobId[] {
    return [...this.pins].filter(([, count]) => count > 0).map(([blob]) => blob);
  }
}
