import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import type { NodeConfig } from '../config/schema.ts';
import { CAPABILITY_CLASSES, type CapabilityClass, type TeeKind } from '../domain/capability.ts';
import { findGpuClass, findGpuModelKey } from '../domain/gpu.ts';
import type { NodeRecord } from '../domain/node-record.ts';
import type { NodeRecordContent } from '../network/interface.ts';
import type { GpuSnapshot } from '../sandbox/gpu/interface.ts';
import type { Executor } from '../sandbox/interface.ts';

export interface HostFacts {
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly gpus: NodeRecord['claims']['gpus'];
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

/** GPUs as a record tells of them: those of which the driver says how much memory they have. */
export function claimGpus({ driver, devices }: GpuSnapshot): NodeRecord['claims']['gpus'] {
  return devices.flatMap(({ model, memoryBytes, faults }) =>
    memoryBytes === null || faults.length > 0 ? [] : [{ model, memoryBytes, driver: driver ?? 'unknown' }],
  );
}

/**
 * What this node says of itself; all of it is `declared`. Executors are told at the isolation levels that were tried and
 * work. GPUs are told of as hardware; their classes are offered where they are lent and an executor can give them to a job.
 */
export function composeRecord(
  config: Pick<NodeConfig, 'provide' | 'region'>,
  host: HostFacts,
  { executors, teeKind }: OfferedParts,
): NodeRecordContent {
  const working = config.provide.enabled ? executors.filter(({ isolation }) => isolation.length > 0) : [];
  const lends = config.provide.gpus.enabled && working.some(({ lendsGpus }) => lendsGpus === true);
  const classes = new Set<CapabilityClass>(['cpu', ...(lends ? listGpuClasses(host.gpus) : [])]);
  if (teeKind !== null) classes.add('tee');
  const capabilities = working.length === 0 ? [] : CAPABILITY_CLASSES.filter((each) => classes.has(each));
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

/** A GPU of datacentres serves jobs of both classes. */
function listGpuClasses(gpus: HostFacts['gpus']): readonly CapabilityClass[] {
  const found = gpus.map(({ model }) => findGpuClass(findGpuModelKey(model)));
  return found.includes('gpu-datacentre') ? ['gpu-consumer', 'gpu-datacentre'] : found;
}
