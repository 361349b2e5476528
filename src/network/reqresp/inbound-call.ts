import type { PeerKey } from '../../domain/ids.ts';
import { RESPONSE_OVERHEAD_BYTES } from '../constants.ts';
import type { HandlerContext } from '../interface.ts';

/** One request's side of the responder: its credit and its signal. */
export class InboundCall implements HandlerContext {
  readonly id: number;
  readonly peer: PeerKey;
  readonly #windowBytes: number;
  #creditBytes: number;
  #controller: AbortController | null = null;
  #cancelReason: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(id: number, peer: PeerKey, windowBytes: number) {
    this.id = id;
    this.peer = peer;
    this.#windowBytes = windowBytes;
    this.#creditBytes = windowBytes;
  }

  /** Made when first asked for: most answers are given before anybody could cancel them. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#cancelReason !== null) this.#controller.abort(this.#cancelReason);
    }
    return this.#controller.signal;
  }

  get isCancelled(): boolean {
    return this.#cancelReason !== null;
  }

  cancel(reason: Error = new DOMException('the requester cancelled', 'AbortError')): void {
    if (this.#cancelReason !== null) return;
    this.#cancelReason = reason;
    this.#controller?.abort(reason);
    this.#resume();
  }

  /** The answer is over: nobody listens to the signal any more. */
  settle(): void {
    this.#controller = null;
  }

  /** Waits until some credit is left, then takes the response's size from it; the last response may pass it. */
  async takeCredit(bodyBytes: number): Promise<void> {
    while (this.#creditBytes <= 0 && !this.isCancelled) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#creditBytes -= bodyBytes + RESPONSE_OVERHEAD_BYTES;
  }

  /** Credit above the window buys nothing. */
  addCredit(bytes: number): void {
    this.#creditBytes = Math.min(this.#windowBytes, this.#creditBytes + bytes);
    this.#resume();
  }

  #resume(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
