import type { IsolationLevel } from '../../../domain/capability.ts';
import { INSTRUMENTER } from '../../../wasm/constants.ts';
import type { InstrumentedModule } from '../../../wasm/instrument/instrument.ts';
import { isSteppingAbi } from '../../../wasm/runtime/prepare-program.ts';
import {
  INSTRUMENT_TIMEOUT_MS,
  MAX_CACHED_MODULE_BYTES,
  MAX_MISSED_MODULES,
  MIN_CACHED_MODULE_BYTES,
} from '../../constants.ts';
import { computeCacheKey } from '../../instrumented-cache/cache-key.ts';
import { decodeContent, MAX_DESCRIPTION_BYTES } from '../../instrumented-cache/entry-codec.ts';
import type { ExecutionSink } from '../../interface.ts';
import type { SandboxMetrics } from '../../metrics.ts';
import { encodeContent } from '../../protocol/instrumented-content.ts';
import type { ChildTask, SandboxChild } from './sandbox-child.ts';

/** Where instrumented modules are kept between children; `instrumented-cache/instrumented-cache.ts` is one. */
export interface InstrumentedStore {
  get(key: string): Promise<InstrumentedModule | null>;
  put(key: string, module: InstrumentedModule): Promise<unknown>;
}

/** A sandboxed child that is started for one module. */
export type InstrumentingChild = Pick<SandboxChild, 'start' | 'run' | 'close'>;

export interface InstrumentedModulesModules {
  readonly store: InstrumentedStore;
  readonly metrics: SandboxMetrics;
  readonly createChild: (isolation: IsolationLevel) => InstrumentingChild;
}

const NOTHING = new Uint8Array(0);
/** Code grows by a half, data not at all; a module that grows more is instrumented by each child for itself. */
const MOST_GROWTH = 2;
/** What a child tells while it only instruments is not a program's: there is nothing to tell. */
const DEAF: ExecutionSink = {
  log: () => {},
  metric: () => {},
  progress: () => {},
  checkpoint: () => Promise.reject(new TypeError('nothing runs')),
};

/**
 * Large modules that come again are instrumented once a node and not once a child. A stranger's module is never parsed in
 * the node itself: a sandboxed child is started for it, does nothing else, and ends; the task that asks does not wait for
 * it. Children that run programs only take from the store, through their parent, so none can put something there for
 * another requester; what a hostile module might make of the child that instruments it is kept under the hash of that
 * module alone.
 */
export class InstrumentedModules implements AsyncDisposable {
  private readonly modules: InstrumentedModulesModules;
  /** Keys that were asked for and not there, oldest first. */
  private readonly missed = new Set<string>();
  private making: { readonly child: InstrumentingChild; readonly done: Promise<void> } | null = null;

  constructor(modules: InstrumentedModulesModules) {
    this.modules = modules;
  }

  /** The task with its module as instrumented before; as it is where there is none. */
  async replaceModule(
    task: ChildTask,
    child: Pick<SandboxChild, 'holds'>,
    isolation: IsolationLevel,
  ): Promise<ChildTask> {
    const { module, request, moduleKey } = task;
    const isFit = module.length >= MIN_CACHED_MODULE_BYTES && module.length <= MAX_CACHED_MODULE_BYTES;
    if (!isFit || child.holds(moduleKey)) return task;
    const isStepping = isSteppingAbi(request.abi);
    const source = { sha256: request.digest, instrumenter: INSTRUMENTER };
    const key = computeCacheKey({ ...source, options: { maxPages: request.maxPages, isStepping } });
    const replaced = { ...task, moduleKey: key, isInstrumented: true, module: NOTHING };
    const asInstrumented = { ...replaced, request: { ...request, digest: Buffer.from(key, 'hex') } };
    if (child.holds(key)) return asInstrumented;
    const found = await this.modules.store.get(key);
    this.modules.metrics.instrumented.increment({ source: found === null ? 'none' : 'cache' });
    if (found !== null) return { ...asInstrumented, module: encodeContent(found) };
    this.miss(key, task, isolation);
    return task;
  }

  /** Resolves when nothing is being made. */
  async settle(): Promise<void> {
    await this.making?.done;
  }

  /** A module that comes a second time will come a third time; one that is run once is not worth a child. */
  private miss(key: string, task: ChildTask, isolation: IsolationLevel): void {
    if (!this.missed.delete(key)) {
      this.missed.add(key);
      for (const oldest of this.missed) {
        if (this.missed.size <= MAX_MISSED_MODULES) break;
        this.missed.delete(oldest);
      }
    } else if (this.making === null) this.start(key, task, isolation);
    else this.missed.add(key);
  }

  private start(key: string, task: ChildTask, isolation: IsolationLevel): void {
    const child = this.modules.createChild(isolation);
    const done = this.make(key, createInstrumentTask(task), child).finally(() => {
      this.making = null;
    });
    this.making = { child, done };
  }

  /** Where the module is refused or the child fails nothing is kept: the task's own child finds out, and says it. */
  private async make(key: string, task: ChildTask, child: InstrumentingChild): Promise<void> {
    const { store, metrics } = this.modules;
    try {
      await child.start();
      const end = await child.run(task, DEAF, new AbortController().signal);
      const [output] = end.kind === 'result' ? end.outputs : [];
      const made = output === undefined ? null : decodeContent(output.bytes);
      if (made !== null) await store.put(key, made);
      metrics.instrumented.increment({ source: made === null ? 'failed' : 'child' });
    } catch {
      metrics.instrumented.increment({ source: 'failed' });
    } finally {
      await child.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { making } = this;
    await making?.child.close();
    await making?.done;
  }
}

function createInstrumentTask({ module, moduleKey, request }: ChildTask): ChildTask {
  return {
    module,
    moduleKey,
    inputs: [],
    pieces: null,
    wallTimeMs: INSTRUMENT_TIMEOUT_MS,
    onlyInstruments: true,
    request: {
      ...request,
      fuel: 0,
      outputBytes: module.length * MOST_GROWTH + MAX_DESCRIPTION_BYTES,
      logBytes: 0,
      arguments: [],
      environment: [],
      inputs: [],
      checkpoints: null,
      resume: null,
    },
  };
}
