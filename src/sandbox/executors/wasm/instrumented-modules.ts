import type { IsolationLevel } from '../../../domain/capability.ts';
import { INSTRUMENTER } from '../../../wasm/constants.ts';
import type { InstrumentedModule } from '../../../wasm/instrument/instrument.ts';
import { isSteppingAbi } from '../../../wasm/runtime/prepare-program.ts';
import { INSTRUMENT_TIMEOUT_MS, MIN_CACHED_MODULE_BYTES } from '../../constants.ts';
import { computeCacheKey } from '../../instrumented-cache/cache-key.ts';
import { decodeContent } from '../../instrumented-cache/entry-codec.ts';
import type { ExecutionSink } from '../../interface.ts';
import type { SandboxMetrics } from '../../metrics.ts';
import { encodeContent } from '../../protocol/instrumented-content.ts';
import type { ChildTask, SandboxChild } from './sandbox-child.ts';

/** Where instrumented modules are kept between children; `instrumented-cache/instrumented-cache.ts` is one. */
export interface InstrumentedStore {
  get(key: string): Promise<InstrumentedModule | null>;
  put(key: string, module: InstrumentedModule): Promise<unknown>;
}

export interface InstrumentedModulesModules {
  readonly store: InstrumentedStore;
  readonly metrics: SandboxMetrics;
  readonly createChild: (isolation: IsolationLevel) => SandboxChild;
}

const NOTHING = new Uint8Array(0);
/** Much more than the instrumenter makes of a module at worst, and a bound on what a child may answer. */
const MOST_GROWTH = 8;
const SPARE_BYTES = 16 * 1024 * 1024;
/** What a child tells while it only instruments is not a program's: there is nothing to tell. */
const DEAF: ExecutionSink = {
  log: () => {},
  metric: () => {},
  progress: () => {},
  checkpoint: () => Promise.reject(new TypeError('nothing runs')),
};

/**
 * Large modules are instrumented once a node and not once a child. A stranger's module is never parsed in the node itself:
 * a sandboxed child is started for it, does nothing else, and ends. Children that run programs only take from the store,
 * through their parent, so none can put something there for another requester; what a hostile module might make of the
 * child that instruments it is kept under the hash of that module alone.
 */
export class InstrumentedModules {
  private readonly modules: InstrumentedModulesModules;
  /** One child for each module that several tasks wait for. */
  private readonly making = new Map<string, Promise<InstrumentedModule | null>>();

  constructor(modules: InstrumentedModulesModules) {
    this.modules = modules;
  }

  /** The task with its module as instrumented before; as it is where that does not pay or cannot be had. */
  async replaceModule(
    task: ChildTask,
    child: Pick<SandboxChild, 'holds'>,
    options: { readonly isolation: IsolationLevel; readonly signal: AbortSignal },
  ): Promise<ChildTask> {
    const { module, request, moduleKey } = task;
    if (module.length < MIN_CACHED_MODULE_BYTES || child.holds(moduleKey)) return task;
    const isStepping = isSteppingAbi(request.abi);
    const source = { sha256: request.digest, instrumenter: INSTRUMENTER };
    const key = computeCacheKey({ ...source, options: { maxPages: request.maxPages, isStepping } });
    const replaced = { ...task, moduleKey: key, isInstrumented: true, module: NOTHING };
    const asInstrumented = { ...replaced, request: { ...request, digest: Buffer.from(key, 'hex') } };
    if (child.holds(key)) return asInstrumented;
    const found = (await this.take(key)) ?? (await this.make(key, task, options));
    if (found === null) return task;
    return { ...asInstrumented, module: encodeContent(found) };
  }

  private async take(key: string): Promise<InstrumentedModule | null> {
    const found = await this.modules.store.get(key);
    if (found !== null) this.modules.metrics.instrumented.increment({ source: 'cache' });
    return found;
  }

  private make(
    key: string,
    task: ChildTask,
    options: { readonly isolation: IsolationLevel; readonly signal: AbortSignal },
  ): Promise<InstrumentedModule | null> {
    const known = this.making.get(key);
    if (known !== undefined) return known;
    const making = this.makeInChild(key, task, options).finally(() => this.making.delete(key));
    this.making.set(key, making);
    return making;
  }

  /** Null where the module is refused or the child fails: the task's own child finds out, and says it. */
  private async makeInChild(
    key: string,
    task: ChildTask,
    { isolation, signal }: { readonly isolation: IsolationLevel; readonly signal: AbortSignal },
  ): Promise<InstrumentedModule | null> {
    const child = this.modules.createChild(isolation);
    try {
      await child.start();
      const end = await child.run(createInstrumentTask(task), DEAF, signal);
      const [output] = end.kind === 'result' ? end.outputs : [];
      const made = output === undefined ? null : decodeContent(output.bytes);
      this.modules.metrics.instrumented.increment({ source: made === null ? 'none' : 'child' });
      if (made !== null) await this.modules.store.put(key, made);
      return made;
    } catch {
      return null;
    } finally {
      await child.close();
    }
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
      outputBytes: module.length * MOST_GROWTH + SPARE_BYTES,
      logBytes: 0,
      arguments: [],
      environment: [],
      inputs: [],
      checkpoints: null,
      resume: null,
    },
  };
}
