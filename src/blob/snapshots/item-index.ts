import type { WrittenPack } from './pack-file.ts';
import { DIGEST_BYTES, measurePayload } from './pack-format.ts';

/** A SHA-256 as a map's key. */
export type DigestKey = string;

/** The digest at `offset` as a string of one-byte characters. */
export function toDigestKey(digests: Uint8Array, offset = 0): DigestKey {
  const { buffer, byteOffset } = digests;
  return Buffer.from(buffer, byteOffset + offset, DIGEST_BYTES).toString('latin1');
}

export function fromDigestKey(key: DigestKey): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'));
}

export interface StoredItem {
  readonly key: DigestKey;
  readonly sizeBytes: number;
  /** Where it is; a compaction moves it. */
  pack: Pack;
  offset: number;
  /** Snapshots and writers that need it. */
  references: number;
  /** Its bytes were found damaged: it is in no index any more. */
  isLost: boolean;
}

export interface Pack {
  readonly number: number;
  readonly sizeBytes: number;
  /** Of its items and its snapshot's object. */
  readonly payloadBytes: number;
  /** Where its snapshot's object begins. */
  readonly snapshotOffset: number;
  /** Items that are found here. */
  items: StoredItem[];
  /** Items here that somebody needs. */
  liveItems: number;
  liveBytes: number;
  /** How many need its snapshot's object, which keeps the whole pack. */
  holders: number;
}

/** Where every item is, who needs it, and what of each pack is needed. In memory; the caller does the reading and writing. */
export class ItemIndex {
  readonly #items = new Map<DigestKey, StoredItem>();
  readonly #packs = new Set<Pack>();
  #packBytes = 0;

  get size(): number {
    return this.#items.size;
  }

  get packBytes(): number {
    return this.#packBytes;
  }

  get packs(): ReadonlySet<Pack> {
    return this.#packs;
  }

  find(key: DigestKey): StoredItem | undefined {
    return this.#items.get(key);
  }

  /** Takes in a pack that is in its place; what is found elsewhere already stays there. */
  adopt(written: WrittenPack): Pack {
    const { digests, lengths } = written.content;
    const pack = createPack(written);
    let offset = 0;
    lengths.forEach((sizeBytes, index) => {
      const key = toDigestKey(digests, index * DIGEST_BYTES);
      if (!this.#items.has(key)) {
        const item = { key, sizeBytes, pack, offset, references: 0, isLost: false };
        this.#items.set(key, item);
        pack.items.push(item);
      }
      offset += sizeBytes;
    });
    this.#packs.add(pack);
    this.#packBytes += pack.sizeBytes;
    return pack;
  }

  /** Takes in a pack of copies: items that are still here are found in it from now on. */
  move(written: WrittenPack): Pack {
    const { digests, lengths } = written.content;
    const pack = createPack(written);
    let offset = 0;
    lengths.forEach((sizeBytes, index) => {
      const item = this.#items.get(toDigestKey(digests, index * DIGEST_BYTES));
      if (item !== undefined) {
        if (item.references > 0) countOut(item);
        item.pack = pack;
        item.offset = offset;
        if (item.references > 0) countIn(item);
        pack.items.push(item);
      }
      offset += sizeBytes;
    });
    this.#packs.add(pack);
    this.#packBytes += pack.sizeBytes;
    return pack;
  }

  retain(item: StoredItem): void {
    item.references += 1;
    if (item.references === 1 && !item.isLost) countIn(item);
  }

  release(item: StoredItem): void {
    item.references -= 1;
    if (item.references === 0 && !item.isLost) countOut(item);
  }

  /** Its bytes are damaged: it counts as missing from now on. */
  lose(item: StoredItem): void {
    if (item.isLost) return;
    item.isLost = true;
    this.#items.delete(item.key);
    if (item.references > 0) countOut(item);
  }

  /** Items of a pack that nobody needs are found no more; gives those that somebody does. */
  prune(pack: Pack): readonly StoredItem[] {
    pack.items = pack.items.filter((item) => {
      const isHere = item.pack === pack && !item.isLost;
      if (isHere && item.references > 0) return true;
      if (isHere) this.#items.delete(item.key);
      return false;
    });
    return pack.items;
  }

  /** Nothing of it is needed: it is to be deleted. */
  drop(pack: Pack): void {
    this.prune(pack);
    if (this.#packs.delete(pack)) this.#packBytes -= pack.sizeBytes;
  }
}

function countIn({ pack, sizeBytes }: StoredItem): void {
  pack.liveItems += 1;
  pack.liveBytes += sizeBytes;
}

function countOut({ pack, sizeBytes }: StoredItem): void {
  pack.liveItems -= 1;
  pack.liveBytes -= sizeBytes;
}

function createPack({ number, sizeBytes, content }: WrittenPack): Pack {
  return {
    number,
    sizeBytes,
    payloadBytes: measurePayload(content),
    snapshotOffset: measurePayload(content) - (content.snapshot?.sizeBytes ?? 0),
    items: [],
    liveItems: 0,
    liveBytes: 0,
    holders: 0,
  };
}
