import type { IsolationLevel } from '../../../domain/capability.ts';
import type { Job } from '../../../domain/job.ts';
import type { WasmExecutor } from '../../../sandbox/executors/wasm/wasm-executor.ts';
import type { ReplayExecutor } from './replay-attempt.ts';

/** Started when it is first needed: trying what this host can isolate takes longer than to see that a part is missing. */
export class LazySandbox implements AsyncDisposable {
  readonly #job: Job;
  readonly #isolation: IsolationLevel | undefined;
  #opened: { readonly executor: WasmExecutor; readonly isolation: IsolationLevel } | undefined;

  constructor(job: Job, isolation: IsolationLevel | undefined) {
    this.#job = job;
    this.#isolation = isolation;
  }

  async open(): Promise<ReplayExecutor> {
    if (this.#opened !== undefined) return this.#opened;
    const { createReplayExecutor, strongestLevel } = await import('./create-executor.ts');
    const executor = await createReplayExecutor(this.#job);
    const isolation = this.#isolation ?? strongestLevel(executor.isolation) ?? this.#job.isolation;
    this.#opened = { executor, isolation };
    return this.#opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.executor[Symbol.asyncDispose]();
  }
}
