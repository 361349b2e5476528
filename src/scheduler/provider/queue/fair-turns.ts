import { IndexedHeap } from '../../../lib/indexed-heap.ts';

/** What a member was charged, counted from the same beginning for all. */
interface Account {
  start: number;
  /** Part of it that is only expected to be used. */
  expected: number;
}

interface Turn extends Account {
  /** Is added to `start` where turns are compared: who may wait longer. */
  offset: number;
  /** The order in which they came. */
  readonly sequence: number;
}

/**
 * Whose turn it is among members that share something: of the one that was charged least so far. Start-time fair queueing
 * (Goyal, Vin and Cheng, 'Start-time Fair Queueing', SIGCOMM 1996) with one change: a newcomer starts where the least
 * charged of the waiting ones is, so that it neither collects shares while it is away nor waits for what others used
 * before; what is only expected to be used does not count there, as it may be far too much. What a member was charged
 * above that it still owes when it comes back. Pure: no time is in here.
 */
export class FairTurns<Member> {
  readonly #maxDebts: number;
  readonly #turns = new Map<Member, Turn>();
  readonly #byKey: IndexedHeap<Member>;
  readonly #byUse: IndexedHeap<Member>;
  /** Of members that left. */
  readonly #debts = new Map<Member, Account>();
  #floor = 0;
  #sequence = 0;

  /** @param options maxDebts members that left and are remembered; the longest away is forgiven */
  constructor(options: { readonly maxDebts: number }) {
    this.#maxDebts = options.maxDebts;
    this.#byKey = new IndexedHeap((a, b) => this.#isBefore(a, b, keyOf));
    this.#byUse = new IndexedHeap((a, b) => this.#isBefore(a, b, useOf));
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
    const expected = this.#debts.get(member)?.expected ?? 0;
    this.#debts.delete(member);
    this.#sequence += 1;
    this.#turns.set(member, { start, expected, offset, sequence: this.#sequence });
    this.#byKey.add(member);
    this.#byUse.add(member);
  }

  leave(member: Member): void {
    const turn = this.#turns.get(member);
    if (turn === undefined) return;
    this.#lift();
    this.#byKey.remove(member);
    this.#byUse.remove(member);
    this.#turns.delete(member);
    this.#owe(member, turn);
  }

  setOffset(member: Member, offset: number): void {
    const turn = this.#turns.get(member);
    if (turn === undefined || turn.offset === offset) return;
    turn.offset = offset;
    this.#byKey.update(member);
  }

  /** Takes a turn, which is expected to use so much. */
  expect(member: Member, amount: number): void {
    this.#book(member, { start: amount, expected: amount });
  }

  /** What it used beyond what was expected, or less; also after it has left. */
  charge(member: Member, amount: number): void {
    this.#book(member, { start: amount, expected: 0 });
  }

  /** A turn is over: what was expected of it has been used, and `amount` more or less. */
  settle(member: Member, expected: number, amount: number): void {
    this.#book(member, { start: amount, expected: -expected });
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
    return this.#turns.get(member)?.start ?? Math.max(this.#floor, this.#debts.get(member)?.start ?? 0);
  }

  offsetOf(member: Member): number {
    return this.#turns.get(member)?.offset ?? 0;
  }

  #lift(): void {
    const least = this.#byUse.peek();
    const turn = least === undefined ? undefined : this.#turns.get(least);
    if (turn !== undefined) this.#floor = Math.max(this.#floor, useOf(turn));
  }

  #book(member: Member, change: Account): void {
    this.#lift();
    const turn = this.#turns.get(member);
    const account = turn ?? this.#debts.get(member) ?? { start: this.#floor, expected: 0 };
    account.start += change.start;
    account.expected = Math.max(0, account.expected + change.expected);
    if (turn === undefined) return this.#owe(member, account);
    this.#byKey.update(member);
    this.#byUse.update(member);
  }

  #owe(member: Member, { start, expected }: Account): void {
    this.#debts.delete(member);
    if (start <= this.#floor) return;
    this.#debts.set(member, { start, expected });
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

function useOf({ start, expected }: Turn): number {
  return start - expected;
}
