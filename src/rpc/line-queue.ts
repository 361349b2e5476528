import type { DecodedLine } from './line-decoder.ts';
import type { ReadGate } from './read-gate.ts';
import type { WorkTurns } from './work-turns.ts';

export interface LineQueueModules {
  readonly turns: WorkTurns;
  readonly gate: Pick<ReadGate<'lines'>, 'open' | 'close'>;
  /** Begins to answer one; never rejects. */
  begin(line: DecodedLine): Promise<void>;
}

/** Lines that came together, begun one after the other. Nothing more is read while some wait. */
export class LineQueue {
  readonly #modules: LineQueueModules;
  #lines: DecodedLine[] = [];
  #next = 0;
  #idle: PromiseWithResolvers<void> | null = null;

  constructor(modules: LineQueueModules) {
    this.#modules = modules;
  }

  push(lines: Iterable<DecodedLine>): void {
    for (const line of lines) this.#lines.push(line);
    if (this.#idle === null) void this.#run();
  }

  /** Resolves when all that came so far was begun. */
  async whenIdle(): Promise<void> {
    await this.#idle?.promise;
  }

  async #run(): Promise<void> {
    const { turns, gate } = this.#modules;
    for (;;) {
      const line = this.#lines[this.#next];
      if (line === undefined) break;
      this.#next += 1;
      const answering = this.#modules.begin(line);
      if (this.#next === this.#lines.length) break;
      this.#idle ??= Promise.withResolvers<void>();
      gate.close('lines');
      await turns.after(answering);
    }
    this.#lines = [];
    this.#next = 0;
    gate.open('lines');
    this.#idle?.resolve();
    this.#idle = null;
  }
}
