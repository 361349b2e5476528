import type { AttestResponse } from '../../../domain/confidential.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { Challenge } from './create-evidence.ts';
import type { SealedAttempt } from './sealed-attempt.ts';
import type { ShownEvidence } from './shown-evidence.ts';

/** What is between the acceptance of a confidential lease and the end of its attempt. In memory only. */
export class AttestSession implements Disposable {
  readonly attempt: Attempt;
  /** The one challenge that is answered, with the one answer that it has. */
  challenge: { readonly request: Challenge; readonly answer: Promise<AttestResponse> } | null = null;
  shown: ShownEvidence | null = null;
  isOver = false;
  readonly #patience: Disposable;
  readonly #released = Promise.withResolvers<SealedAttempt>();
  #sealed: SealedAttempt | null = null;

  /** @param patience ends with the wait for the release */
  constructor(attempt: Attempt, patience: Disposable) {
    this.attempt = attempt;
    this.#patience = patience;
  }

  get sealed(): SealedAttempt | null {
    return this.#sealed;
  }

  get released(): Promise<SealedAttempt> {
    return this.#released.promise;
  }

  get heldBytes(): number {
    return this.shown?.evidence.length ?? 0;
  }

  release(sealed: SealedAttempt): void {
    this.#patience[Symbol.dispose]();
    this.#sealed = sealed;
    this.#released.resolve(sealed);
  }

  /** Keys, secrets and plaintext are gone. */
  [Symbol.dispose](): void {
    this.isOver = true;
    this.#patience[Symbol.dispose]();
    this.shown?.keys[Symbol.dispose]();
    this.#sealed?.[Symbol.dispose]();
  }
}
