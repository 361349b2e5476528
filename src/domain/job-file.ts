/**
 * A job as a person writes it, in YAML or JSON. `schema/job.schema.json` is generated from this, and the descriptions
 * here are the hints of `job validate`.
 */
import { z } from 'zod';
import { COUNT_PATTERN, parseCount } from '../lib/quantity.ts';
import { capabilityClassSchema, isolationLevelSchema } from './capability.ts';
import { decimalSchema } from './ids.ts';
import {
  comparisonSchema,
  jobPathSchema,
  MAX_JOB_INPUTS,
  MAX_REPLICAS,
  prioritySchema,
  replicationSchema,
} from './job.ts';
import { batchSectionSchema, TEMPLATE_SEED_PATTERN } from './job-batch-file.ts';
import { commandWorkloadFileSchema, findCommandProblems } from './job-command-file.ts';
import { confidentialFileSchema, findConfidentialProblems } from './job-confidential-file.ts';
import { containerWorkloadFileSchema } from './job-container-file.ts';
import {
  argumentsFileSchema,
  boundsOf,
  countSchema,
  durationSchema,
  environmentFileSchema,
  fileSourceSchema,
  inputSourceSchema,
  quantitySchema,
  sizeSchema,
} from './job-file-fields.ts';
import { findGpuProblems, gpusFileSchema } from './job-gpu-file.ts';
import { findInferenceProblems, inferenceWorkloadFileSchema } from './job-inference-file.ts';

export type { InputSource } from './job-file-fields.ts';

/** Largest job file in bytes: inputs are named in it, never held. */
export const MAX_JOB_FILE_BYTES = 256 * 1024;

/** 32 bytes in hex. */
export const SEED_PATTERN = /^[0-9a-f]{64}$/;

const wasmWorkloadFileSchema = z.strictObject({
  kind: z.literal('wasm').describe('Kind of work: wasm, a WebAssembly module.'),
  module: fileSourceSchema.describe('Path of the module (.wasm), relative to this file.'),
  abi: z
    .enum(['wasi', 'fogproof'])
    .describe(
      'How the module is called: wasi (a WASI preview 1 command with _start) or fogproof (fogproof_init and fogproof_step).',
    ),
  arguments: argumentsFileSchema,
  environment: environmentFileSchema,
  seed: z
    .union([z.int().min(0), z.string().regex(SEED_PATTERN), z.string().regex(TEMPLATE_SEED_PATTERN)], {
      error: 'expected a whole number or 64 hex digits',
    })
    .optional()
    .describe(
      'Seed of the random numbers of the job: a whole number, or 64 lower-case hex digits in quotes. Random for each submit if absent. In a batch also such as "${index}".',
    ),
});

const RESOURCE_DEFAULTS = { memory: '256MiB', wallTime: '5m', output: '64MiB', logs: '1MiB' };
const DEFAULT_FUEL_TEXT = '10G';
/** Of a job that counts fuel and names no limit. */
export const DEFAULT_FUEL = 10_000_000_000;

const resourcesFileSchema = z.strictObject({
  memory: sizeSchema(boundsOf('memoryBytes'))
    .prefault(RESOURCE_DEFAULTS.memory)
    .describe('Most memory: bytes, or a number with KiB, MiB, GiB (or KB, MB, GB).'),
  fuel: countSchema
    .optional()
    .describe(
      `Most instructions: a whole number such as 2000000000, 2e9 or 2G (k, M, G, T). Absent: ${DEFAULT_FUEL_TEXT}; only wasm has any.`,
    ),
  wallTime: durationSchema(boundsOf('wallTimeMs').minimum, boundsOf('wallTimeMs').maximum)
    .prefault(RESOURCE_DEFAULTS.wallTime)
    .describe('Longest run of one attempt: a number with ms, s, m, h or d, such as 30s or 1h30m.'),
  output: sizeSchema(boundsOf('outputBytes'))
    .prefault(RESOURCE_DEFAULTS.output)
    .describe('Most output in all: bytes, or a number with KiB, MiB, GiB (or KB, MB, GB).'),
  logs: sizeSchema(boundsOf('logBytes'))
    .prefault(RESOURCE_DEFAULTS.logs)
    .describe('Most log text: bytes, or a number with KiB, MiB, GiB (or KB, MB, GB).'),
  gpus: gpusFileSchema,
});

/** A PeerId of an Ed25519 key in base58btc, by its form alone: whether it is a key is checked where it is used. */
const PEER_PATTERN = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;

const EVERY = {
  everyFuel: 'At the first step boundary after every so many instructions: a count such as 1G.',
  everySteps: 'After every so many steps: a whole number.',
  everyRounds:
    'After every so many training rounds that the program reports (a command, or a module of abi wasi): a whole number.',
};

