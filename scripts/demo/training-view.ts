import pc from 'picocolors';
import type { AttemptView, JobEvent } from '../../src/scheduler/interface.ts';
import { renderSparkline, type Screen } from './screen.ts';

interface Attempt {
  readonly provider: string;
  readonly replica: number;
  readonly state: string;
  round: number;
  readonly losses: number[];
}

/** Rounds between two printed lines where there is no terminal to redraw. */
const MILESTONE_ROUNDS = 80;
/** Redraws per second at most, in ms between two. */
const REDRAW_MS = 100;

/** Follows the events of the training job and draws one line an attempt. */
export class TrainingView {
  readonly #screen: Screen;
  readonly #rounds: number;
  readonly #nameOf: (peer: string) => string;
  readonly #attempts = new Map<string, Attempt>();
  readonly #logged = new Set<string>();
  #drawnAtMs = 0;

  constructor(screen: Screen, options: { readonly rounds: number; readonly nameOf: (peer: string) => string }) {
    this.#screen = screen;
    this.#rounds = options.rounds;
    this.#nameOf = options.nameOf;
  }

  see(event: JobEvent): void {
    if (event.kind === 'attempt') this.#seeAttempt(event.attempt);
    if (event.kind === 'metric' && event.name === 'loss') this.#seeLoss(event.lease, Number(event.value), event.step);
    if (event.kind === 'log') this.#seeLog(event.text.trimEnd(), event.lease);
    this.#draw(event.kind === 'attempt');
  }

  lossesOf(lease: string): readonly number[] {
    return this.#attempts.get(lease)?.losses ?? [];
  }

  #providerOf(lease: string): string {
    return this.#attempts.get(lease)?.provider ?? lease.slice(-8);
  }

  /** Replicas print the same: each text is shown once, from whichever is first. */
  #seeLog(text: string, lease: string): void {
    if (this.#logged.has(text)) return;
    this.#logged.add(text);
    this.#screen.line(pc.dim(`  ${this.#providerOf(lease)}: ${text}`));
  }

  #seeAttempt({ lease, provider: peer, replica, state, reason }: AttemptView): void {
    const known = this.#attempts.get(lease);
    if (known?.state === state) return;
    const provider = this.#nameOf(peer);
    this.#attempts.set(lease, { provider, replica, state, round: known?.round ?? 0, losses: known?.losses ?? [] });
    if (reason === null && (this.#screen.isTerminal || state === 'queued')) return;
    this.#screen.line(`  replica ${replica} on ${provider}: ${state}${reason === null ? '' : ` (${reason})`}`);
  }

  #seeLoss(lease: string, loss: number, step: number): void {
    const attempt = this.#attempts.get(lease);
    if (attempt === undefined) return;
    attempt.round = step;
    attempt.losses.push(loss);
    if (!this.#screen.isTerminal && (step === 1 || step % MILESTONE_ROUNDS === 0)) {
      this.#screen.line(`  ${this.#renderAttempt(attempt)}`);
    }
  }

  #draw(isUrgent: boolean): void {
    const nowMs = performance.now();
    if (!isUrgent && nowMs - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = nowMs;
    this.#screen.live([...this.#attempts.values()].map((attempt) => `  ${this.#renderAttempt(attempt)}`));
  }

  #renderAttempt({ provider, replica, state, round, losses }: Attempt): string {
    const loss = losses.at(-1)?.toFixed(4) ?? '      ';
    const rounds = `round ${String(round).padStart(3)}/${this.#rounds}`;
    return `replica ${replica} on ${provider.padEnd(10)} ${rounds}  loss ${loss}  ${renderSparkline(losses).padEnd(24)} ${state}`;
  }
}
