import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AbortOptions } from '../../lib/abort.ts';

export interface DetectedGpu {
  readonly model: string;
  readonly memoryBytes: number;
  readonly driver: string;
}

const MEBIBYTE = 2 ** 20;
/** nvidia-smi on a box with a hung driver can block for minutes; a node must start without it. */
const NVIDIA_SMI_TIMEOUT_MS = 5_000;
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * Parses the lines of `nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits`
 * (memory in MiB). Lines of another form are left out: a claim about a GPU is made only if it was understood.
 */
export function parseNvidiaSmi(output: string): DetectedGpu[] {
  return output.split('\n').flatMap((line) => {
    const fields = line.split(',').map((field) => field.trim());
    const [model, memoryMebibytes, driver] = fields;
    if (fields.length !== 3 || model === undefined || driver === undefined || memoryMebibytes === undefined) return [];
    if (model === '' || driver === '' || !/^[0-9]{1,9}$/.test(memoryMebibytes)) return [];
    return [
      {
        model: model.slice(0, 100),
        memoryBytes: Number(memoryMebibytes) * MEBIBYTE,
        driver: driver.slice(0, 40),
      },
    ];
  });
}

/** The NVIDIA GPUs that the driver's own tool lists; empty where there is no such tool or it fails. */
export async function detectGpus(options: AbortOptions = {}): Promise<readonly DetectedGpu[]> {
  try {
    const { stdout } = await promisify(execFile)(
      'nvidia-smi',
      ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader,nounits'],
      { timeout: NVIDIA_SMI_TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, ...options },
    );
    return parseNvidiaSmi(stdout);
  } catch {
    options.signal?.throwIfAborted();
    return [];
  }
}