const checkpointsFileSchema = z
  .strictObject({
    everyFuel: quantitySchema({
      noun: 'a count such as 1G',
      pattern: COUNT_PATTERN,
      parse: parseCount,
      format: String,
      minimum: 1_000_000,
      maximum: Number.MAX_SAFE_INTEGER,
      plainNumbers: 'accept',
    })
      .optional()
      .describe(EVERY.everyFuel),
    everySteps: z.int().min(1).optional().describe(EVERY.everySteps),
    everyRounds: z.int().min(1).optional().describe(EVERY.everyRounds),
    holder: z
      .string()
      .regex(PEER_PATTERN, 'expected a peer id, such as 12D3KooW…')
      .optional()
      .describe('Peer id of the node that is given each snapshot of the state; absent: the node that submits.'),
    sealed: z
      .boolean()
      .optional()
      .describe(
        'true: snapshots are encrypted with a key that only you and the providers have. Absent: true for private jobs.',
      ),
  })
  .refine(
    ({ everyFuel, everySteps, everyRounds }) =>
      [everyFuel, everySteps, everyRounds].filter((every) => every !== undefined).length <= 1,
    'everyFuel, everySteps and everyRounds exclude each other',
  );

const comparisonFileSchema = z.strictObject({
  path: jobPathSchema.describe('Path of the output file.'),
  element: comparisonSchema.shape.element.describe(
    'f32 or f64: little-endian arrays; text: decimal numbers; npy: arrays of NumPy, such as those of a model.',
  ),
  absolute: comparisonSchema.shape.absolute
    .default('0')
    .describe(
      "Allowed difference: |a - b| <= absolute + relative * max(|a|, |b|); a decimal in quotes, such as '1e-6'.",
    ),
  relative: comparisonSchema.shape.relative
    .default('0')
    .describe("Allowed relative difference: a decimal in quotes, such as '0.001'."),
});

