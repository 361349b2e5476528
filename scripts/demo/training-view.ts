import pc from 'picocolors';
import type { AttemptView, JobEvent } from '../../src/scheduler/interface.ts';
import { renderSparkline, type Screen } from './screen.ts';

interface Attempt {
  readonly provider: string;
  readonly replica: number;
  state: string;
  round: number;
  losses: number[];
}

/** Rounds between two printed lines where there is no terminal to redraw. */
const MILESTONE_ROUNDS = 40;
/** Redraws per second at most, in ms between two. */
const REDRAW_MS = 100;

/** Follows the events of the training job and draws one line an attempt. */
export class TrainingView {
  readonly #screen: Screen;
  readonly #rounds: number;
  readonly #nameOf: (peer: string) => string;
  readonly #attempts = new Map<string, Attempt>();
  #drawnAtMs = 0;

  constructor(screen: Screen, options: { readonly rounds: number; readonly nameOf: (peer: string) => string }) {
    this.#screen = screen;
    this.#rounds = options.rounds;
    this.#nameOf = options.nameOf;
  }

  see(event: JobEvent): void {
    if (event.kind === 'attempt') this.#seeAttempt(event.attempt);
    if (event.kind === 'metric' && event.name === 'loss') this.#seeLoss(event.lease, Number(event.value), event.step);
    if (event.kind === 'log') this.#screen.line(pc.dim(`  ${this.#providerOf(event.lease)}: ${event.text.trimEnd()}`));
    this.#draw(event.kind === 'attempt');
  }

  roundOf(lease: string): number {
    return this.#attempts.get(lease)?.round ?? 0;
  }

  lossesOf(lease: string): readonly number[] {
    return this.#attempts.get(lease)?.losses ?? [];
  }

  #providerOf(lease: string): string {
    return this.#attempts.get(lease)?.provider ?? lease.slice(-8);
  }

  #seeAttempt(view: AttemptView): void {
    const known = this.#attempts.get(view.lease);
    const provider = this.#nameOf(view.provider);
    if (known === undefined) {
      this.#attempts.set(view.lease, { provider, replica: view.replica, state: view.state, round: 0, losses: [] });
    } else {
      known.state = view.state;
    }
    if (known?.state === view.state && !this.#screen.isTerminal) return;
    if (!this.#screen.isTerminal || view.reason !== null) {
      const reason = view.reason === null ? '' : ` (${view.reason})`;
      this.#screen.line(`  replica ${view.replica}: ${provider} ${view.state}${reason}`);
    }
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
