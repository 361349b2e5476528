/** A binary heap that knows where each of its items is: the least is found at once, any is moved or removed in O(log n). */
export class IndexedHeap<Item> {
  readonly #isBefore: (a: Item, b: Item) => boolean;
  readonly #items: Item[] = [];
  readonly #places = new Map<Item, number>();

  /** `isBefore` has to be a strict order, of which what is in the heap changes only before `update`. */
  constructor(isBefore: (a: Item, b: Item) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  has(item: Item): boolean {
    return this.#places.has(item);
  }

  /** The least; undefined if it is empty. */
  peek(): Item | undefined {
    return this.#items[0];
  }

  /** In no order. */
  values(): Iterable<Item> {
    return this.#places.keys();
  }

  /** From the least on. Nothing may change while it is read. */
  *ascending(): Generator<Item> {
    const [first] = this.#items;
    if (first === undefined) return;
    yield first;
    const rest = this.#items.slice(1).sort((a, b) => (this.#isBefore(a, b) ? -1 : 1));
    yield* rest;
  }

  add(item: Item): void {
    if (this.#places.has(item)) return this.update(item);
    this.#items.push(item);
    this.#places.set(item, this.#items.length - 1);
    this.#rise(this.#items.length - 1);
  }

  /** Puts an item where it belongs after what orders it has changed. */
  update(item: Item): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#sink(this.#rise(place));
  }

  /** False if it was not there. */
  remove(item: Item): boolean {
    const place = this.#places.get(item);
    if (place === undefined) return false;
    const last = this.#items.pop();
    this.#places.delete(item);
    if (last !== undefined && last !== item) {
      this.#put(last, place);
      this.#sink(this.#rise(place));
    }
    return true;
  }

  #put(item: Item, place: number): void {
    this.#items[place] = item;
    this.#places.set(item, place);
  }

  #rise(place: number): number {
    const item = this.#items[place];
    let at = place;
    while (item !== undefined && at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || !this.#isBefore(item, parent)) break;
      this.#put(parent, at);
      at = above;
    }
    if (item !== undefined && at !== place) this.#put(item, at);
    return at;
  }

  #sink(place: number): void {
    const item = this.#items[place];
    if (item === undefined) return;
    let at = place;
    for (let below = this.#lesserBelow(at); below !== undefined; below = this.#lesserBelow(at)) {
      const child = this.#items[below];
      if (child === undefined || !this.#isBefore(child, item)) break;
      this.#put(child, at);
      at = below;
    }
    if (at !== place) this.#put(item, at);
  }

  #lesserBelow(place: number): number | undefined {
    const left = 2 * place + 1;
    const [a, b] = [this.#items[left], this.#items[left + 1]];
    if (a === undefined) return undefined;
    return b !== undefined && this.#isBefore(b, a) ? left + 1 : left;
  }
}
