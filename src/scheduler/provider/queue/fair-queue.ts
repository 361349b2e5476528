import type { Priority } from '../../../domain/job.ts';
import { FairTurns } from './fair-turns.ts';
import { computeHandicap, PRIORITY_WEIGHTS } from './urgency.ts';

/** Something that waits for slots, once or several times. What orders it never changes. */
export interface QueueEntry {
  /** Whose it is: slots are shared fairly between these. */
  readonly owner: string;
  readonly priority: Priority;
  /** A batch shares its requester's turns with what came alone, so that one job need not wait for thousands. */
  readonly form: 'single' | 'batch';
  /** Since when it waits, monotonic ms. */
  readonly sinceMs: number;
}

/** What is expected to start of an entry, and how long each holds its slot. */
export interface QueuedWork {
  readonly attempts: number;
  readonly eachMs: number;
}

type LaneName = `${Priority}/${QueueEntry['form']}`;

/** First come, first served. */
interface Lane<Entry> {
  readonly priority: Priority;
  readonly entries: Set<Entry>;
  /** When something of it started last, monotonic ms: it has waited since then. */
  servedAtMs: number;
}

interface Owner<Entry> {
  readonly name: string;
  readonly turns: FairTurns<LaneName>;
  readonly lanes: Map<LaneName, Lane<Entry>>;
}

/** Lanes that an owner can have. */
const MAX_LANES = 8;

/**
 * Who starts next. Turns go to the requester that has used the least slot time for its weight, and within its jobs to the
 * priority and form that has; the less urgent have a handicap until they have had no turn for long (docs/scheduling.md).
 * Nothing is preempted. Pure: times are given by the caller.
 */
export class FairQueue<Entry extends QueueEntry> {
  readonly #owners = new Map<string, Owner<Entry>>();
  readonly #turns: FairTurns<string>;
  readonly #laneOf = new Map<Entry, Lane<Entry>>();
  #nowMs = 0;

  /** @param options maxDebts requesters that have nothing waiting and whose use is remembered */
  constructor(options: { readonly maxDebts: number }) {
    this.#turns = new FairTurns(options);
  }

  get size(): number {
    return this.#laneOf.size;
  }

  entries(): Iterable<Entry> {
    return this.#laneOf.keys();
  }

  has(entry: Entry): boolean {
    return this.#laneOf.has(entry);
  }

  add(entry: Entry, nowMs: number): void {
    if (this.#laneOf.has(entry)) return;
    this.#nowMs = nowMs;
    const owner = this.#owners.get(entry.owner) ?? this.#createOwner(entry.owner);
    const name = nameLane(entry);
    const lane = owner.lanes.get(name) ?? { priority: entry.priority, entries: new Set(), servedAtMs: 0 };
    owner.lanes.set(name, lane);
    lane.entries.add(entry);
    this.#laneOf.set(entry, lane);
    this.#refresh(owner, name);
  }

  remove(entry: Entry): void {
    const lane = this.#laneOf.get(entry);
    const owner = this.#owners.get(entry.owner);
    if (lane === undefined || owner === undefined) return;
    this.#laneOf.delete(entry);
    lane.entries.delete(entry);
    this.#refresh(owner, nameLane(entry));
  }

  /** The longer a lane has had no turn, the less others go before it. */
  age(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const name of this.#turns.members()) {
      const owner = this.#owners.get(name);
      if (owner === undefined) continue;
      for (const lane of owner.turns.members()) this.#refreshLane(owner, lane);
      this.#refreshOwner(owner);
    }
  }

  /** The first of each lane, in the order of their turns. Nothing may change while it is read. */
  *inOrder(): Generator<Entry> {
    for (const name of this.#turns.inOrder()) {
      const owner = this.#owners.get(name);
      if (owner === undefined) continue;
      for (const lane of owner.turns.inOrder()) {
        const [first] = owner.lanes.get(lane)?.entries ?? [];
        if (first !== undefined) yield first;
      }
    }
  }

  /** Something of this entry starts: its requester is charged what that is expected to use. */
  serve(entry: Entry, expectedMs: number, nowMs: number): void {
    this.#nowMs = nowMs;
    const lane = this.#laneOf.get(entry);
    const owner = this.#owners.get(entry.owner);
    if (lane !== undefined && owner !== undefined) {
      lane.servedAtMs = nowMs;
      this.#refreshLane(owner, nameLane(entry));
    }
    this.#book(entry, (turns, member, weight) => turns.expect(member, expectedMs / weight));
  }

  /** For slot time that was used beyond what was expected. */
  charge(entry: QueueEntry, slotMs: number): void {
    this.#book(entry, (turns, member, weight) => turns.charge(member, slotMs / weight));
  }

