import type { IsolationLevel } from '../../src/domain/capability.ts';
import type { ExecutionResult, Executor, StateCheckpoint } from '../../src/sandbox/interface.ts';
import { createTask, createTestExecutor, RecordingSink, type TaskParts } from './sandbox.ts';

export interface TierRun {
  readonly tier: string;
  readonly events: readonly string[];
  /** Each checkpoint with its state root, where the task has a schedule. */
  readonly states: readonly string[];
  /** What goes into the result that replicas compare. */
  readonly result: Pick<
    ExecutionResult,
    'outcome' | 'outputs' | 'fuel' | 'steps' | 'metricsHash' | 'instrumentedModuleDigest'
  >;
}

/** Flags of the children's engine, and what the node's environment says meanwhile. */
const TIERS: readonly { readonly tier: string; readonly flags: readonly string[]; readonly environment: object }[] = [
  { tier: 'as it comes', flags: [], environment: {} },
  {
    tier: 'Liftoff only',
    flags: ['--liftoff', '--no-wasm-tier-up'],
    environment: { TZ: 'Asia/Kolkata', LANG: 'de_DE.UTF-8' },
  },
  {
    tier: 'TurboFan only',
    flags: ['--no-liftoff'],
    environment: { TZ: 'America/St_Johns', LC_ALL: 'tr_TR.UTF-8', NODE_OPTIONS: '--stack-size=500', HOME: '/nowhere' },
  },
];

/** Executors whose children are held to one compiler tier each. */
export class Tiers implements AsyncDisposable {
  private readonly executors = new Map<string, Executor>();

  /** Runs a task once under each tier, each time with another environment of the node. */
  async run(isolation: IsolationLevel, parts: Omit<TaskParts, 'isolation'>): Promise<readonly TierRun[]> {
    const runs: TierRun[] = [];
    for (const { tier, flags, environment } of TIERS) {
      const before = { ...process.env };
      Object.assign(process.env, environment);
      try {
        const sink = new RecordingSink();
        const executor = await this.executorOf(tier, flags);
        const {
          report: _report,
          usage: _usage,
          ...result
        } = await executor.execute(createTask({ isolation, ...parts }), sink, {});
        runs.push({ tier, events: sink.events, states: sink.checkpoints.map(describeCheckpoint), result });
      } finally {
        for (const name of Object.keys(environment)) {
          if (before[name] === undefined) delete process.env[name];
          else process.env[name] = before[name];
        }
      }
    }
    return runs;
  }

  private async executorOf(tier: string, engineFlags: readonly string[]): Promise<Executor> {
    const executor = this.executors.get(tier) ?? (await createTestExecutor({ engineFlags }));
    this.executors.set(tier, executor);
    return executor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.executors.values()].map((executor) => executor[Symbol.asyncDispose]()));
  }
}

function describeCheckpoint({ place, step, fuel, ordinal, stateRoot, metricsHash }: StateCheckpoint): string {
  const hashes = [stateRoot, metricsHash].map((bytes) => Buffer.from(bytes).toString('hex'));
  return [place, step, fuel, ordinal, ...hashes].join(' ');
}
