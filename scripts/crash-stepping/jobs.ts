import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const EXAMPLES = join(import.meta.dirname, '../../examples');

/** A job of an example, small enough to be run some hundred times and long enough to be hit in the middle. */
export interface SteppingJob {
  readonly name: string;
  readonly example: string;
  readonly module: string;
  /** Input path in the job to its text, or to null for the example's own file. */
  readonly inputs: Readonly<Record<string, string | null>>;
  readonly everySteps: number;
}

const DIGITS = 'rounds = 200\nhidden = 32\nbatch = 16\nlearning_rate = 0.05\nmomentum = 0.9\n';

export const STEPPING_JOBS: readonly SteppingJob[] = [
  {
    name: 'digits',
    example: 'digits',
    module: 'trainer.wasm',
    inputs: { '/settings.txt': DIGITS, '/test.csv': null, '/train.csv': null },
    everySteps: 2,
  },
  {
    name: 'ising',
    example: 'ising',
    module: 'ising.wasm',
    inputs: { '/settings.txt': '512 2.0 1500\n' },
    everySteps: 15,
  },
  {
    name: 'embeddings',
    example: 'embeddings',
    module: 'embeddings.wasm',
    inputs: { '/settings.txt': 'words = 131072\nsteps = 300\npairs = 4000\n' },
    everySteps: 5,
  },
];

/** Writes the job's folder; gives the path of its file. */
export async function writeSteppingJob(folder: string, job: SteppingJob): Promise<string> {
  const source = join(EXAMPLES, job.example);
  await mkdir(join(folder, 'data'), { recursive: true });
  await cp(join(source, 'build', job.module), join(folder, job.module));
  const inputs: string[] = [];
  for (const [path, text] of Object.entries(job.inputs)) {
    const file = `data${path}`;
    if (text === null) await cp(join(source, file), join(folder, file));
    else await writeFile(join(folder, file), text);
    inputs.push(`  ${path}: ${file}`);
  }
  const lines = [
    `name: ${job.name}`,
    `workload: { kind: wasm, module: ${job.module}, abi: fogproof, seed: 20261121 }`,
    'inputs:',
    ...inputs,
    'resources: { memory: 128MiB, fuel: 10T, wallTime: 10m, output: 16MiB, logs: 4MiB }',
    `checkpoints: { everySteps: ${job.everySteps} }`,
    'deadline: 30m',
    'retries: 32',
  ];
  const path = join(folder, 'job.yaml');
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}
