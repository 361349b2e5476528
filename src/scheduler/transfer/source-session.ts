import { BlobError } from '../../blob/errors.ts';
import type { NodePlace } from '../../blob/interface.ts';
import { BLOB_LEAF_BYTES, measureLeaf } from '../../domain/blob-shape.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { type BlobRequest, type BlobResponse, MAX_LEAVES_PER_REQUEST } from '../../domain/messages.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import { NetworkError } from '../../network/errors.ts';
import type { PeerTransport } from '../../network/interface.ts';
import { LANE_ROUND_TRIP_MS, MAX_LANES, PARTIAL_LOOK_MS, RATE_WEIGHT, RUN_TARGET_MS } from './constants.ts';
import { TransferError } from './errors.ts';
import { LaneWatch } from './lane-watch.ts';
import type { LeafClaim } from './leaf-plan.ts';
import type { LeafSink } from './leaf-sink.ts';
import type { TransferOptions } from './options.ts';

export type Work =
  | { readonly kind: 'node'; readonly place: NodePlace }
  | { readonly kind: 'leaves'; readonly claim: LeafClaim<SourceSession> };

/** What a session asks of the swarm that it is in. */
export interface SessionHost {
  readonly blob: BlobId;
  readonly sink: LeafSink;
  readonly signal: AbortSignal;
  /** What to do next; undefined if there is nothing for now. */
  nextWork(session: SourceSession): Work | undefined;
  /** Resolves when there may be work again, at the latest after a moment. */
  waitForWork(): Promise<void>;
  nodeDone(place: NodePlace): void;
  /** Takes a leaf's bytes, which may be used again when it resolves. */
  takeLeaf(claim: LeafClaim<SourceSession>, bytes: Uint8Array): Promise<void>;
  isUseless(claim: LeafClaim<SourceSession>): boolean;
  giveBack(work: Work): void;
}

export interface SessionModules {
  readonly transport: Pick<PeerTransport, 'request' | 'stream'>;
  readonly clock: Clock;
}

/** Why a source is asked no more. */
export interface SourceEnd {
  readonly reason: 'lied' | 'not-served' | 'failing' | 'gave-way' | 'done';
  readonly text: string;
  readonly error: Error | null;
}

/** One peer that a blob is fetched from: some requests in flight, their size after its measured rate. */
export class SourceSession {
  readonly peer: PeerKey;
  readonly #modules: SessionModules;
  readonly #host: SessionHost;
  readonly #options: TransferOptions;
  readonly #closing = new AbortController();
  /** Which leaves it has; null once it has all. */
  #held: Uint8Array | null = null;
  #failures = 0;
  #gaveMs: number;
  #leavesPerMs = 0;
  #runLeaves = 1;
  #laneCount: number;
  #end: SourceEnd | null = null;

  constructor(modules: SessionModules, host: SessionHost, options: TransferOptions & { readonly peer: PeerKey }) {
    this.#modules = modules;
    this.#host = host;
    this.#options = options;
    this.peer = options.peer;
    this.#laneCount = options.lanesPerSource;
    this.#gaveMs = modules.clock.monotonicMs();
  }

  /** Leaves of 1 MiB a ms, all its requests together; 0 if not known yet. */
  get leavesPerMs(): number {
    return this.#leavesPerMs;
  }

  /** When it last gave a node or a leaf, or began. */
  get gaveMs(): number {
    return this.#gaveMs;
  }

