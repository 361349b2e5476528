import { z } from 'zod';
import { gatherFacts } from '../../sandbox/gpu/gather-facts.ts';
import { findGpuPlaces } from '../../sandbox/gpu/places.ts';
import {
  type CudaVerdict,
  type GpuFacts,
  type GpuFinding,
  judgeCuda,
  runPreflight,
} from '../../sandbox/gpu/preflight.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';

const MARKS: Readonly<Record<GpuFinding['weight'], string>> = { fails: '✗', part: '!', note: '·' };

export const gpuCheck = defineCommand({
  name: 'gpu check',
  summary: 'say what will fail with the driver, its devices and its libraries',
  details:
    'Looks at nvidia-smi, the kernel module, device nodes, libraries, CDI specs and the kernel log, and says of each combination that will fail what to do. Changes nothing and needs no daemon. Exit code 1 if GPUs cannot be lent, 3 if there is none.',
  arguments: [],
  options: z.strictObject({
    cuda: z
      .string()
      .regex(/^[0-9]{1,2}(\.[0-9]{1,2})?$/, 'expected a version such as 12.4')
      .optional()
      .describe('also say whether programs made with this version of CUDA run here, such as 12.4'),
  }),
  examples: [
    { line: 'fogproof gpu check', does: 'Run it on a new box, and after each update of the driver.' },
    { line: 'fogproof gpu check --cuda 12.4', does: 'Say whether a program made with CUDA 12.4 runs here.' },
  ],
  run: async ({ options }, context) => {
    const facts = await gatherFacts(findGpuPlaces(), { signal: context.signal });
    const findings = runPreflight(facts);
    const cuda =
      options.cuda === undefined ? null : { wanted: options.cuda, ...judgeCuda(options.cuda, facts.snapshot) };
    const { driver, cuda: served, tool, devices } = facts.snapshot;
    const gpus = devices.map(({ uuid, model, bus }) => ({ uuid, model, bus }));
    context.output.result({ driver, cuda: served, tool, gpus, findings, wanted: cuda }, () =>
      renderFindings(facts, findings, cuda),
    );
    if (findings.some(({ weight }) => weight === 'fails') || cuda?.runs === 'no') return EXIT_CODES.failed;
    return devices.length === 0 ? EXIT_CODES.unchecked : EXIT_CODES.ok;
  },
});

export function renderFindings(
  { snapshot: { devices, driver, cuda } }: GpuFacts,
  findings: readonly GpuFinding[],
  wanted: (CudaVerdict & { readonly wanted: string }) | null,
): string[] {
  const head =
    devices.length === 0
      ? 'no NVIDIA GPU answers'
      : `${plural(devices.length, 'GPU')}, driver ${driver ?? 'unknown'}, CUDA up to ${cuda ?? 'unknown'}`;
  const lines = findings.flatMap(({ code, weight, detail, remedy }) => [
    `${MARKS[weight]} ${code}  ${detail}`,
    `  → ${remedy}`,
  ]);
  const verdict = wanted === null ? [] : [`CUDA ${wanted.wanted}: ${wanted.runs}, ${wanted.detail}`];
  const end =
    findings.length === 0 && devices.length > 0
      ? ['nothing is wrong that can be seen without running a program on it']
      : [];
  return [head, ...(lines.length === 0 ? [] : ['', ...lines, '']), ...verdict, ...end];
}
