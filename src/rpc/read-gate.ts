import type { Socket } from 'node:net';

/** Keeps a socket from being read while there is a reason to. */
export class ReadGate<Reason extends string> {
  readonly #socket: Pick<Socket, 'pause' | 'resume'>;
  readonly #reasons = new Set<Reason>();

  constructor({ socket }: { readonly socket: Pick<Socket, 'pause' | 'resume'> }) {
    this.#socket = socket;
  }

  close(reason: Reason): void {
    this.#reasons.add(reason);
    this.#socket.pause();
  }

  open(reason: Reason): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#socket.resume();
  }
}