export const jobFileSchema = z
  .strictObject({
    $schema: z.string().optional().describe('Address of this schema, for editors; it has no other effect.'),
    name: z.string().min(1).max(100).describe('Name of the job, for people: 1 to 100 characters.'),
    workload: z
      .discriminatedUnion(
        'kind',
        [wasmWorkloadFileSchema, commandWorkloadFileSchema, containerWorkloadFileSchema, inferenceWorkloadFileSchema],
        { error: 'expected a map with kind: wasm, kind: command, kind: container or kind: inference' },
      )
      .describe(
        'What runs. kind: wasm with module, abi and, if wanted, arguments, environment and seed; kind: command with root, program and, if wanted, arguments, environment, limits and network; kind: container with image and, if wanted, reference, digest, entrypoint, arguments, environment, workingFolder and limits; kind: inference with model and, if wanted, threads, optimization, deterministic, batching and caching.',
      ),
    inputs: z
      .record(jobPathSchema, inputSourceSchema)
      .refine((inputs) => Object.keys(inputs).length <= MAX_JOB_INPUTS, `at most ${MAX_JOB_INPUTS} inputs`)
      .default({})
      .describe(
        'Input files: absolute path in the job to a file or folder here, such as /data.csv: ./data.csv (relative to this file).',
      ),
    resources: resourcesFileSchema
      .prefault({})
      .describe('Hard limits of one attempt: memory, fuel, wallTime, output, logs; and gpus, if it needs any.'),
    replicas: z
      .int()
      .min(1)
      .max(MAX_REPLICAS)
      .default(1)
      .describe(`Providers that each run the whole job: a whole number from 1 to ${MAX_REPLICAS}.`),
    quorum: z
      .int()
      .min(1)
      .max(MAX_REPLICAS)
      .optional()
      .describe('Equal results needed to accept: more than half of the replicas (the default is the least that is).'),
    diversity: replicationSchema.shape.diversity
      .default('peer')
      .describe('Rule for choosing replicas: peer (no two replicas share a peer identity).'),
    isolation: isolationLevelSchema
      .default('process')
      .describe(
        'Weakest isolation that you accept: process or bubblewrap. A provider may demand more; commands, containers and models have bubblewrap always.',
      ),
    capabilityClass: capabilityClassSchema
      .optional()
      .describe(
        'What the provider must have: cpu, gpu-consumer, gpu-datacentre or tee. Absent: tee for confidential jobs, else what resources.gpus needs, else cpu.',
      ),
    checkpoints: z
      .union([z.literal('none'), checkpointsFileSchema], {
        error: "expected a map such as { everyFuel: 1G }, or 'none'",
      })
      .optional()
      .describe(
        'When the whole state is committed to, so that the job can be paused, moved to another provider and replayed: everyFuel, everySteps or everyRounds, holder, sealed; or none. Absent: with the abi fogproof everyFuel 1G for each 64 MiB of memory where the job may use more fuel than that, else none.',
      ),
    comparisons: z
      .array(comparisonFileSchema)
      .min(1)
      .max(MAX_JOB_INPUTS)
      .optional()
      .describe(
        'Output files that replicas may give with small differences (only with everyRounds, and of models): a list of path, element, absolute, relative. Others have to be equal byte for byte.',
      ),
    deadline: durationSchema(1, 365 * 86_400_000)
      .prefault('1h')
      .describe('When it must be done, counted from submit: a number with ms, s, m, h or d, such as 10m.'),
    retries: z
      .int()
      .min(0)
      .max(32)
      .default(3)
      .describe('Other providers tried when one fails: a whole number from 0 to 32.'),
    priceCeiling: z
      .union([z.int().min(0).transform(String), decimalSchema], { error: 'expected a whole number in base units' })
      .prefault('0')
      .describe(
        'Most that one attempt may cost, in base units of the token: a whole number (in quotes beyond 2^53); 0 is unpaid.',
      ),
    priority: prioritySchema
      .default('normal')
      .describe('How urgent, in the queues of providers and in the price: low, normal, high or critical.'),
    private: z
      .boolean()
      .default(false)
      .describe(
        'true: inputs and outputs are encrypted on the disks of this node and of the providers, and handed to nobody else.',
      ),
    confidential: confidentialFileSchema
      .optional()
      .describe(
        'Inputs and outputs are sealed, and only a provider gets the key whose hardware shows evidence that the policy accepts: policy. The module, arguments and environment stay readable.',
      ),
    batch: batchSectionSchema
      .optional()
      .describe(
        'Makes many jobs of this file: count, each or from. Variables are filled in as ${name} in name, module, arguments, environment, seed and paths of inputs.',
      ),
  })
  .refine(({ replicas, quorum }) => !isWhole(replicas) || !isWhole(quorum) || isPossibleQuorum(replicas, quorum), {
    // Checked also when other fields are wrong, so that a person sees all problems at once.
    when: ({ value }) => typeof value === 'object' && value !== null,
    path: ['quorum'],
    error: 'a quorum is more than half of the replicas and at most all of them',
  })
  .superRefine((value, context) => {
    const seed = value.workload.kind === 'wasm' ? value.workload.seed : undefined;
    if (value.batch === undefined && typeof seed === 'string' && !SEED_PATTERN.test(seed)) {
      const message = 'expected a whole number or 64 hex digits: only a batch has variables';
      context.issues.push({ code: 'custom', input: seed, path: ['workload', 'seed'], message });
    }
    for (const problem of [
      ...findCheckpointProblems(value),
      ...findConfidentialProblems(value),
      ...findCommandProblems(value),
      ...findGpuProblems(value),
      ...findInferenceProblems(value),
    ]) {
      context.issues.push({ code: 'custom', input: value, path: problem.path, message: problem.message });
    }
  });

interface CheckpointFields {
  readonly workload:
    | { readonly kind: 'wasm'; readonly abi: string }
    | { readonly kind: 'command' | 'container' | 'inference' };
  readonly checkpoints?: z.output<typeof checkpointsFileSchema> | 'none' | undefined;
  readonly comparisons?: readonly unknown[] | undefined;
}

/** Which schedules go with which ABI (docs/stepping.md sections 2 and 7). */
function findCheckpointProblems({ workload, checkpoints, comparisons }: CheckpointFields) {
  if (workload.kind !== 'wasm') return [];
  const problems: { path: string[]; message: string }[] = [];
  const rounds = typeof checkpoints === 'object' ? checkpoints.everyRounds : undefined;
  if (workload.abi === 'fogproof' && rounds !== undefined) {
    const message = 'a stepping module has steps, not rounds: use everySteps or everyFuel';
    problems.push({ path: ['checkpoints', 'everyRounds'], message });
  }
  if (workload.abi === 'wasi' && typeof checkpoints === 'object' && rounds === undefined) {
    const message = 'a wasi program has no steps: it reports training rounds, so use everyRounds';
    problems.push({ path: ['checkpoints'], message });
  }
  if (comparisons !== undefined && rounds === undefined) {
    const message = 'results of jobs without training rounds are compared byte for byte: remove it';
    problems.push({ path: ['comparisons'], message });
  }
  return problems;
}

export type JobFile = z.output<typeof jobFileSchema>;

/** The least number of replicas that is more than half of them. */
export function leastQuorum(replicas: number): number {
  return Math.floor(replicas / 2) + 1;
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value);
}

function isPossibleQuorum(replicas: number, quorum: number): boolean {
  return quorum >= leastQuorum(replicas) && quorum <= replicas;
}
