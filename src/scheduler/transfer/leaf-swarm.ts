import type { NodePlace } from '../../blob/interface.ts';
import { measureLeaf } from '../../domain/blob-shape.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { HEDGE, IDLE_LOOK_MS, MAX_KNOWN_SOURCES, MAX_PATIENCE_FACTOR, PARTIAL_LOOK_MS } from './constants.ts';
import { TransferError } from './errors.ts';
import type { FetchProgress } from './interface.ts';
import { type ClaimRequest, type LeafClaim, LeafPlan } from './leaf-plan.ts';
import type { LeafSink } from './leaf-sink.ts';
import type { TransferMetrics } from './metrics.ts';
import type { TransferOptions } from './options.ts';
import { type SessionHost, type SessionModules, type SourceEnd, SourceSession, type Work } from './source-session.ts';

export interface LeafSwarmModules extends SessionModules {
  readonly metrics: TransferMetrics;
}

export interface LeafSwarmOptions extends TransferOptions {
  readonly blob: BlobId;
  readonly sink: LeafSink;
  readonly onProgress: (progress: FetchProgress) => void;
}

type Claim = LeafClaim<SourceSession>;

/**
 * Fetches what a sink lacks of one blob from any number of peers at once: the nodes first, then the leaves, in their order
 * and each from whoever is free. At the end those that are free ask for what a slow one is late with.
 */
export class LeafSwarm implements SessionHost {
  readonly blob: BlobId;
  readonly sink: LeafSink;
  readonly #modules: LeafSwarmModules;
  readonly #options: LeafSwarmOptions;
  readonly #controller = new AbortController();
  readonly #outcome = Promise.withResolvers<void>();
  readonly #sessions = new Map<PeerKey, SourceSession>();
  /** Peers that wait for a place, and what became of those that were let go. */
  readonly #waiting = new Set<PeerKey>();
  readonly #ended = new Map<PeerKey, SourceEnd>();
  /** How long a peer may keep its place without giving anything while others wait, if not as long as at first. */
  readonly #patienceMs = new Map<PeerKey, number>();
  readonly #nodes = new Map<string, Set<SourceSession>>();
  readonly #waiters = new Set<() => void>();
  #finders = 0;
  #plan: LeafPlan<SourceSession> | null = null;
  #bytesHere = 0;
  #bytesMoved = 0;
  #hasEnded = false;
  #quietSinceMs = 0;
  #watch: Disposable | null = null;

  constructor(modules: LeafSwarmModules, options: LeafSwarmOptions) {
    this.#modules = modules;
    this.#options = options;
    this.blob = options.blob;
    this.sink = options.sink;
    this.#outcome.promise.catch(() => undefined);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** True once it takes no more sources: all is here, or it failed or was stopped. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get bytesMoved(): number {
    return this.#bytesMoved;
  }

  /** Begins to ask those that were added. Resolves once nothing is missing. @throws TransferError TRANSFER_NO_SOURCE; own faults */
  async run(): Promise<void> {
    this.#noteMoving();
    this.#advance();
    this.#settleIfAlone();
    this.#watchSources();
    try {
      await this.#outcome.promise;
    } finally {
      this.#watch?.[Symbol.dispose]();
      this.stop(new DOMException('the transfer has ended', 'AbortError'));
    }
  }

  stop(reason: Error): void {
    this.#hasEnded = true;
    this.#outcome.reject(reason);
    this.#controller.abort(reason);
    this.#wake();
  }

