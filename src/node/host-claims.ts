import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import type { NodeConfig } from '../config/schema.ts';
import type { CapabilityClass, TeeKind } from '../domain/capability.ts';
import type { NodeRecordContent } from '../network/interface.ts';
import type { DetectedGpu } from '../sandbox/gpu/nvidia-smi.ts';
import type { Executor } from '../sandbox/interface.ts';

export interface HostFacts {
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly gpus: readonly DetectedGpu[];
}

/** What jobs run in. */
export interface OfferedParts {
  readonly executors: readonly Executor[];
  /** Of which it shows evidence; null: none. */
  readonly teeKind: TeeKind | null;
}

/** Cores and memory of this machine, and the space left where the data folder is. */
export async function readHostFacts(home: string): Promise<Omit<HostFacts, 'gpus'>> {
  const { bavail, bsize } = await statfs(home);
  return { cpuCores: availableParallelism(), memoryBytes: totalmem(), diskBytes: bavail * bsize };
}

/**
 * What this node says of itself; all of it is `declared`. GPUs that the driver lists are told as hardware, but the only
 * classes it offers to serve are `cpu`, and `tee` where it can show evidence, until an executor can lend a GPU to a job. Executors are told at the isolation
 * levels that were tried and work.
 */
export function composeRecord(
  config: Pick<NodeConfig, 'provide' | 'region'>,
  host: HostFacts,
  { executors, teeKind }: OfferedParts,
): NodeRecordContent {
  const working = config.provide.enabled ? executors.filter(({ isolation }) => isolation.length > 0) : [];
  const classes: readonly CapabilityClass[] = teeKind === null ? ['cpu'] : ['cpu', 'tee'];
  const capabilities = working.length === 0 ? [] : classes;
  return {
    role: { provides: working.length > 0, requests: true },
    claims: { claimClass: 'declared', region: config.region, ...host, gpus: host.gpus.slice(0, 32) },
    capabilities: [...capabilities],
    executors: working.map(({ kind, isolation, instrumenter }) => ({
      kind,
      isolation: [...isolation],
      instrumenter,
      slots: config.provide.slots,
    })),
    pricesPerHour: capabilities.map((capabilityClass) => ({
      capabilityClass,
      price: config.provide.pricesPerHour[capabilityClass],
    })),
  };
}
