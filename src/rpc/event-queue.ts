import { RpcError } from './errors.ts';

type Ending =
  | { readonly kind: 'open' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** Events of one subscription, from the socket to the loop that reads them. */
export class EventQueue<Event> {
  readonly #maxEvents: number;
  #events: Event[] = [];
  #next = 0;
  #ending: Ending = { kind: 'open' };
  #wake: (() => void) | undefined;

  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents;
  }

  push(event: Event): void {
    if (this.#ending.kind !== 'open') return;
    const buffered = this.#events.length - this.#next;
    if (buffered >= this.#maxEvents) this.fail(new RpcError({ code: 'RPC_SLOW_CONSUMER', buffered }));
    else this.#events.push(event);
    this.#wake?.();
  }

  end(): void {
    if (this.#ending.kind === 'open') this.#ending = { kind: 'ended' };
    this.#wake?.();
  }

  /** Events that came before are still given out. */
  fail(error: unknown): void {
    if (this.#ending.kind === 'open') this.#ending = { kind: 'failed', error };
    this.#wake?.();
  }

  async *read(): AsyncGenerator<Event, void, undefined> {
    for (;;) {
      while (this.#next < this.#events.length) yield this.#take();
      if (this.#ending.kind === 'failed') throw this.#ending.error;
      if (this.#ending.kind === 'ended') return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #take(): Event {
    // Callers have compared #next with the length.
    const event = this.#events[this.#next] as Event;
    this.#next += 1;
    if (this.#next === this.#events.length) {
      this.#events = [];
      this.#next = 0;
    }
    return event;
  }
}
