import type { LeaseId, PeerKey } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import { PAUSE_REPEAT_MS } from '../constants.ts';
import type { Decision } from '../job-decision.ts';
import { findAttempt, type JobMachineState } from '../job-machine-state.ts';
import type { LeaseNotices } from './lease-notices.ts';

/**
 * Tells providers to stop at their next checkpoint, again and again until their attempts have ended: a request may be
 * lost, and a provider may go down after it took one.
 */
export class PauseAsks {
  readonly #modules: { readonly clock: Clock; readonly notices: Pick<LeaseNotices, 'pause'> };
  /** Asked and not yet to be asked again. */
  readonly #asked = new Map<LeaseId, Disposable | undefined>();
  #wanted: ReadonlyMap<LeaseId, PeerKey> = new Map();

  constructor(modules: { readonly clock: Clock; readonly notices: Pick<LeaseNotices, 'pause'> }) {
    this.#modules = modules;
  }

  /** Those that are to stop now; empty if the job runs on. */
  want(attempts: ReadonlyMap<LeaseId, PeerKey>): void {
    this.#wanted = attempts;
    for (const [lease, timer] of this.#asked) {
      if (attempts.has(lease)) continue;
      timer?.[Symbol.dispose]();
      this.#asked.delete(lease);
    }
    for (const [lease, provider] of attempts) {
      if (!this.#asked.has(lease)) void this.#ask(lease, provider);
    }
  }

  async #ask(lease: LeaseId, provider: PeerKey): Promise<void> {
    this.#asked.set(lease, undefined);
    const isConfirmed = await this.#modules.notices.pause(provider, lease, 'the requester paused the job');
    if (!this.#wanted.has(lease)) return void this.#asked.delete(lease);
    const delayMs = PAUSE_REPEAT_MS[isConfirmed ? 'confirmed' : 'unconfirmed'];
    const timer = this.#modules.clock.schedule(delayMs, () => void this.#ask(lease, provider));
    this.#asked.set(lease, timer);
  }
}

/** The attempts that a decision has stop, with their providers. */
export function listPausing(state: JobMachineState, decision: Decision): ReadonlyMap<LeaseId, PeerKey> {
  const leases = decision.kind === 'pause' ? decision.leases : [];
  return new Map(
    leases.flatMap((lease) => {
      const attempt = findAttempt(state, lease);
      return attempt === undefined ? [] : [[lease, attempt.provider]];
    }),
  );
}
