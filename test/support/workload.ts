import type { JobPlan } from '../../src/cli/job-file/interface.ts';
import type { WasmWorkload, Workload } from '../../src/domain/job.ts';

/** A workload that a test made of a module. */
export function wasmOf(workload: Workload): WasmWorkload {
  if (workload.kind !== 'wasm') throw new TypeError(`a module was expected, found ${workload.kind}`);
  return workload;
}

/** What a plan of a module says of it. */
export function programOf(plan: JobPlan | undefined): Extract<JobPlan['workload'], { readonly kind: 'wasm' }> {
  if (plan?.workload.kind !== 'wasm') throw new TypeError('a plan of a module was expected');
  return plan.workload;
}

/** The seed that a plan of a module has. */
export function seedOf(plan: JobPlan | undefined): Uint8Array {
  return programOf(plan).seed;
}
