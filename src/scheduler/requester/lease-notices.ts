import type { LeaseId, PeerKey } from '../../domain/ids.ts';
import type { JobRequest } from '../../domain/messages.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { PeerTransport } from '../../network/interface.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { CANCEL_TIMEOUT_MS, CLOSE_GATHER } from '../constants.ts';

/** Tells providers that leases are over. `close` is gathered, since nobody waits for it; `cancel` goes at once. */
export class LeaseNotices {
  readonly #modules: {
    readonly transport: Pick<PeerTransport, 'request'>;
    readonly clock: Clock;
    readonly logger: Logger;
  };
  readonly #controller = new AbortController();
  #closing = new Map<PeerKey, LeaseId[]>();
  #timer: Disposable | undefined;

  constructor(modules: {
    readonly transport: Pick<PeerTransport, 'request'>;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#modules = modules;
  }

  /** The requester has what it needs of this attempt. Best effort: the provider drops it by itself in time. */
  close(provider: PeerKey, lease: LeaseId): void {
    if (this.#controller.signal.aborted) return;
    const leases = this.#closing.get(provider) ?? [];
    this.#closing.set(provider, leases);
    leases.push(lease);
    if (leases.length >= CLOSE_GATHER.leases) {
      this.#closing.delete(provider);
      void this.#sendClose(provider, leases);
      return;
    }
    this.#timer ??= this.#modules.clock.schedule(CLOSE_GATHER.delayMs, () => this.#flush());
  }

  /** True if the provider confirmed that it stops. */
  cancel(provider: PeerKey, lease: LeaseId, reason: string): Promise<boolean> {
    return this.#tell(provider, { op: 'cancel', leases: [lease], reason: reason.slice(0, 200) });
  }

  /** True if the provider confirmed that it stops at the next checkpoint. */
  pause(provider: PeerKey, lease: LeaseId, reason: string): Promise<boolean> {
    return this.#tell(provider, { op: 'pause', leases: [lease], reason: reason.slice(0, 200) });
  }

  async #tell(provider: PeerKey, request: Extract<JobRequest, { op: 'cancel' | 'pause' }>): Promise<boolean> {
    const { op, leases } = request;
    try {
      const options = { signal: this.#controller.signal, timeoutMs: CANCEL_TIMEOUT_MS };
      const response = await this.#modules.transport.request(provider, 'job', request, options);
      return response.kind === 'done' || response.kind === 'unknown-lease';
    } catch (error) {
      this.#modules.logger.debug(
        { provider, lease: leases[0], op, reason: describeError(error) },
        'a provider did not confirm that it stops',
      );
      return false;
    }
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#closing.clear();
    this.#controller.abort();
  }

  #flush(): void {
    this.#timer = undefined;
    const closing = this.#closing;
    this.#closing = new Map();
    for (const [provider, leases] of closing) void this.#sendClose(provider, leases);
  }

  async #sendClose(provider: PeerKey, leases: readonly LeaseId[]): Promise<void> {
    const options = { signal: this.#controller.signal, timeoutMs: CANCEL_TIMEOUT_MS };
    try {
      await this.#modules.transport.request(provider, 'job', { op: 'close', leases: [...leases] }, options);
    } catch (error) {
      this.#modules.logger.debug({ provider, reason: describeError(error) }, 'a provider did not take a close');
    }
  }
}
