import type { Socket } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import type { ConnectionLimits } from './options.ts';
import type { ReadGate } from './read-gate.ts';

export interface OutboundModules {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly gate: Pick<ReadGate<'reader'>, 'open' | 'close'>;
  /** The reader takes too little for too long: the connection must go. */
  onStuck(): void;
}

/** What leaves a connection, one JSON value a line. While its reader lags, nothing more is read from it. */
export class OutboundLines {
  readonly #modules: OutboundModules;
  readonly #limits: Pick<ConnectionLimits, 'maxUnreadBytes' | 'slowReaderTimeoutMs'>;
  #drained: PromiseWithResolvers<void> | undefined;
  #timer: Disposable | undefined;
  #isClosed = false;

  constructor(modules: OutboundModules, limits: Pick<ConnectionLimits, 'maxUnreadBytes' | 'slowReaderTimeoutMs'>) {
    this.#modules = modules;
    this.#limits = limits;
    modules.socket.on('drain', () => this.#onDrain());
  }

  /** Resolves when the reader has taken enough for more; callers that answer a request need not wait. */
  send(message: unknown): Promise<void> | undefined {
    return this.sendText(() => JSON.stringify(message));
  }

  /** The same with what is JSON already. */
  sendText(render: () => string): Promise<void> | undefined {
    const { socket } = this.#modules;
    if (this.#isClosed || !socket.writable) return undefined;
    if (socket.writableLength > this.#limits.maxUnreadBytes) {
      this.close();
      this.#modules.onStuck();
      return undefined;
    }
    if (socket.write(`${render()}\n`)) return undefined;
    this.#drained ??= this.#waitForReader();
    return this.#drained.promise;
  }

  /** Nothing more is sent, and nobody waits any longer. */
  close(): void {
    this.#isClosed = true;
    this.#onDrain();
  }

  #waitForReader(): PromiseWithResolvers<void> {
    this.#modules.gate.close('reader');
    this.#timer = this.#modules.clock.schedule(this.#limits.slowReaderTimeoutMs, () => this.#modules.onStuck());
    return Promise.withResolvers<void>();
  }

  #onDrain(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#drained?.resolve();
    this.#drained = undefined;
    if (!this.#isClosed) this.#modules.gate.open('reader');
  }
}
