import type { LeaseId } from '../../../domain/ids.ts';
import type { SignedWire } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError, isAbortError } from '../../../lib/errors.ts';
import { pause } from '../../../lib/pause.ts';
import type { PeerTransport } from '../../../network/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { HOLD_BACKOFF_MS, HOLD_TIMEOUT_MS, MAX_HOLD_NOTICES } from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';

export interface HoldNoticesModules {
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<ProviderMetrics, 'notices'>;
}

interface Notices {
  readonly attempt: Attempt;
  /** The newest checkpoint with a snapshot that the holder does not have yet. */
  newest: SignedWire | null;
  untilMs: number;
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

  announce(attempt: Attempt, checkpoint: SignedWire): void {
    const { snapshotHolder, requester, deadlineMs } = attempt.lease.value;
    if (snapshotHolder === undefined || snapshotHolder === requester || this.#controller.signal.aborted) return;
    const open = this.#open.get(attempt.id);
    if (open !== undefined) {
      open.newest = checkpoint;
      return;
    }
    if (this.#open.size >= MAX_HOLD_NOTICES) return;
    const notices: Notices = { attempt, newest: checkpoint, untilMs: deadlineMs + this.#keepForMs };
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

  [Symbol.dispose](): void {
    this.#controller.abort();
  }

  async #deliver(notices: Notices): Promise<void> {
    const { clock } = this.#modules;
    const { signal } = this.#controller;
    let backoffMs: number = HOLD_BACKOFF_MS.first;
    while (notices.newest !== null && !signal.aborted && clock.nowMs() < notices.untilMs) {
      const checkpoint = notices.newest;
      if (await this.#tell(notices.attempt, checkpoint)) {
        backoffMs = HOLD_BACKOFF_MS.first;
        if (notices.newest === checkpoint) notices.newest = null;
        continue;
      }
      await pause(clock, backoffMs, signal);
      backoffMs = Math.min(backoffMs * 2, HOLD_BACKOFF_MS.longest);
    }
    this.#open.delete(notices.attempt.id);
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
