import { InternalError } from '../../lib/errors.ts';
import { PAGE_BYTES } from '../constants.ts';
import { MAX_SHADOW_PAGES } from './constants.ts';
import { DigestList } from './digests.ts';

/** Where the bytes stand that a page had when it was last hashed. */
const SLOT = { zeros: -1, none: -2 } as const;

/** Made once they are needed: most children never make a checkpoint. */
let zeroPage: Buffer | null = null;
let zeroDigest: Uint8Array | null = null;

function getZeroPage(): Buffer {
  return (zeroPage ??= Buffer.alloc(PAGE_BYTES));
}

/** SHA-256 of 65,536 zeros. */
export function getZeroDigest(): Uint8Array {
  if (zeroDigest === null) {
    const list = new DigestList();
    list.grow(1, new Uint8Array(32));
    list.hashAt(0, getZeroPage());
    zeroDigest = list.at(0).slice();
  }
  return zeroDigest;
}

/**
 * SHA-256 of each page of a memory that changes and grows. A page is compared with a copy of what it was and hashed where
 * it differs; pages of zeros need no copy. Every page is taken for zeros until it has been looked at.
 */
export class PageDigests {
  readonly digests = new DigestList();
  private readonly slots: number[] = [];
  private readonly slabs: Buffer[] = [];
  private usedSlots = 0;
  private maxSlots: number;

  constructor(maxShadowPages: number = MAX_SHADOW_PAGES) {
    this.maxSlots = maxShadowPages;
  }

  /** Calls `onChange` in ascending order with each page that is new or whose digest may have changed. */
  update(memory: Uint8Array, onChange: (page: number) => void): void {
    const bytes = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
    const before = this.slots.length;
    const pages = bytes.length / PAGE_BYTES;
    this.digests.grow(pages, getZeroDigest());
    while (this.slots.length < pages) this.slots.push(SLOT.zeros);
    for (let page = 0; page < pages; page++) {
      const isSame = this.isSame(bytes, page);
      if (!isSame) this.hashPage(bytes, page);
      if (!isSame || page >= before) onChange(page);
    }
  }

  private isSame(bytes: Buffer, page: number): boolean {
    const slot = this.slots[page] ?? SLOT.none;
    if (slot === SLOT.none) return false;
    const start = page * PAGE_BYTES;
    if (slot === SLOT.zeros) return bytes.compare(getZeroPage(), 0, PAGE_BYTES, start, start + PAGE_BYTES) === 0;
    const { slab, offset } = this.place(slot);
    return bytes.compare(slab, offset, offset + PAGE_BYTES, start, start + PAGE_BYTES) === 0;
  }

  private hashPage(bytes: Buffer, page: number): void {
    const start = page * PAGE_BYTES;
    this.digests.hashAt(page, bytes.subarray(start, start + PAGE_BYTES));
    let slot = this.slots[page] ?? SLOT.none;
    if (slot === SLOT.zeros) slot = this.takeSlot();
    this.slots[page] = slot;
    if (slot < 0) return;
    const { slab, offset } = this.place(slot);
    bytes.copy(slab, offset, start, start + PAGE_BYTES);
  }

  /** Slab k holds 2^k slots, so that a small program costs one page and a large one few pieces of memory. */
  private takeSlot(): number {
    const slot = this.usedSlots;
    if (slot >= this.maxSlots) return SLOT.none;
    const height = 31 - Math.clz32(slot + 1);
    if (height === this.slabs.length) {
      try {
        this.slabs.push(Buffer.allocUnsafeSlow(PAGE_BYTES * 2 ** height));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.maxSlots = slot;
        return SLOT.none;
      }
    }
    this.usedSlots = slot + 1;
    return slot;
  }

  private place(slot: number): { readonly slab: Buffer; readonly offset: number } {
    const height = 31 - Math.clz32(slot + 1);
    const slab = this.slabs[height];
    if (slab === undefined) throw new InternalError(`no slab ${height}`);
    return { slab, offset: (slot + 1 - 2 ** height) * PAGE_BYTES };
  }
}
