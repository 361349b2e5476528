import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { MAX_BATCH_JOBS } from '../../../domain/job-batch.ts';
import { type JobFile, jobFileSchema, SEED_PATTERN } from '../../../domain/job-file.ts';
import { type BadRow, JobFileError } from '../errors.ts';
import type { JobPlan, OpenedJobFile, PlannedFile } from '../interface.ts';
import { assertFileCount, countInputs, expandFile, type PlanContext } from '../load-job-file.ts';
import { resolveJobFile } from '../resolve-job-file.ts';
import { fillTemplate, RowProblem, type Variables } from './fill-template.ts';
import { readRows, type VariableRow } from './read-rows.ts';

/** Bad rows that are told at once. */
const MAX_BAD_ROWS = 10;

export interface BatchItem {
  readonly index: number;
  readonly plan: JobPlan;
  /** The file gives its seed; else one was drawn. */
  readonly hasSeed: boolean;
}

type Filled = Pick<JobFile, 'name' | 'inputs'> & { readonly workload: JobFile['workload'] };

const [wasm] = jobFileSchema.shape.workload.options;
function isSeed(seed: unknown): boolean {
  if (typeof seed === 'string') return SEED_PATTERN.test(seed);
  return seed === undefined || (Number.isSafeInteger(seed) && Number(seed) >= 0);
}

/** What can be other than it was checked to be, once variables are filled in. */
const filledSchema = z.object({
  name: jobFileSchema.shape.name,
  workload: z.object({
    arguments: wasm.shape.arguments.optional(),
    environment: wasm.shape.environment.optional(),
    seed: z.unknown().refine(isSeed, 'expected a whole number or 64 hex digits').optional(),
  }),
});

/**
 * The jobs of a batch file in order, one at a time: as many as there are rows of variables, times `count`.
 * @throws JobFileError JOB_FILE_BAD_ROWS with the first few of them, JOB_FILE_TOO_MANY_JOBS, JOB_FILE_UNREADABLE
 */
export async function* expandBatch(file: OpenedJobFile, context: PlanContext): AsyncGenerator<BatchItem> {
  const { path, jobFile } = file;
  const count = jobFile.batch?.count ?? 1;
  if (count * (jobFile.batch?.each?.length ?? 1) > MAX_BATCH_JOBS) throw tooManyJobs(path);
  const folders = new FolderMemory();
  const bad: BadRow[] = [];
  let index = 0;
  for await (const row of readRows(file)) {
    for (let repeat = 0; repeat < count; repeat += 1, index += 1) {
      if (index >= MAX_BATCH_JOBS) throw tooManyJobs(path);
      const variables = new Map(row.variables).set('index', String(index)).set('repeat', String(repeat));
      const item = await tryExpand({ file, row, variables, index }, { ...context, folders });
      if ('plan' in item) {
        if (bad.length === 0) yield item;
      } else bad.push(item);
      if ('reason' in item) break;
    }
    if (bad.length >= MAX_BAD_ROWS) break;
  }
  if (bad.length > 0) throw new JobFileError({ code: 'JOB_FILE_BAD_ROWS', path, rows: bad });
  if (index === 0) {
    const row = { path: jobFile.batch?.from ?? path, line: 1, reason: 'it has no rows' };
    throw new JobFileError({ code: 'JOB_FILE_BAD_ROWS', path, rows: [row] });
  }
}

function tooManyJobs(path: string): JobFileError {
  return new JobFileError({ code: 'JOB_FILE_TOO_MANY_JOBS', path, maxJobs: MAX_BATCH_JOBS });
}

interface Expansion {
  readonly file: OpenedJobFile;
  readonly row: VariableRow;
  readonly variables: Variables;
  readonly index: number;
}

async function tryExpand(
  { file, row, variables, index }: Expansion,
  { folders, ...context }: PlanContext & { readonly folders: FolderMemory },
): Promise<BatchItem | BadRow> {
  try {
    const filled = fillJobFile(file.jobFile, variables);
    const directory = dirname(resolve(file.path));
    const plan = resolveJobFile({ ...file.jobFile, ...filled }, { ...context, directory });
    const files = await folders.expand(plan.files);
    assertFileCount(file.path, countInputs(files) + plan.knownBlobs.length);
    return {
      index,
      hasSeed: 'seed' in file.jobFile.workload && file.jobFile.workload.seed !== undefined,
      plan: { ...plan, files },
    };
  } catch (error) {
    const isRow = error instanceof RowProblem || (error instanceof JobFileError && row.variables.size > 0);
    if (!isRow) throw error;
    return { path: row.path, line: row.line, reason: error.message };
  }
}

function fillJobFile(jobFile: JobFile, variables: Variables): Filled {
  const { workload, inputs } = jobFile;
  const fill = (text: string): string => fillTemplate(text, variables);
  const filled = {
    name: fill(jobFile.name),
    workload: fillWorkload(workload, fill),
    inputs: mapValues(inputs, (source) => fillSource(source, fill)),
  };
  const checked = filledSchema.safeParse(filled);
  if (checked.success) return filled;
  const [issue] = checked.error.issues;
  throw new RowProblem(`${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
}

type Fill = (text: string) => string;

function fillSource<Source>(source: Source, fill: Fill): Source | string {
  return typeof source === 'string' ? fill(source) : source;
}

function fillWorkload(workload: JobFile['workload'], fill: Fill): JobFile['workload'] {
  if (workload.kind === 'inference') return { ...workload, model: fillSource(workload.model, fill) };
  const text = { arguments: workload.arguments.map(fill), environment: mapValues(workload.environment, fill) };
  if (workload.kind === 'command') {
    return { ...workload, ...text, root: fillSource(workload.root, fill), program: fill(workload.program) };
  }
  if (workload.kind === 'container') {
    const { image, entrypoint } = workload;
    const own = entrypoint === undefined ? {} : { entrypoint: entrypoint.map(fill) };
    return { ...workload, ...text, image: fill(image), ...own };
  }
  return { ...workload, ...text, module: fillSource(workload.module, fill), seed: fillSeed(workload.seed, fill) };
}

type SeedField = Extract<JobFile['workload'], { kind: 'wasm' }>['seed'];

/** A number that a variable gave is text until here. */
function fillSeed(seed: SeedField, fill: Fill): SeedField {
  if (typeof seed !== 'string') return seed;
  const text = fill(seed);
  return /^\d{1,16}$/.test(text) ? Number(text) : text;
}

function mapValues<Value>(
  map: Readonly<Record<string, Value>>,
  change: (value: Value) => Value,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}

/** What is in which folder: most jobs of a batch name the same ones. */
class FolderMemory {
  readonly #known = new Map<string, readonly PlannedFile[]>();

  async expand(files: readonly PlannedFile[]): Promise<readonly PlannedFile[]> {
    const expanded: PlannedFile[] = [];
    for (const file of files) expanded.push(...(await this.#expandOne(file)));
    return expanded;
  }

  async #expandOne(file: PlannedFile): Promise<readonly PlannedFile[]> {
    const key = JSON.stringify([file.role, file.path, file.role === 'input' ? file.jobPath : '']);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found: PlannedFile[] = [];
    for await (const each of expandFile(file)) {
      found.push(each);
      assertFileCount(file.path, countInputs(found));
    }
    this.#known.set(key, found);
    return found;
  }
}
