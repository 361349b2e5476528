/** Which leaves of a blob are here: a bit each, the first in the lowest bit. */
export class LeafBits {
  readonly count: number;
  readonly #bytes: Uint8Array;
  #set = 0;

  /** Takes `bytes` over; bits from `count` on are cleared. */
  constructor(count: number, bytes: Uint8Array = new Uint8Array(Math.ceil(count / 8))) {
    this.count = count;
    this.#bytes = new Uint8Array(Math.ceil(count / 8));
    this.#bytes.set(bytes.subarray(0, this.#bytes.length));
    const last = this.#bytes.length - 1;
    if (count % 8 !== 0) this.#bytes[last] = (this.#bytes[last] ?? 0) & ((1 << (count % 8)) - 1);
    for (let leaf = 0; leaf < count; leaf += 1) if (this.has(leaf)) this.#set += 1;
  }

  /** How many are here. */
  get present(): number {
    return this.#set;
  }

  get isFull(): boolean {
    return this.#set === this.count;
  }

  has(leaf: number): boolean {
    if (leaf < 0 || leaf >= this.count) return false;
    return (((this.#bytes[leaf >>> 3] ?? 0) >> (leaf & 7)) & 1) === 1;
  }

  add(leaf: number): void {
    if (leaf < 0 || leaf >= this.count || this.has(leaf)) return;
    this.#bytes[leaf >>> 3] = (this.#bytes[leaf >>> 3] ?? 0) | (1 << (leaf & 7));
    this.#set += 1;
  }

  remove(leaf: number): void {
    if (!this.has(leaf)) return;
    this.#bytes[leaf >>> 3] = (this.#bytes[leaf >>> 3] ?? 0) & ~(1 << (leaf & 7));
    this.#set -= 1;
  }

  toBytes(): Uint8Array {
    return this.#bytes.slice();
  }

  clone(): LeafBits {
    return new LeafBits(this.count, this.#bytes);
  }
}
