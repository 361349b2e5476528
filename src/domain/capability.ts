import { z } from 'zod';

/** The closed list of capability classes, narrowest last; a job is announced on the narrowest that it needs. */
export const CAPABILITY_CLASSES = ['cpu', 'gpu-consumer', 'gpu-datacentre', 'tee'] as const;
export type CapabilityClass = (typeof CAPABILITY_CLASSES)[number];
export const capabilityClassSchema = z.enum(CAPABILITY_CLASSES);

/**
 * Trusted execution environments that a node may run in and can show evidence of. `simulated` is for tests: a key of the
 * network stands in for the hardware, and networks of the production preset have none.
 */
export const TEE_KINDS = ['sev-snp', 'tdx', 'sgx', 'simulated'] as const;
export type TeeKind = (typeof TEE_KINDS)[number];
export const teeKindSchema = z.enum(TEE_KINDS);

/** Kinds of work that a node can offer: a WebAssembly module, a program in a read-only root file system, an OCI image, or an ONNX model. */
export const EXECUTOR_KINDS = ['wasm', 'command', 'container', 'inference'] as const;
export type ExecutorKind = (typeof EXECUTOR_KINDS)[number];
export const executorKindSchema = z.enum(EXECUTOR_KINDS);

/**
 * Isolation of a job, weakest first. `process`, of `wasm` alone: WebAssembly's own bounds, Node's permission model and resource
 * limits; no boundary against an engine exploit. `bubblewrap`: namespaces, seccomp and cgroup around that.
 */
export const ISOLATION_LEVELS = ['process', 'bubblewrap'] as const;
export type IsolationLevel = (typeof ISOLATION_LEVELS)[number];
export const isolationLevelSchema = z.enum(ISOLATION_LEVELS);

/** True if `offered` is at least as strong as `required`. */
export function satisfiesIsolation(offered: IsolationLevel, required: IsolationLevel): boolean {
  return ISOLATION_LEVELS.indexOf(offered) >= ISOLATION_LEVELS.indexOf(required);
}
