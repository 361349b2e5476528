import { IndexedHeap } from '../../../lib/indexed-heap.ts';

interface Turn {
  /** What it has been charged, counted from the same beginning for all. */
  start: number;
  /** Is added to `start` where turns are compared: who may wait longer. */
  offset: number;
  /** The order in which they came. */
  readonly sequence: number;
}

/**
 * Whose turn it is among members that share something: of the one that was charged least so far. Start-time fair queueing
 * (Goyal, Vin and Cheng, 'Start-time Fair Queueing', SIGCOMM 1996) with one change: a newcomer starts where the least
 * charged of the waiting ones is, so that it neither collects shares while it is away nor waits for what others used
 * before. What a member was charged above that it still owes when it comes back. Pure: no time is in here.
 */
export class FairTurns<Member> {
  readonly #maxDebts: number;
  readonly #turns = new Map<Member, Turn>();
  readonly #byKey: IndexedHeap<Member>;
  readonly #byStart: IndexedHeap<Member>;
  /** Starts of members that left. */
  readonly #debts = new Map<Member, number>();
  #floor = 0;
  #sequence = 0;

  /** @param options maxDebts members that left and are remembered; the longest away is forgiven */
  constructor(options: { readonly maxDebts: number }) {
    this.#maxDebts = options.maxDebts;
    this.#byKey = new IndexedHeap((a, b) => this.#isBefore(a, b, keyOf));
    this.#byStart = new IndexedHeap((a, b) => this.#isBefore(a, b, startOf));
  }

  get size(): number {
    return this.#turns.size;
  }

  has(member: Member): boolean {
    return this.#turns.has(member);
  }

  /** It waits for turns from now on. */
  enter(member: Member, offset: number): void {
    if (this.#turns.has(member)) return this.setOffset(member, offset);
    const start = this.startOf(member);
    this.#debts.delete(member);
    this.#sequence += 1;
    this.#turns.set(member, { start, offset, sequence: this.#sequence });
    this.#byKey.add(member);
    this.#byStart.add(member);
  }

  leave(member: Member): void {
    const turn = this.#turns.get(member);
    if (turn === undefined) return;
    this.#lift();
    this.#byKey.remove(member);
    this.#byStart.remove(member);
    this.#turns.delete(member);
    this.#owe(member, turn.start);
  }

  setOffset(member: Member, offset: number): void {
    const turn = this.#turns.get(member);
    if (turn === undefined || turn.offset === offset) return;
    turn.offset = offset;
    this.#byKey.update(member);
  }

  /** For what it was given, or gives back; also after it has left. */
  charge(member: Member, amount: number): void {
    const turn = this.#turns.get(member);
    if (turn === undefined) return this.#owe(member, Math.max(this.#debts.get(member) ?? 0, this.#floor) + amount);
    this.#lift();
    turn.start += amount;
    this.#byKey.update(member);
    this.#byStart.update(member);
  }

  first(): Member | undefined {
    return this.#byKey.peek();
  }

  /** In the order of their turns. Nothing may change while it is read. */
  inOrder(): Iterable<Member> {
    return this.#byKey.ascending();
  }

  members(): Iterable<Member> {
    return this.#turns.keys();
  }

  /** Where a member stands, or would if it came now. */
  startOf(member: Member): number {
    this.#lift();
    return this.#turns.get(member)?.start ?? Math.max(this.#floor, this.#debts.get(member) ?? 0);
  }

  offsetOf(member: Member): number {
    return this.#turns.get(member)?.offset ?? 0;
  }

  #lift(): void {
    const least = this.#byStart.peek();
    if (least !== undefined) this.#floor = Math.max(this.#floor, this.#turns.get(least)?.start ?? 0);
  }

  #owe(member: Member, start: number): void {
    this.#debts.delete(member);
    if (start <= this.#floor) return;
    this.#debts.set(member, start);
    if (this.#debts.size <= this.#maxDebts) return;
    const [oldest] = this.#debts.keys();
    if (oldest !== undefined) this.#debts.delete(oldest);
  }

  #isBefore(a: Member, b: Member, valueOf: (turn: Turn) => number): boolean {
    const [first, second] = [this.#turns.get(a), this.#turns.get(b)];
    if (first === undefined || second === undefined) return false;
    const difference = valueOf(first) - valueOf(second);
    return difference === 0 ? first.sequence < second.sequence : difference < 0;
  }
}

function keyOf({ start, offset }: Turn): number {
  return start + offset;
}

function startOf({ start }: Turn): number {
  return start;
}
