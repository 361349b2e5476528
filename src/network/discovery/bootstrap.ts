import type { PeerKey } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { BootstrapReport } from '../interface.ts';
import { type Dialer, parseAddress, peerOfAddress } from './dialer.ts';

export interface BootstrapModules {
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly isConnected: (peer: PeerKey) => boolean;
  readonly onConnected: (peer: PeerKey, address: string) => void;
  /** The address is said, or was found, to be of this node's own identity. */
  readonly onOwnIdentity: (address: string) => void;
}

export interface BootstrapOptions {
  readonly self: PeerKey;
  readonly addresses: readonly string[];
}

/** libp2p's words where the other end of a new connection has our own key. */
const SELF_DIALLED = /dial self/i;

interface Target {
  readonly address: string;
  peer: PeerKey | null;
  attempts: number;
  report: BootstrapReport | null;
  timer: Disposable | null;
  isDialing: boolean;
}

/** Dials every bootstrap address at once, says what became of each, and tries again with growing waits. */
export class Bootstrap {
  readonly #modules: BootstrapModules;
  readonly #options: BootstrapOptions;
  readonly #targets: readonly Target[];
  #isRunning = false;

  constructor(modules: BootstrapModules, options: BootstrapOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#targets = [...new Set(options.addresses)].map((address) => ({
      address,
      peer: null,
      attempts: 0,
      report: null,
      timer: null,
      isDialing: false,
    }));
  }

  start(): void {
    this.#isRunning = true;
    for (const target of this.#targets) void this.#dial(target);
  }

  stop(): void {
    this.#isRunning = false;
    for (const target of this.#targets) {
      target.timer?.[Symbol.dispose]();
      target.timer = null;
    }
  }

  /** What became of each address that was tried. */
  reports(): readonly BootstrapReport[] {
    return this.#targets.flatMap((target) => target.report ?? []);
  }

  /** True if every address was tried and none of their peers is connected. */
  get isDegraded(): boolean {
    if (this.#targets.length === 0) return false;
    return this.#targets.every(
      (target) => target.report !== null && !(target.peer !== null && this.#modules.isConnected(target.peer)),
    );
  }

  /** A bootstrap peer that is lost is dialled again at once, then with growing waits. */
  noteDisconnected(peer: PeerKey): void {
    for (const target of this.#targets) {
      if (target.peer !== peer || !this.#isRunning) continue;
      target.report = { address: target.address, outcome: 'refused', reason: 'the connection was lost' };
      target.attempts = 0;
      this.#retryLater(target);
    }
  }

  async #dial(target: Target): Promise<void> {
    if (target.isDialing || !this.#isRunning) return;
    target.isDialing = true;
    try {
      const peer = await this.#dialOnce(target);
      target.peer = peer;
      target.attempts = 0;
      target.report = { address: target.address, outcome: 'connected', reason: null };
      this.#modules.onConnected(peer, target.address);
    } catch (error) {
      this.#noteRefused(target, error);
    } finally {
      target.isDialing = false;
    }
  }

  async #dialOnce(target: Target): Promise<PeerKey> {
    const named = peerOfAddress(parseAddress(target.address));
    if (named === this.#options.self) {
      this.#modules.onOwnIdentity(target.address);
      throw new NetworkError({
        code: 'NETWORK_UNREACHABLE',
        target: target.address,
        reason: 'the address names this node itself',
      });
    }
    return this.#modules.dialer.dialAddress(target.address, 'bootstrap');
  }

  #noteRefused(target: Target, error: unknown): void {
    if (!this.#isRunning) return;
    const reason = error instanceof NetworkError && 'reason' in error.info ? error.info.reason : describeError(error);
    const isNews = target.report?.outcome !== 'refused' || target.report.reason !== reason;
    target.report = { address: target.address, outcome: 'refused', reason };
    if (SELF_DIALLED.test(reason)) this.#modules.onOwnIdentity(target.address);
    if (isNews) this.#modules.logger.warn({ address: target.address, reason }, 'a bootstrap peer cannot be reached');
    this.#retryLater(target);
  }

  /** Waits double up to a minute; a random quarter is taken off so that nodes do not come back in step. */
  #retryLater(target: Target): void {
    const { clock, random } = this.#modules;
    const fullMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** target.attempts++);
    const [byte = 0] = random.bytes(1);
    target.timer?.[Symbol.dispose]();
    target.timer = clock.schedule(fullMs * (1 - byte / 1024), () => void this.#dial(target));
  }
}
