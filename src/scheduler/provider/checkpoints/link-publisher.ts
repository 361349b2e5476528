import type { SnapshotEntry } from '../../../blob/interface.ts';
import { CHECKPOINT, type Checkpoint } from '../../../domain/checkpoint.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObject } from '../../../proofs/signed-object.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { RESERVED_SEQUENCES } from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { AttemptJournal, JournalledLink } from './attempt-journal.ts';
import type { HoldNotices } from './hold-notices.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';

export interface LinkPublisherModules {
  readonly identity: EnvelopeSigner;
  readonly journal: AttemptJournal;
  readonly keeper: SnapshotKeeper;
  readonly notices: HoldNotices;
  readonly clock: Clock;
  readonly metrics: ProviderMetrics;
}

/** What a link says besides whose it is. */
export type LinkClaims = Omit<Checkpoint, 'type' | 'job' | 'lease' | 'provider' | 'snapshot'>;

/** Signs links of one attempt, journals them, and only then tells of them: nothing that was told is ever signed anew. */
export class LinkPublisher {
  readonly #attempt: Attempt;
  readonly #modules: LinkPublisherModules;

  constructor(attempt: Attempt, modules: LinkPublisherModules) {
    this.#attempt = attempt;
    this.#modules = modules;
  }

  /** @param entry the snapshot of the last of these links */
  async publish(claims: readonly LinkClaims[], entry: SnapshotEntry | null): Promise<void> {
    const { identity, keeper, notices, clock, metrics } = this.#modules;
    const { jobId: job, id: lease } = this.#attempt;
    const last = claims.at(-1);
    const drafts = await Promise.all(
      claims.map(async (claim): Promise<JournalledLink> => {
        const snapshot = claim === last ? (entry?.reference ?? null) : null;
        const value: Checkpoint = {
          type: 'fogproof/checkpoint@1',
          job,
          lease,
          provider: identity.peer,
          ...claim,
          snapshot,
        };
        const { wire } = await signObject(CHECKPOINT, value, identity);
        return { index: claim.index, sequence: 0, atMs: claim.atMs, wire };
      }),
    );
    const links = await this.#journal(drafts, entry !== null);
    metrics.checkpoints.increment({}, links.length);
    for (const { wire, sequence } of links) {
      this.#attempt.emit({ kind: 'checkpoint', checkpoint: wire }, clock.nowMs(), { sequence });
    }
    const newest = links.at(-1);
    if (entry === null || newest === undefined) return;
    await keeper.add(this.#attempt, entry);
    notices.announce(this.#attempt, newest);
  }

  /** On disk, with the numbers that their events will have. */
  async #journal(drafts: readonly JournalledLink[], hasSnapshot: boolean): Promise<readonly JournalledLink[]> {
    const { journal, keeper, clock } = this.#modules;
    const { id, log } = this.#attempt;
    for (;;) {
      const first = log.lastSequence + RESERVED_SEQUENCES;
      const links = drafts.map((link, place) => ({ ...link, sequence: first + place }));
      const sign = this.#attempt.describeSign(clock);
      const duty = hasSnapshot ? keeper.dutyOperations(this.#attempt) : [];
      const rows = links.map((link) => journal.linkOperation(id, link));
      await journal.write([...rows, journal.signOperation(id, sign), ...duty], { durable: true });
      if (log.lastSequence < first) return links;
    }
  }
}