  /** One that lied is not asked again. */
  addSource(peer: PeerKey): void {
    if (this.#hasEnded || this.#sessions.has(peer) || this.#ended.get(peer)?.reason === 'lied') return;
    if (this.#ended.size + this.#waiting.size >= MAX_KNOWN_SOURCES) return;
    this.#waiting.add(peer);
    this.#fillPlaces();
  }

  /** Until it is disposed more sources may come: running out of them is no failure. */
  expectSources(): Disposable {
    this.#finders += 1;
    let isOpen = true;
    return {
      [Symbol.dispose]: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#finders -= 1;
        this.#settleIfAlone();
      },
    };
  }

  nextWork(session: SourceSession): Work | undefined {
    const plan = this.#plan;
    if (plan === null) return this.#nextNode(session);
    const lanes = this.#sessions.size * this.#options.lanesPerSource;
    // Towards the end in smaller helpings, so that all are done at about the same time.
    const fairShare = Math.max(1, Math.ceil(plan.openLeaves / (2 * lanes)));
    const request = { owner: session, maxLeaves: Math.min(session.runLeaves, fairShare), has: session.has };
    const claim = plan.claim(request) ?? this.#hedge(plan, request);
    return claim === undefined ? undefined : { kind: 'leaves', claim };
  }

  async waitForWork(): Promise<void> {
    const { clock } = this.#modules;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        timer[Symbol.dispose]();
        this.#waiters.delete(wake);
        resolve();
      };
      const timer = clock.schedule(IDLE_LOOK_MS, wake);
      this.#waiters.add(wake);
      if (this.#hasEnded) wake();
    });
  }

  nodeDone(place: NodePlace): void {
    this.#noteMoving();
    this.#nodes.delete(keyOf(place));
    this.#advance();
  }

  async takeLeaf(claim: Claim, bytes: Uint8Array): Promise<void> {
    const { metrics } = this.#modules;
    const { peer } = claim.owner;
    const leaf = claim.next;
    if (this.#plan?.isHere(leaf) !== true) await this.sink.addLeaf(leaf, bytes, peer);
    if (this.#plan?.finish(claim) !== true) {
      metrics.bytesWasted.increment({}, bytes.length);
      return;
    }
    this.#noteMoving();
    metrics.bytesReceived.increment({}, bytes.length);
    this.#bytesHere += bytes.length;
    this.#bytesMoved += bytes.length;
    this.#report();
    if (this.#plan.isDone) this.#finish();
  }

  isUseless(claim: Claim): boolean {
    return this.#plan?.isUseless(claim) === true;
  }

  giveBack(work: Work): void {
    if (work.kind === 'leaves') {
      if (work.claim.next >= work.claim.end) return;
      this.#plan?.release(work.claim);
    } else this.#nodes.get(keyOf(work.place))?.clear();
    this.#wake();
  }

  /** Nodes are asked for one by one of one peer each; a second is asked if there is nothing else to do. */
  #nextNode(session: SourceSession): Work | undefined {
    let late: NodePlace | undefined;
    for (const place of this.sink.missingNodes()) {
      const asked = this.#nodes.get(keyOf(place)) ?? new Set();
      this.#nodes.set(keyOf(place), asked);
      if (asked.size === 0) {
        asked.add(session);
        return { kind: 'node', place };
      }
      if (asked.size === 1 && !asked.has(session)) late ??= place;
    }
    if (late === undefined) return undefined;
    this.#nodes.get(keyOf(late))?.add(session);
    return { kind: 'node', place: late };
  }

  /** What another is asked for and would be later with than this one. */
  #hedge(plan: LeafPlan<SourceSession>, asked: ClaimRequest<SourceSession>): Claim | undefined {
    const { owner } = asked;
    const nowMs = this.#modules.clock.monotonicMs();
    const isLate = ({ gaveMs }: SourceSession): boolean => nowMs - gaveMs >= this.#options.stallMs;
    const request = { ...asked, isLate };
    const candidates: { readonly victim: Claim; readonly lateMs: number }[] = [];
    for (const victim of plan.claims) {
      if (victim.owner === owner) continue;
      const lateMs = expectMs(victim.owner, victim.end - victim.next);
      const ownMs = owner.leavesPerMs === 0 ? 0 : expectMs(owner, 1);
      if (lateMs >= HEDGE.leastMs && lateMs > HEDGE.factor * ownMs) candidates.push({ victim, lateMs });
    }
    candidates.sort((a, b) => b.lateMs - a.lateMs);
    for (const { victim } of candidates) {
      const claim = plan.share(victim, request);
      if (claim !== undefined) return claim;
    }
    return undefined;
  }

  /** Goes on to the leaves when all nodes are here. */
  #advance(): void {
    if (this.#plan === null && this.sink.missingNodes().length === 0) {
      const { shape } = this.sink;
      this.#plan = new LeafPlan(shape.leafCount, (leaf) => this.sink.hasLeaf(leaf));
      for (let leaf = 0; leaf < shape.leafCount; leaf++) {
        if (this.#plan.isHere(leaf)) this.#bytesHere += measureLeaf(shape, leaf);
      }
      this.#report();
      if (this.#plan.isDone) this.#finish();
    }
    this.#wake();
  }

  #finish(): void {
    this.#hasEnded = true;
    this.#outcome.resolve();
    this.#wake();
  }

  #watchSources(): void {
    this.#watch = this.#modules.clock.schedule(PARTIAL_LOOK_MS, () => {
      if (this.#hasEnded) return;
      const nowMs = this.#modules.clock.monotonicMs();
      if (this.#finders > 0 || this.#isAsking()) this.#noteMoving();
      if (nowMs - this.#quietSinceMs >= this.#options.quietMs) this.#fail(['nobody has what is missing']);
      else this.#freePlaces(nowMs);
      this.#watchSources();
    });
  }

  /** While others wait for a place, those that gave nothing for their time leave theirs, and wait in turn. */
  #freePlaces(nowMs: number): void {
    const { stallMs } = this.#options;
    const places = [...this.#sessions.values()];
    const patienceOf = ({ peer }: SourceSession): number => this.#patienceMs.get(peer) ?? stallMs;
    const late = places.filter((session) => !session.isEnding && nowMs - session.gaveMs >= patienceOf(session));
    const wanted = Math.max(0, this.#waiting.size - places.filter(({ isEnding }) => isEnding).length);
    for (const session of late.toSorted((a, b) => a.gaveMs - b.gaveMs).slice(0, wanted)) {
      // So that a slow source, too, has the time for a leaf at last.
      this.#patienceMs.set(session.peer, Math.min(2 * patienceOf(session), MAX_PATIENCE_FACTOR * stallMs));
      session.giveWay();
    }
  }

  #isAsking(): boolean {
    if (this.#plan === null) return [...this.#nodes.values()].some(({ size }) => size > 0);
    return this.#plan.hasClaims;
  }

  #noteMoving(): void {
    this.#quietSinceMs = this.#modules.clock.monotonicMs();
  }

  #fillPlaces(): void {
    for (const peer of this.#waiting) {
      if (this.#hasEnded || this.#sessions.size >= this.#options.maxSources) return;
      this.#waiting.delete(peer);
      void this.#runSession(peer);
    }
  }

  async #runSession(peer: PeerKey): Promise<void> {
    const session = new SourceSession(this.#modules, this, { ...this.#options, peer });
    this.#sessions.set(peer, session);
    this.#report();
    try {
      const end = await session.run();
      if (end.reason !== 'done') this.#modules.metrics.sourcesEnded.increment({ reason: end.reason });
      if (end.reason === 'gave-way') this.#waiting.add(peer);
      else this.#ended.set(peer, end);
    } catch (error) {
      this.#hasEnded = true;
      this.#outcome.reject(error);
    }
    this.#sessions.delete(peer);
    this.#fillPlaces();
    this.#settleIfAlone();
  }

  #settleIfAlone(): void {
    if (this.#hasEnded || this.#sessions.size > 0 || this.#waiting.size > 0 || this.#finders > 0) return;
    this.#fail(this.#ended.size === 0 ? ['no peer to ask'] : []);
  }

  #fail(notes: readonly string[]): void {
    const reasons = [...this.#ended].map(([peer, { text }]) => `${peer}: ${text}`);
    const reason = [...notes, ...reasons].join('; ').slice(0, 500);
    const cause = [...this.#ended.values()].at(-1)?.error ?? undefined;
    this.stop(new TransferError({ code: 'TRANSFER_NO_SOURCE', blob: this.blob, reason }, { cause }));
  }

  #report(): void {
    const { sizeBytes } = this.sink.shape;
    this.#options.onProgress({
      sizeBytes,
      bytesHere: this.#bytesHere,
      bytesMoved: this.#bytesMoved,
      sources: this.#sessions.size,
    });
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    for (const wake of waiters) wake();
  }
}

/** Time that a source needs for some leaves; of one that has not shown its rate, long enough to be asked beside it. */
function expectMs(session: SourceSession, leaves: number): number {
  return session.leavesPerMs === 0 ? HEDGE.leastMs * 10 : leaves / session.leavesPerMs;
}

function keyOf({ level, index }: NodePlace): string {
  return `${level}/${index}`;
}
