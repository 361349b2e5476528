import type { LeaseId } from '../../../domain/ids.ts';
import type { SignedWire } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError, isAbortError } from '../../../lib/errors.ts';
import type { PeerTransport } from '../../../network/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { HOLD_BACKOFF_MS, HOLD_PATIENCE_MS, HOLD_TIMEOUT_MS, MAX_HOLD_NOTICES } from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { AttemptJournal, JournalledLink } from './attempt-journal.ts';

/** A checkpoint with a snapshot, as it was journalled. */
export type HeldLink = Pick<JournalledLink, 'index' | 'wire'>;

export interface HoldNoticesModules {
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<ProviderMetrics, 'notices'>;
  readonly journal: Pick<AttemptJournal, 'leases' | 'signOperation' | 'write'>;
}

interface Notices {
  readonly attempt: Attempt;
  /** The newest checkpoint with a snapshot that the holder does not have yet. */
  newest: HeldLink | null;
  untilMs: number;
  /** Waiting until the holder has the newest, or is seen not to take it now. */
  waiting: (() => void)[];
  /** Has a holder that did not take it asked again now. */
  retry: () => void;
}

/**
 * Tells holders that are neither requester nor provider of new snapshots, one request a lease at a time, always about
 * the newest; again and again until they have it or it is too late. The requester learns of snapshots by its events.
 */
export class HoldNotices implements Disposable {
  readonly #modules: HoldNoticesModules;
  readonly #keepForMs: number;
  readonly #open = new Map<LeaseId, Notices>();
  readonly #controller = new AbortController();

  constructor(modules: HoldNoticesModules, options: { readonly keepForMs: number }) {
    this.#modules = modules;
    this.#keepForMs = options.keepForMs;
  }

  announce(attempt: Attempt, link: HeldLink): void {
    const { snapshotHolder, requester, deadlineMs } = attempt.lease.value;
    if (snapshotHolder === undefined || snapshotHolder === requester || this.#controller.signal.aborted) return;
    const open = this.#open.get(attempt.id);
    if (open !== undefined) {
      open.newest = link;
      return;
    }
    if (this.#open.size >= MAX_HOLD_NOTICES) return;
    const untilMs = deadlineMs + this.#keepForMs;
    const notices: Notices = { attempt, newest: link, untilMs, waiting: [], retry: () => undefined };
    this.#open.set(attempt.id, notices);
    void this.#deliver(notices);
  }

  /** The attempt has ended; its last snapshot is offered as long as it is kept. */
  end(lease: LeaseId): void {
    const notices = this.#open.get(lease);
    if (notices !== undefined) {
      notices.untilMs = Math.min(notices.untilMs, this.#modules.clock.nowMs() + this.#keepForMs);
    }
  }

  /**
   * Resolves when the holder has the newest snapshot of an attempt, or does not take it, or took too long: half of what
   * the lease may still last without a sign of life, so that its end is told before that.
   */
  async wait({ id, lease, renewedAtMs }: Attempt): Promise<void> {
    const notices = this.#open.get(id);
    if (notices === undefined) return;
    const { clock } = this.#modules;
    const { promise, resolve } = Promise.withResolvers<void>();
    notices.waiting.push(resolve);
    notices.retry();
    const leftMs = renewedAtMs + lease.value.durationMs - clock.monotonicMs();
    using _patience = clock.schedule(Math.min(HOLD_PATIENCE_MS, leftMs / 2), resolve);
    await promise;
  }

  [Symbol.dispose](): void {
    this.#controller.abort();
    for (const notices of this.#open.values()) {
      release(notices);
      notices.retry();
    }
  }

  async #deliver(notices: Notices): Promise<void> {
    const { clock } = this.#modules;
    const { signal } = this.#controller;
    let backoffMs: number = HOLD_BACKOFF_MS.first;
    while (notices.newest !== null && !signal.aborted && clock.nowMs() < notices.untilMs) {
      const link = notices.newest;
      if (await this.#tell(notices.attempt, link.wire)) {
        backoffMs = HOLD_BACKOFF_MS.first;
        await this.#confirm(notices.attempt, link.index);
        if (notices.newest === link) notices.newest = null;
        continue;
      }
      release(notices);
      await this.#rest(notices, backoffMs);
      backoffMs = Math.min(backoffMs * 2, HOLD_BACKOFF_MS.longest);
    }
    this.#open.delete(notices.attempt.id);
    release(notices);
  }

  async #rest(notices: Notices, restMs: number): Promise<void> {
    if (this.#controller.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    notices.retry = resolve;
    using _timer = this.#modules.clock.schedule(restMs, resolve);
    await promise;
  }

  /** The requester is told, now and should it come back after a restart of this node. Never rejects. */
  async #confirm(attempt: Attempt, index: number): Promise<void> {
    const { journal, clock, logger } = this.#modules;
    if (attempt.phase === 'ended') return;
    attempt.heldIndex = index;
    attempt.emit({ kind: 'held', index }, clock.nowMs());
    if (!journal.leases.has(attempt.id)) return;
    try {
      await journal.write([journal.signOperation(attempt.id, attempt.describeSign(clock))], { durable: false });
    } catch (error) {
      logger.warn({ lease: attempt.id, error }, 'what a holder has could not be journalled');
    }
  }

  /** True once the holder has the snapshot. Never rejects. */
  async #tell(attempt: Attempt, checkpoint: SignedWire): Promise<boolean> {
    const { transport, logger, metrics } = this.#modules;
    const { wire, value } = attempt.lease;
    const holder = value.snapshotHolder ?? value.requester;
    const options = { signal: this.#controller.signal, timeoutMs: HOLD_TIMEOUT_MS };
    try {
      const answer = await transport.request(holder, 'job', { op: 'hold', lease: wire, checkpoint }, options);
      const isHeld = answer.kind === 'done';
      metrics.notices.increment({ answer: isHeld ? 'held' : 'refused' });
      if (!isHeld) logger.debug({ lease: attempt.id, holder, answer }, 'a holder did not take a snapshot');
      return isHeld;
    } catch (error) {
      if (this.#controller.signal.aborted && isAbortError(error)) return false;
      metrics.notices.increment({ answer: 'unreachable' });
      logger.debug(
        { lease: attempt.id, holder, reason: describeError(error) },
        'a holder could not be told of a snapshot',
      );
      return false;
    }
  }
}

function release(notices: Notices): void {
  for (const resolve of notices.waiting.splice(0)) resolve();
}