  /** Something has ended: what was expected of it has been used, and `moreMs` beyond all that it was charged; or less. */
  settle(entry: QueueEntry, expectedMs: number, moreMs: number): void {
    this.#book(entry, (turns, member, weight) => turns.settle(member, expectedMs / weight, moreMs / weight));
  }

  #book(entry: QueueEntry, book: <Member>(turns: FairTurns<Member>, member: Member, weight: number) => void): void {
    const weight = PRIORITY_WEIGHTS[entry.priority];
    const owner = this.#owners.get(entry.owner);
    if (owner !== undefined) book(owner.turns, nameLane(entry), weight);
    book(this.#turns, entry.owner, weight);
    if (owner !== undefined) this.#refreshOwner(owner);
  }

  /** Slot time, in ms, that others and its own requester's other jobs are expected to use before an entry that came now. */
  estimateAhead(entry: QueueEntry, workOf: (entry: Entry) => QueuedWork): number {
    const own = this.#estimateOwnAhead(entry, workOf);
    const weight = PRIORITY_WEIGHTS[entry.priority];
    const key = this.#turns.startOf(entry.owner) + own / weight + computeHandicap(entry.priority, 0);
    let ahead = own;
    for (const name of this.#turns.members()) {
      const owner = this.#owners.get(name);
      if (name === entry.owner || owner === undefined) continue;
      const gap = key - this.#turns.startOf(name) - this.#turns.offsetOf(name);
      if (gap >= 0) ahead += this.#estimateUse(owner, gap, workOf);
    }
    return ahead;
  }

  /** What a requester's waiting jobs use until it was charged so much more, the last of them whole. */
  #estimateUse({ turns, lanes }: Owner<Entry>, gap: number, workOf: (entry: Entry) => QueuedWork): number {
    const first = lanes.get(turns.first() ?? 'normal/single');
    if (first === undefined) return 0;
    const [head] = first.entries;
    const headMs = head === undefined ? 0 : workOf(head).eachMs;
    const allMs = [...lanes.values()].reduce((sum, lane) => sum + sumWork(lane, workOf), 0);
    return Math.min(allMs, gap * PRIORITY_WEIGHTS[first.priority] + headMs);
  }

  /** All of its own lane, and of its requester's other lanes what they get meanwhile. */
  #estimateOwnAhead(entry: QueueEntry, workOf: (entry: Entry) => QueuedWork): number {
    const owner = this.#owners.get(entry.owner);
    if (owner === undefined) return 0;
    const name = nameLane(entry);
    const weight = PRIORITY_WEIGHTS[entry.priority];
    const own = owner.lanes.get(name);
    const ownMs = own === undefined ? 0 : sumWork(own, workOf);
    let ahead = ownMs;
    for (const [other, lane] of owner.lanes) {
      if (other === name) continue;
      ahead += Math.min(sumWork(lane, workOf), (ownMs * PRIORITY_WEIGHTS[lane.priority]) / weight);
    }
    return ahead;
  }

  #createOwner(name: string): Owner<Entry> {
    const owner = { name, turns: new FairTurns<LaneName>({ maxDebts: MAX_LANES }), lanes: new Map() };
    this.#owners.set(name, owner);
    return owner;
  }

  #refresh(owner: Owner<Entry>, name: LaneName): void {
    this.#refreshLane(owner, name);
    this.#refreshOwner(owner);
  }

  #refreshLane({ turns, lanes }: Owner<Entry>, name: LaneName): void {
    const lane = lanes.get(name);
    const [first] = lane?.entries ?? [];
    if (first === undefined) {
      turns.leave(name);
      lanes.delete(name);
      return;
    }
    const waitedMs = this.#nowMs - Math.max(first.sinceMs, lane?.servedAtMs ?? 0);
    turns.enter(name, computeHandicap(first.priority, waitedMs));
  }

  /** A requester is as urgent as what it would start next. */
  #refreshOwner({ name, turns, lanes }: Owner<Entry>): void {
    const first = turns.first();
    if (first === undefined) {
      this.#turns.leave(name);
      if (lanes.size === 0) this.#owners.delete(name);
      return;
    }
    this.#turns.enter(name, turns.offsetOf(first));
  }
}

function nameLane({ priority, form }: QueueEntry): LaneName {
  return `${priority}/${form}`;
}

function sumWork<Entry>({ entries }: Lane<Entry>, workOf: (entry: Entry) => QueuedWork): number {
  let sum = 0;
  for (const entry of entries) {
    const { attempts, eachMs } = workOf(entry);
    sum += attempts * eachMs;
  }
  return sum;
}
