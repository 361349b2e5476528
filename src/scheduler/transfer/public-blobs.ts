import { BlobId } from '../../domain/ids.ts';
import type { ContentRouting } from '../../network/interface.ts';
import type { Codec, Database, Repository } from '../../storage/interface.ts';
import { MAX_PUBLIC_BLOBS } from './constants.ts';
import { TransferError } from './errors.ts';
import type { PublicBlobs } from './interface.ts';

const NOTHING: Codec<null> = { encode: () => new Uint8Array(), decode: () => null };

export interface SharedBlobsModules {
  readonly database: Database;
  /** Tells others; absent where there is no DHT. */
  readonly content?: Pick<ContentRouting, 'provide'>;
}

/** Blobs that this node hands to anybody and tells the DHT of, kept across restarts. */
export class SharedBlobs implements PublicBlobs, AsyncDisposable {
  readonly #content: Pick<ContentRouting, 'provide'> | undefined;
  readonly #entries: Repository<null>;
  readonly #public = new Set<BlobId>();
  readonly #provided = new Map<BlobId, Disposable>();
  #isRunning = false;

  constructor({ database, content }: SharedBlobsModules) {
    this.#content = content;
    this.#entries = database.repository('public-blobs', NOTHING);
  }

  /** Reads what is public; call it before the first peer is answered. */
  async load(): Promise<void> {
    for await (const [blob] of this.#entries.entries()) this.#public.add(BlobId(blob));
  }

  /** Begins to tell the DHT; the network is up. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (const blob of this.#public) this.#provide(blob);
  }

  stop(): void {
    this.#isRunning = false;
    for (const provided of this.#provided.values()) provided[Symbol.dispose]();
    this.#provided.clear();
  }

  /** Durable when it resolves. Whether the blob is here is for the caller to see. @throws TransferError TRANSFER_TOO_MANY_PUBLIC */
  async share(blob: BlobId): Promise<void> {
    if (this.#public.has(blob)) return;
    if (this.#public.size >= MAX_PUBLIC_BLOBS) {
      throw new TransferError({ code: 'TRANSFER_TOO_MANY_PUBLIC', limit: MAX_PUBLIC_BLOBS });
    }
    await this.#entries.put(blob, null, { durable: true });
    this.#public.add(blob);
    if (this.#isRunning) this.#provide(blob);
  }

  /** False if it was not public. Others' copies, and records in the DHT until they expire, stay. */
  async unshare(blob: BlobId): Promise<boolean> {
    const wasPublic = this.#public.delete(blob);
    this.#provided.get(blob)?.[Symbol.dispose]();
    this.#provided.delete(blob);
    await this.#entries.delete(blob, { durable: true });
    return wasPublic;
  }

  list(): readonly BlobId[] {
    return [...this.#public].sort();
  }

  isPublic(blob: BlobId): boolean {
    return this.#public.has(blob);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }

  #provide(blob: BlobId): void {
    if (this.#content === undefined || this.#provided.has(blob)) return;
    this.#provided.set(blob, this.#content.provide(blob));
  }
}
