import type { GpuRequest } from '../../src/domain/gpu.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { GpuPlan, GpuSource, GpuUnit } from '../../src/sandbox/gpu/interface.ts';
import { listUnits } from '../../src/sandbox/gpu/list-units.ts';
import { parseSmi } from '../../src/sandbox/gpu/parse-smi.ts';
import { type Behaviour, ScriptedExecutor } from './provider-executor.ts';
import type { TestRequester } from './provider-rig.ts';
import { h100, renderSmiLog, type SmiGpu } from './smi-log.ts';

export const ANY_GPU: GpuRequest = { count: 1, minMemoryBytes: 0, models: [], mig: null };

/** GPUs of a host that a test changes; each is listed as nvidia-smi would. */
export class ScriptedGpus implements GpuSource {
  gpus: readonly SmiGpu[];
  looks = 0;
  #units: readonly GpuUnit[] = [];

  constructor(count: number) {
    this.gpus = Array.from({ length: count }, (_, index) => h100(index));
  }

  get units(): readonly GpuUnit[] {
    return this.#units;
  }

  /** Somebody else's process comes to a GPU, or goes. */
  use(index: number, isUsed: boolean): void {
    this.gpus = this.gpus.map((gpu, at) => (at === index ? h100(at, { processes: isUsed ? [{ pid: 99 }] : [] }) : gpu));
  }

  async refresh(): Promise<void> {
    this.looks += 1;
    const reading = parseSmi(renderSmiLog({ gpus: this.gpus }));
    if (reading.kind === 'garbled') throw new TypeError(reading.reason);
    const answered = { tool: 'answered', reason: null, confidential: null, untold: [] } as const;
    const snapshot = { source: 'nvidia-smi', ...answered, ...reading.snapshot } as const;
    this.#units = listUnits(snapshot, { sharedWithDesktop: false, only: [] });
  }

  async plan(units: readonly GpuUnit[]): Promise<GpuPlan> {
    const empty = { nodes: [], libraries: [], programs: [], files: [], environment: {}, proc: null, remarks: [] };
    const grants = units.map(({ uuid, model, memoryBytes, mig }) => ({ uuid, model, memoryBytes, mig }));
    return { grants, source: 'scripted', ...empty };
  }
}

/** Says how commands with GPUs go. */
export class ScriptedGpuExecutor extends ScriptedExecutor {
  override readonly kind = 'command';
  readonly lendsGpus = true;

  constructor(behaviour?: Behaviour) {
    super(['bubblewrap'], behaviour);
  }

  /** UUIDs that programs have which have not ended. */
  readonly given = new Map<object, readonly string[]>();
}

export async function signGpuJob(
  requester: TestRequester,
  request: GpuRequest | undefined = ANY_GPU,
  change: Partial<Job> = {},
): Promise<readonly Signed<Job>[]> {
  const plain = requester.describeJob();
  return await requester.signJobs({
    ...plain,
    isolation: 'bubblewrap',
    capabilityClass: 'gpu-consumer',
    workload: {
      kind: 'command',
      root: { kind: 'host' },
      program: '/bin/true',
      arguments: [],
      environment: {},
      limits: { cpus: 1000, processes: 8, scratchBytes: 4096 },
    },
    resources: { ...plain.resources, fuel: null, ...(request === undefined ? {} : { gpus: request }) },
    ...change,
  });
}
