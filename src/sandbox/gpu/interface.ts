/**
 * gpu owns what is known of this host's NVIDIA GPUs: which there are, what is wrong with them, which are free, and what
 * a sandbox is given so that a program sees those leased to it and no other (docs/gpu.md). It does not own who is leased
 * what: `scheduler/provider/gpus` recomputes that from what lives, and asks here for what is there.
 */
import type { GrantedGpu } from '../../domain/gpu.ts';
import type { AbortOptions } from '../../lib/abort.ts';

/** A process that the driver lists on a GPU. */
export interface GpuProcess {
  readonly pid: number;
  /** Whether it computes, or only draws. */
  readonly isCompute: boolean;
  /** The slice that it is on; null: the whole GPU, or the driver does not say. */
  readonly gpuInstance: number | null;
}

/** A slice of a GPU (MIG): a compute instance in a GPU instance. */
export interface GpuSlice {
  readonly gpuInstance: number;
  readonly computeInstance: number;
  /** Null where the driver's list did not name it. */
  readonly uuid: string | null;
  readonly profile: string | null;
  readonly memoryBytes: number | null;
  readonly usedBytes: number | null;
}

/** One GPU. What the source cannot tell is null. */
export interface GpuDevice {
  readonly uuid: string;
  readonly model: string;
  /** PCI address as sysfs writes it: `0000:1b:00.0`. */
  readonly bus: string;
  /** Of /dev/nvidiaN. */
  readonly minor: number | null;
  readonly memoryBytes: number | null;
  readonly usedBytes: number | null;
  /** Share of the last sample period in which it computed, 0 to 1. */
  readonly utilisation: number | null;
  readonly computeMode: 'default' | 'exclusive' | 'prohibited' | null;
  readonly hasEcc: boolean | null;
  /** Errors since the last load of the driver that ECC could not correct. */
  readonly uncorrectedErrors: number | null;
  readonly isPersistent: boolean | null;
  /** `pending`: it changes with the next reset. Null: it has none, or the source does not say. */
  readonly mig: 'on' | 'off' | 'pending' | null;
  readonly slices: readonly GpuSlice[];
  readonly processes: readonly GpuProcess[] | null;
  /** Fields that the driver answers with an error, such as `uuid: ERR!`. */
  readonly faults: readonly string[];
}

/** All that was found at one moment. */
export interface GpuSnapshot {
  /** `driver-files`: /proc/driver/nvidia and sysfs, where nvidia-smi is missing or fails. */
  readonly source: 'nvidia-smi' | 'driver-files' | 'none';
  /** What became of nvidia-smi. */
  readonly tool: 'answered' | 'absent' | 'failed' | 'hung' | 'garbled';
  /** Why it did not answer; null if it did, or there is none. */
  readonly reason: string | null;
  /** Of the driver as its tool names it; null if nothing says. */
  readonly driver: string | null;
  /** Newest CUDA that the driver serves. */
  readonly cuda: string | null;
  /** Confidential-computing mode; null where the driver has none. */
  readonly confidential: 'on' | 'off' | 'devtools' | null;
  readonly devices: readonly GpuDevice[];
  /** What this source cannot tell. */
  readonly untold: readonly string[];
}

/** A whole GPU, or a slice of one: what can be leased. */
export interface GpuUnit extends GrantedGpu {
  /** The GPU that it is, or is a slice of. */
  readonly device: GpuDevice;
  readonly slice: GpuSlice | null;
  /** Why it cannot be leased now, other than that it is leased; null: it can. */
  readonly obstacle: string | null;
}

/** A device node that a program is given. */
export interface GpuNode {
  /** On this host. */
  readonly hostPath: string;
  /** As the program sees it. */
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

/** A file or folder of the host, bound read-only. */
export interface GpuMount {
  readonly hostPath: string;
  readonly path: string;
  /** Names beside it under which a loader looks for it, such as `libcuda.so.1`. */
  readonly aliases: readonly string[];
}

/**
 * What a sandbox has to contain for the leased GPUs, and nothing else of them. An executor binds nodes read-write and
 * mounts read-only, `nosuid` and without following anything in them; variables of the job win, but for LD_LIBRARY_PATH.
 */
export interface GpuPlan {
  readonly grants: readonly GrantedGpu[];
  /** Where it comes from: the path of a CDI spec, or `device nodes`. */
  readonly source: string;
  readonly nodes: readonly GpuNode[];
  readonly libraries: readonly GpuMount[];
  /** Programs of the driver, such as nvidia-smi. */
  readonly programs: readonly GpuMount[];
  /** Whatever else a CDI spec mounts: firmware, configuration. */
  readonly files: readonly GpuMount[];
  readonly environment: Readonly<Record<string, string>>;
  /** The driver's own folder in /proc with the parts that may be seen; null where the host has none. */
  readonly proc: { readonly folder: string; readonly visible: readonly string[] } | null;
  /** What was left out, and why: hooks of CDI specs, sockets. */
  readonly remarks: readonly string[];
}

/** What the scheduler asks of GPUs. */
export interface GpuSource {
  /** Of the last look; empty before the first. */
  readonly units: readonly GpuUnit[];
  /** Looks again if the last look is older than this, ms. Never rejects, and never waits for a driver that hangs. */
  refresh(maxAgeMs: number, options?: AbortOptions): Promise<void>;
  /** What a sandbox is given. @throws SandboxError SANDBOX_GPU_UNAVAILABLE, SANDBOX_GPU_DRIVER_MISMATCH, SANDBOX_GPU_CDI_REFUSED */
  plan(units: readonly GpuUnit[], options?: AbortOptions): Promise<GpuPlan>;
}