  get isEnding(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Leaves that its next request should be for. */
  get runLeaves(): number {
    return this.#runLeaves;
  }

  readonly has = (leaf: number): boolean => {
    const held = this.#held;
    return held === null || (((held[leaf >> 3] ?? 0) >> (leaf & 7)) & 1) === 1;
  };

  /** Leaves its place to another; it is no fault. */
  giveWay(): void {
    this.#finish({ reason: 'gave-way', text: 'it gave nothing while others waited', error: null });
  }

  stop(): void {
    this.#closing.abort(new DOMException('the source is let go', 'AbortError'));
  }

  /** Asks it until the blob is here or it is let go. Rejects only for what is no fault of the peer. */
  async run(): Promise<SourceEnd> {
    const onEnd = (): void => this.stop();
    const { signal } = this.#host;
    if (signal.aborted) onEnd();
    signal.addEventListener('abort', onEnd, { once: true });
    try {
      await this.#attempt(() => this.#ask());
      const lanes = Array.from({ length: this.#laneCount }, () => this.#runLane());
      if (this.#held !== null) lanes.push(this.#followPart());
      await Promise.all(lanes);
    } finally {
      signal.removeEventListener('abort', onEnd);
      this.stop();
    }
    return this.#end ?? { reason: 'done', text: 'done', error: null };
  }

  async #runLane(): Promise<void> {
    const buffer = new Uint8Array(Math.min(BLOB_LEAF_BYTES, this.#host.sink.shape.sizeBytes));
    while (!this.#closing.signal.aborted) {
      const work = this.#host.nextWork(this);
      if (work === undefined) await this.#host.waitForWork();
      else await this.#attempt(() => this.#do(work, buffer), work);
    }
  }

  /** Does one thing; a failure of the peer's is noted and waited over. */
  async #attempt(task: () => Promise<void>, work?: Work): Promise<void> {
    for (;;) {
      try {
        await task();
        return;
      } catch (error) {
        if (work !== undefined) this.#host.giveBack(work);
        if (this.#closing.signal.aborted) return;
        if (!this.#judge(error)) throw error;
      }
      if (this.#closing.signal.aborted) return;
      await this.#backOff();
      if (work !== undefined || this.#closing.signal.aborted) return;
    }
  }

  /** True if the peer or the way to it is at fault; ends the session if it shall not be asked again. */
  #judge(error: unknown): boolean {
    const text = describeError(error);
    const isLie =
      (error instanceof BlobError && error.code === 'BLOB_MISMATCH') ||
      (error instanceof TransferError && error.code === 'TRANSFER_LIED') ||
      (error instanceof NetworkError && error.code === 'NETWORK_PROTOCOL_VIOLATION');
    if (isLie) return this.#finish({ reason: 'lied', text, error });
    if (error instanceof TransferError && error.code === 'TRANSFER_NOT_SERVED') {
      return this.#finish({ reason: 'not-served', text, error });
    }
    if (!(error instanceof NetworkError) && !(error instanceof TransferError)) return false;
    this.#failures += 1;
    this.#runLeaves = 1;
    if (this.#failures >= this.#options.maxFailures) this.#finish({ reason: 'failing', text, error });
    return true;
  }

  #finish(end: SourceEnd): true {
    this.#end ??= end;
    this.stop();
    return true;
  }

  async #backOff(): Promise<void> {
    const { first, longest } = this.#options.backoffMs;
    await this.#pause(Math.min(longest, first * 2 ** (this.#failures - 1)));
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#closing;
      const end = (): void => {
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.#modules.clock.schedule(delayMs, end);
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
    });
  }

  async #ask(): Promise<void> {
    const { blob, sink } = this.#host;
    const askedMs = this.#modules.clock.monotonicMs();
    const response = await this.#request({ op: 'stat', blob });
    const roundTripMs = this.#modules.clock.monotonicMs() - askedMs;
    const lanes = this.#options.lanesPerSource + Math.floor(roundTripMs / LANE_ROUND_TRIP_MS);
    this.#laneCount = Math.max(this.#options.lanesPerSource, Math.min(MAX_LANES, lanes));
    if (response.kind !== 'stat') throw this.#lied(`it answered ${response.kind} to stat`);
    if (response.sizeBytes !== sink.shape.sizeBytes) throw this.#lied(`it has ${response.sizeBytes} bytes`);
    this.#held = response.leaves ?? null;
  }

  /** A source that is itself still fetching has more after a while. */
  async #followPart(): Promise<void> {
    while (this.#held !== null) {
      await this.#pause(PARTIAL_LOOK_MS);
      if (this.#closing.signal.aborted) return;
      await this.#attempt(() => this.#ask());
    }
  }

  async #request(request: BlobRequest): Promise<BlobResponse> {
    const { stallMs } = this.#options;
    const options = { signal: this.#closing.signal, timeoutMs: stallMs };
    const response = await this.#modules.transport.request(this.peer, 'blob', request, options);
    if (response.kind === 'not-found') throw this.#notServed();
    return response;
  }

  async #do(work: Work, buffer: Uint8Array): Promise<void> {
    if (work.kind === 'leaves') return await this.#fetchLeaves(work.claim, buffer);
    const { blob, sink } = this.#host;
    const response = await this.#request({ op: 'node', blob, ...work.place });
    if (response.kind !== 'node') throw this.#lied(`it answered ${response.kind} to node`);
    await sink.addNode(work.place, response.bytes);
    this.#noteGiven();
    this.#host.nodeDone(work.place);
  }

  async #fetchLeaves(claim: LeafClaim<SourceSession>, buffer: Uint8Array): Promise<void> {
    const { blob } = this.#host;
    const { next: first } = claim;
    using watch = new LaneWatch(this.#modules, { ...this.#options, signal: this.#closing.signal });
    const request = { op: 'leaves', blob, first, count: Math.min(claim.end - first, MAX_LEAVES_PER_REQUEST) } as const;
    const options = { signal: watch.signal, timeoutMs: this.#options.stallMs };
    let filled = 0;
    try {
      for await (const part of this.#modules.transport.stream(this.peer, 'blob', request, options)) {
        watch.received(part.kind === 'leaf-part' ? part.bytes.length : 0);
        filled = this.#fill(claim, part, { buffer, filled });
        if (filled === this.#sizeOf(claim.next)) {
          const startedLeaf = claim.next;
          await watch.pauseWhile(this.#host.takeLeaf(claim, buffer.subarray(0, filled)));
          this.#noteGiven();
          this.#measure(claim.next - startedLeaf, watch);
          filled = 0;
        }
        if (claim.next >= claim.end || this.#host.isUseless(claim)) break;
      }
    } catch (error) {
      throw watch.stall === null ? error : this.#stalled(watch.stall, error);
    }
    if (claim.next < claim.end && !this.#host.isUseless(claim)) throw this.#lied('its answer ended too early');
    this.#host.giveBack({ kind: 'leaves', claim });
  }

  /** Puts a part behind those that came of the leaf. Gives how many bytes of it are here. */
  #fill(
    claim: LeafClaim<SourceSession>,
    part: BlobResponse,
    { buffer, filled }: { readonly buffer: Uint8Array; readonly filled: number },
  ): number {
    if (part.kind === 'not-found') throw this.#notServed();
    if (part.kind !== 'leaf-part') throw this.#lied(`it answered ${part.kind} to leaves`);
    if (part.leaf !== claim.next) throw this.#lied(`leaf ${part.leaf} came where ${claim.next} was due`);
    const end = filled + part.bytes.length;
    if (part.bytes.length === 0) throw this.#lied('a part of a leaf is empty');
    if (end > this.#sizeOf(claim.next)) throw this.#lied(`leaf ${part.leaf} is too long`);
    buffer.set(part.bytes, filled);
    return end;
  }

  #sizeOf(leaf: number): number {
    return measureLeaf(this.#host.sink.shape, leaf);
  }

  #noteGiven(): void {
    this.#failures = 0;
    this.#gaveMs = this.#modules.clock.monotonicMs();
  }

  /** The rate of one request, times those in flight, is that of the source. */
  #measure(leaves: number, watch: LaneWatch): void {
    const elapsedMs = watch.takeElapsedMs();
    const rate = (leaves / Math.max(0.1, elapsedMs)) * this.#laneCount;
    this.#leavesPerMs = this.#leavesPerMs === 0 ? rate : this.#leavesPerMs + RATE_WEIGHT * (rate - this.#leavesPerMs);
    const wanted = (this.#leavesPerMs * RUN_TARGET_MS) / this.#laneCount;
    this.#runLeaves = Math.max(1, Math.min(MAX_LEAVES_PER_REQUEST, 2 * this.#runLeaves, Math.ceil(wanted)));
  }

  #lied(reason: string): TransferError {
    return new TransferError({ code: 'TRANSFER_LIED', blob: this.#host.blob, peer: this.peer, reason });
  }

  #notServed(): TransferError {
    return new TransferError({ code: 'TRANSFER_NOT_SERVED', blob: this.#host.blob, peer: this.peer });
  }

  #stalled(reason: string, cause: unknown): TransferError {
    const { blob } = this.#host;
    return new TransferError({ code: 'TRANSFER_STALLED', blob, peer: this.peer, reason }, { cause });
  }
}
