import { type IsolationLevel, satisfiesIsolation } from '../../../domain/capability.ts';
import type { Job } from '../../../domain/job.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import type { ReplayExecutor } from './replay-attempt.ts';

export interface LazySandboxModules {
  readonly createExecutor: () => Promise<Executor>;
  /** Told before anything runs, where nobody chose the level and the strongest one does not work here. */
  readonly onWeaker: (level: IsolationLevel) => void;
}

/** Started when it is first needed: trying what this host can isolate takes longer than to see that a part is missing. */
export class LazySandbox implements AsyncDisposable {
  readonly #modules: LazySandboxModules;
  readonly #options: { readonly chosen: IsolationLevel | undefined; readonly asked: IsolationLevel };
  #opened: { readonly executor: Executor; readonly isolation: IsolationLevel } | undefined;

  /** `asked` is the job's own level, for a host where none works. */
  constructor(
    modules: LazySandboxModules,
    options: { readonly chosen: IsolationLevel | undefined; readonly asked: Job['isolation'] },
  ) {
    this.#modules = modules;
    this.#options = options;
  }

  async open(): Promise<ReplayExecutor> {
    if (this.#opened !== undefined) return this.#opened;
    const { chosen, asked } = this.#options;
    const executor = await this.#modules.createExecutor();
    const isolation = chosen ?? findStrongest(executor.isolation) ?? asked;
    if (chosen === undefined && !satisfiesIsolation(isolation, 'bubblewrap')) this.#modules.onWeaker(isolation);
    this.#opened = { executor, isolation };
    return this.#opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.executor[Symbol.asyncDispose]();
  }
}

/** The program is a stranger's. Undefined if no level works here. */
function findStrongest(levels: readonly IsolationLevel[]): IsolationLevel | undefined {
  return levels.toSorted((a, b) => (satisfiesIsolation(a, b) ? -1 : 1))[0];
}
