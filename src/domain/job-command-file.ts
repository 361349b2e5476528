/** The parts of a job file that commands have: a program in a read-only root file system (docs/job-spec.md). */
import { z } from 'zod';
import { egressHostTextSchema, MAX_EGRESS_HOSTS } from './egress.ts';
import { commandLimitsSchema, jobPathSchema } from './job.ts';
import {
  argumentsFileSchema,
  blobSourceSchema,
  environmentFileSchema,
  pathSourceSchema,
  sizeSchema,
} from './job-file-fields.ts';

/** Where a command finds its own folders; no input may lie there. */
export const COMMAND_FOLDERS = ['/output', '/tmp', '/proc', '/dev'] as const;

/** The program and its node speak to each other there (docs/training.md). */
const ROUNDS_RESERVED = ['/fogproof'] as const;

const MILLI = 1000;
const { cpus, processes, scratchBytes } = commandLimitsSchema.shape;
const boundsOf = (schema: typeof cpus): { minimum: number; maximum: number } => ({
  minimum: schema.minValue ?? 0,
  maximum: schema.maxValue ?? Number.MAX_SAFE_INTEGER,
});

/** Of containers too. */
export const commandLimitsFileSchema = z.strictObject({
  cpus: z
    .number()
    .min(boundsOf(cpus).minimum / MILLI)
    .max(boundsOf(cpus).maximum / MILLI)
    .default(1)
    .describe('Processors, such as 0.5 or 2: time of one is shared out to all its processes.'),
  processes: z
    .int()
    .min(boundsOf(processes).minimum)
    .max(boundsOf(processes).maximum)
    .default(64)
    .describe('Most processes and threads together.'),
  scratch: sizeSchema(boundsOf(scratchBytes))
    .prefault('64MiB')
    .describe('Most bytes in /tmp, and as much again in /dev/shm; they count as memory too.'),
});

export const commandWorkloadFileSchema = z.strictObject({
  kind: z.literal('command').describe('Kind of work: command, a program in a read-only root file system.'),
  root: z
    .union([z.literal('host'), pathSourceSchema, blobSourceSchema], {
      error: "expected a path, { blob, size } of a blob that the node already has, or 'host'",
    })
    .describe(
      'The root file system: path of a tar archive (.tar or .tar.gz), relative to this file; or host, the system folders of whichever provider runs it and allows that.',
    ),
  program: jobPathSchema.describe('Absolute path of the program in the root.'),
  arguments: argumentsFileSchema,
  environment: environmentFileSchema,
  limits: commandLimitsFileSchema
    .prefault({})
    .describe('What it may take besides resources: cpus, processes, scratch.'),
  network: z
    .strictObject({ hosts: z.array(egressHostTextSchema).min(1).max(MAX_EGRESS_HOSTS) })
    .optional()
    .describe(
      "Hosts that the program may connect to, such as { hosts: ['pypi.org:443'] }, by the provider's proxy (https_proxy) and where the provider allows them; without it there is no network.",
    ),
});

interface CommandFields {
  readonly workload: { readonly kind: string };
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly resources: { readonly fuel?: number | undefined };
  readonly checkpoints?: unknown;
  readonly comparisons?: unknown;
}

/** What a job file of a command, or of a container, may not have. */
export function findCommandProblems({ workload, inputs, resources, checkpoints, comparisons }: CommandFields) {
  const problems: { path: string[]; message: string }[] = [];
  if (workload.kind === 'wasm' || workload.kind === 'inference') return problems;
  const what = workload.kind === 'command' ? 'a command' : `a ${workload.kind}`;
  if (resources.fuel !== undefined) {
    problems.push({ path: ['resources', 'fuel'], message: `${what} has no fuel: wallTime and limits.cpus hold it` });
  }
  if (workload.kind === 'container') problems.push(...findContainerProblems({ checkpoints, comparisons }));
  else problems.push(...findRoundProblems({ checkpoints, comparisons }));
  const reserved = hasRounds(checkpoints) ? [...COMMAND_FOLDERS, ...ROUNDS_RESERVED] : COMMAND_FOLDERS;
  for (const path of Object.keys(inputs)) {
    const folder = reserved.find((each) => path === each || path.startsWith(`${each}/`));
    if (folder === undefined) continue;
    problems.push({ path: ['inputs', path], message: `${what} has its own ${folder}: put the input elsewhere` });
  }
  return problems;
}

/** The rounds of a container's program are not looked at yet. */
function findContainerProblems({ checkpoints, comparisons }: Pick<CommandFields, 'checkpoints' | 'comparisons'>) {
  const problems: { path: string[]; message: string }[] = [];
  if (checkpoints !== undefined && checkpoints !== 'none') {
    problems.push({ path: ['checkpoints'], message: 'a container makes no checkpoints in this version: remove it' });
  }
  if (comparisons !== undefined) {
    problems.push({ path: ['comparisons'], message: 'results of containers are compared byte for byte: remove it' });
  }
  return problems;
}

/** What a program that is no module may have of checkpoints: it has no steps and no fuel, but training rounds that it reports. */
export function findRoundProblems({ checkpoints, comparisons }: Pick<CommandFields, 'checkpoints' | 'comparisons'>) {
  const problems: { path: string[]; message: string }[] = [];
  if (typeof checkpoints === 'object' && checkpoints !== null && !hasRounds(checkpoints)) {
    const message =
      'a command has neither steps nor fuel: it reports training rounds, so use everyRounds, such as everyRounds: 1';
    problems.push({ path: ['checkpoints'], message });
  }
  if (comparisons !== undefined && !hasRounds(checkpoints)) {
    const message =
      'results of jobs without training rounds are compared byte for byte: remove it, or add checkpoints: { everyRounds: 1 }';
    problems.push({ path: ['comparisons'], message });
  }
  return problems;
}

function hasRounds(checkpoints: unknown): boolean {
  return (
    typeof checkpoints === 'object' &&
    checkpoints !== null &&
    'everyRounds' in checkpoints &&
    checkpoints.everyRounds !== undefined
  );
}
