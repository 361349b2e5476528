import type { EventSealer, PlainEvent, SealedEvent } from '../../../tee/interface.ts';

/** Seals logs and metrics one by one, and hands them on in their order. */
export class SealedEvents {
  readonly #sealer: EventSealer;
  #pending: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  constructor(sealer: EventSealer) {
    this.#sealer = sealer;
  }

  /** After one that could not be sealed nothing more is handed on. */
  seal(event: PlainEvent, emit: (sealed: SealedEvent) => void): void {
    const sealed = this.#sealer.seal(event);
    // Whichever is settled first, none overtakes another, and no rejection is left without a listener.
    this.#pending = Promise.allSettled([sealed, this.#pending]).then(([result]) => {
      if (this.#failure !== null) return;
      if (result.status === 'fulfilled') emit(result.value);
      else this.#failure = { error: result.reason };
    });
  }

  /** Resolves when all that was given has been handed on, or could not be sealed. Never rejects. */
  async settle(): Promise<void> {
    await this.#pending;
  }

  /** @throws whatever an event could not be sealed for */
  assertSealed(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
