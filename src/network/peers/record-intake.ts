import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { ACCEPT, type Verdict } from '../../lib/verdict.ts';
import { MAX_KNOWN_PEERS } from '../constants.ts';
import type { NetworkMetrics } from '../metrics.ts';
import type { BoundedPeerBook, PeerSource } from './bounded-peer-book.ts';
import { createVerdict, judgeRecord } from './record-rules.ts';
import { openRecord } from './record-wire.ts';

export interface RecordIntakeModules {
  readonly book: BoundedPeerBook;
  readonly clock: Clock;
  readonly metrics: NetworkMetrics;
  /** A valid record of the own identity, from wherever. */
  readonly onOwnRecord: (record: Signed<NodeRecord>) => void;
  readonly onAccepted: (record: Signed<NodeRecord>) => void;
  /** A peer told the newest record that is known, new or not. */
  readonly onTold?: (record: Signed<NodeRecord>, teller: string) => void;
}

export interface RecordIntakeOptions {
  readonly networkId: string;
  readonly self: PeerKey;
}

/** The one door through which records of others come in: opened, judged, entered in the book. */
export class RecordIntake {
  readonly #modules: RecordIntakeModules;
  readonly #options: RecordIntakeOptions;

  /** Records that were taken: peers are asked again and again, and mostly tell what is known. */
  readonly #taken = new LRUCache<string, PeerKey>({ max: MAX_KNOWN_PEERS });

  constructor(modules: RecordIntakeModules, options: RecordIntakeOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** `publisher`: of a gossip message; `teller`: the peer from whom it came. */
  async take(wire: SignedWire, source: PeerSource, publisher?: PeerKey, teller: string = source): Promise<Verdict> {
    const verdict = await this.#judge(wire, source, { publisher, teller });
    const code = verdict.kind === 'accept' ? '' : verdict.code;
    this.#modules.metrics.records.increment({ source, verdict: verdict.kind, code });
    return verdict;
  }

  async #judge(
    wire: SignedWire,
    source: PeerSource,
    { publisher, teller }: { readonly publisher: PeerKey | undefined; readonly teller: string },
  ): Promise<Verdict> {
    const key = publisher === undefined ? fingerprint(wire) : null;
    const taken = key === null ? undefined : this.#taken.get(key);
    if (taken !== undefined) {
      this.#noteTold(taken, teller);
      return createVerdict('NETWORK_RECORD_STALE');
    }
    const opened = await openRecord(wire);
    if (opened.kind === 'refused') return createVerdict(opened.code);
    const { record } = opened;
    const { book, clock } = this.#modules;
    const isOwn = record.signer === this.#options.self;
    const verdict = judgeRecord(record, {
      networkId: this.#options.networkId,
      nowMs: clock.nowMs(),
      knownSequence: isOwn ? 0 : book.sequenceOf(record.value.peer),
    });
    // Known already, by exchange: gossip passes it on all the same, or those beyond us would not hear of it.
    if (publisher === record.signer && book.recordOf(record.value.peer)?.id === record.id) {
      this.#noteTold(record.signer, teller);
      return ACCEPT;
    }
    if (verdict.kind !== 'accept') return verdict;
    // Gossip: a record is published by its own peer, so that nobody can flood the mesh with those of others.
    if (publisher !== undefined && publisher !== record.signer) return createVerdict('NETWORK_RECORD_WRONG_PUBLISHER');
    if (isOwn) {
      this.#modules.onOwnRecord(record);
      return verdict;
    }
    if (key !== null) this.#taken.set(key, record.signer);
    if (!book.putRecord(record, source)) return createVerdict('NETWORK_RECORD_STALE');
    this.#modules.onAccepted(record);
    this.#modules.onTold?.(record, teller);
    return verdict;
  }

  #noteTold(peer: PeerKey, teller: string): void {
    const record = this.#modules.book.recordOf(peer);
    if (record !== null) this.#modules.onTold?.(record, teller);
  }
}

function fingerprint(wire: SignedWire): string {
  const hash = createHash('sha256');
  if (wire.kind === 'envelope') hash.update(wire.envelope);
  else hash.update(wire.root).update(wire.payload);
  return hash.digest('base64');
}
