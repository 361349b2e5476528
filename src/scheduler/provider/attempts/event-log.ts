import { type LeaseId, UnixMs } from '../../../domain/ids.ts';
import type { AttemptEvent, InlineBlob, SequencedEvent } from '../../../domain/messages.ts';
import type { SignedWire } from '../../../domain/signed.ts';
import {
  EVENT_OVERHEAD_BYTES,
  MAX_BUFFERED_BYTES,
  MAX_BUFFERED_CHECKPOINTS,
  MAX_BUFFERED_EVENTS,
  RECALLED_EVENT_BYTES,
} from '../constants.ts';

/** A checkpoint that is in the journal only. */
export interface RecalledCheckpoint {
  readonly sequence: number;
  readonly atMs: UnixMs;
  /** Index of the link. */
  readonly recall: number;
}

export type LogEntry = SequencedEvent | RecalledCheckpoint;

interface Buffered {
  readonly entry: LogEntry;
  readonly sizeBytes: number;
}

/**
 * The events of one attempt, numbered from 1 and bounded. When it is full, the oldest logs, metrics and progress are
 * dropped and a log line in their place says how many; what else there is (phases, commitment, receipt) stays. Of many
 * checkpoints the older ones are only noted, and read from the journal when they are asked for. Of a confidential attempt
 * no line says so, since all of its lines are sealed: their numbers tell what is missing.
 */
export class EventLog {
  readonly lease: LeaseId;
  #buffered: Buffered[] = [];
  #sizeBytes = 0;
  /** Checkpoints that are held whole, those that are only noted, and the index of the next one to be. */
  #checkpoints = 0;
  #recalled = 0;
  #nextRecalled = 0;
  #lastSequence: number;
  #dropped = 0;
  #noteSequence = 0;
  #heldSequence = 0;
  readonly #isSealed: boolean;

  /** @param lastSequence of the event before the first one here */
  constructor(lease: LeaseId, lastSequence = 0, { isSealed = false }: { readonly isSealed?: boolean } = {}) {
    this.lease = lease;
    this.#lastSequence = lastSequence;
    this.#isSealed = isSealed;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** @param sequence to be given to it, if that is above the last one; by default the next */
  append(event: AttemptEvent, nowMs: number, sequence = 0): SequencedEvent {
    this.#lastSequence = Math.max(this.#lastSequence + 1, sequence);
    const sequenced: SequencedEvent = { lease: this.lease, sequence: this.#lastSequence, atMs: UnixMs(nowMs), event };
    const sizeBytes = estimateEventBytes(event);
    if (event.kind === 'held') this.#forgetHeld(this.#lastSequence);
    this.#buffered.push({ entry: sequenced, sizeBytes });
    this.#sizeBytes += sizeBytes;
    if (event.kind === 'checkpoint') this.#countCheckpoint();
    if (this.#buffered.length - this.#recalled > MAX_BUFFERED_EVENTS || this.#sizeBytes > MAX_BUFFERED_BYTES) {
      this.#makeRoom();
    }
    return sequenced;
  }

  /** Notes checkpoints that are in the journal, in order, before anything is appended. */
  recall(checkpoints: readonly RecalledCheckpoint[]): void {
    this.#buffered = checkpoints.map((entry) => ({ entry, sizeBytes: 0 }));
    this.#recalled = checkpoints.length;
    this.#nextRecalled = checkpoints.length;
    this.#lastSequence = Math.max(this.#lastSequence, checkpoints.at(-1)?.sequence ?? 0);
  }

  /** Entries above `sequence` in order: at most `maxEvents`, and of `maxBytes` unless the first alone is larger. */
  after(sequence: number, maxEvents: number, maxBytes: number): LogEntry[] {
    const entries: LogEntry[] = [];
    let sizeBytes = 0;
    for (let index = this.#indexAfter(sequence); index < this.#buffered.length; index += 1) {
      const entry = this.#buffered[index]?.entry;
      if (entry === undefined || entries.length >= maxEvents) break;
      sizeBytes += estimateEntryBytes(entry);
      if (entries.length > 0 && sizeBytes > maxBytes) break;
      entries.push(entry);
    }
    return entries;
  }

  #indexAfter(sequence: number): number {
    let low = 0;
    let high = this.#buffered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#buffered[middle]?.entry.sequence ?? 0) > sequence) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Which snapshot a third party holds is told by the newest of these events; the one before goes. */
  #forgetHeld(nextSequence: number): void {
    const index = this.#indexAfter(this.#heldSequence - 1);
    const buffered = this.#buffered[index];
    if (this.#heldSequence > 0 && buffered?.entry.sequence === this.#heldSequence) {
      this.#buffered.splice(index, 1);
      this.#sizeBytes -= buffered.sizeBytes;
    }
    this.#heldSequence = nextSequence;
  }

  /** Of too many the older half is only noted, so that the cost of each is constant. */
  #countCheckpoint(): void {
    this.#checkpoints += 1;
    if (this.#checkpoints <= MAX_BUFFERED_CHECKPOINTS) return;
    let surplus = Math.floor(MAX_BUFFERED_CHECKPOINTS / 2);
    this.#checkpoints -= surplus;
    this.#recalled += surplus;
    this.#buffered = this.#buffered.map((buffered) => {
      const { entry, sizeBytes } = buffered;
      if (surplus === 0 || 'recall' in entry || entry.event.kind !== 'checkpoint') return buffered;
      surplus -= 1;
      this.#sizeBytes -= sizeBytes;
      const { sequence, atMs } = entry;
      return { entry: { sequence, atMs, recall: this.#nextRecalled++ }, sizeBytes: 0 };
    });
  }

  /** Drops the older half of what may be dropped, so that the cost a dropped event is constant. */
  #makeRoom(): void {
    // The newest progress shows how long the lease stands: who comes back late needs it to take the result.
    const newest = this.#buffered.findLast(({ entry }) => 'event' in entry && entry.event.kind === 'progress');
    const isDroppable = (buffered: Buffered): boolean => buffered !== newest && mayBeDropped(buffered.entry);
    const droppable = this.#buffered.filter(isDroppable);
    const cut = droppable[Math.floor(droppable.length / 2)]?.entry;
    if (cut === undefined || 'recall' in cut) return;
    const kept = this.#buffered.filter((each) => !isDroppable(each) || each.entry.sequence > cut.sequence);
    const removed = this.#buffered.length - kept.length;
    this.#dropped += this.#noteSequence === 0 ? removed : removed - 1;
    if (!this.#isSealed) this.#noteDropped(kept, cut);
    this.#buffered = kept;
    this.#sizeBytes = kept.reduce((sum, buffered) => sum + buffered.sizeBytes, 0);
  }

  #noteDropped(kept: Buffered[], cut: SequencedEvent): void {
    this.#noteSequence = cut.sequence;
    const note = this.#describeDropped(cut);
    const position = kept.findIndex(({ entry }) => entry.sequence > cut.sequence);
    kept.splice(position < 0 ? kept.length : position, 0, note);
  }

  #describeDropped(cut: SequencedEvent): Buffered {
    const text = `[fogproof] ${this.#dropped} earlier events were dropped: the buffer was full`;
    const entry: SequencedEvent = { ...cut, event: { kind: 'log', stream: 'log', text } };
    return { entry, sizeBytes: estimateEventBytes(entry.event) };
  }
}

function mayBeDropped(entry: LogEntry): boolean {
  if ('recall' in entry) return false;
  const { kind } = entry.event;
  return kind === 'log' || kind === 'metric' || kind === 'sealed' || kind === 'progress';
}

export function estimateEntryBytes(entry: LogEntry): number {
  return 'recall' in entry ? RECALLED_EVENT_BYTES : estimateEventBytes(entry.event);
}

/** An upper estimate of an event's bytes on the wire. */
export function estimateEventBytes(event: AttemptEvent): number {
  return EVENT_OVERHEAD_BYTES + estimateContentBytes(event);
}

function estimateContentBytes(event: AttemptEvent): number {
  switch (event.kind) {
    case 'phase':
    case 'held':
      return 0;
    case 'log':
      // UTF-16 units take at most 3 bytes each in UTF-8.
      return event.text.length * 3;
    case 'metric':
      return event.name.length * 3 + event.value.length;
    case 'sealed':
      return event.bytes.length;
    case 'progress':
      return estimateWireBytes(event.progress);
    case 'checkpoint':
      return estimateWireBytes(event.checkpoint);
    case 'committed':
      return estimateWireBytes(event.commitment);
    case 'receipt':
      return estimateWireBytes(event.receipt) + estimateInlineBytes(event.inlineBlobs);
    default:
      return event satisfies never;
  }
}

export function estimateWireBytes(wire: SignedWire): number {
  if (wire.kind === 'envelope') return wire.envelope.length;
  return wire.payload.length + wire.root.length + wire.path.length * 40;
}

export function estimateInlineBytes(blobs: readonly InlineBlob[]): number {
  return blobs.reduce((sum, blob) => sum + blob.bytes.length + 64, 0);
}
