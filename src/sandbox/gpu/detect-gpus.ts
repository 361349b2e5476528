import type { AbortOptions } from '../../lib/abort.ts';
import type { GpuSnapshot } from './interface.ts';
import { nameSlices, parseSliceList } from './parse-list.ts';
import { MAX_SMI_BYTES, parseSmi } from './parse-smi.ts';
import type { GpuPlaces } from './places.ts';
import { readDriverFiles } from './read-driver-files.ts';
import type { DriverTools, ToolEnd } from './run-tool.ts';

/** nvidia-smi of a box with eight GPUs and no persistence takes some seconds; a hung driver takes for ever. */
const SMI_TIMEOUT_MS = 10_000;
const MAX_SHORT_BYTES = 256 * 1024;

export interface DetectOptions extends AbortOptions {
  readonly timeoutMs?: number;
  /** Whether to ask for the confidential-computing mode too, which is another run of the tool. */
  readonly asksConfidential?: boolean;
}

/** What is there, as nvidia-smi says, else as the kernel does. Never rejects but for an abort. */
export async function detectGpus(
  { places, tools }: { readonly places: GpuPlaces; readonly tools: DriverTools },
  options: DetectOptions = {},
): Promise<GpuSnapshot> {
  const { timeoutMs = SMI_TIMEOUT_MS, asksConfidential = false, signal } = options;
  const limits = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const { nvidiaSmi } = places;
  const ask = async (parameters: readonly string[], maxBytes = MAX_SHORT_BYTES): Promise<ToolEnd> =>
    nvidiaSmi === null ? { kind: 'absent' } : await tools.run(nvidiaSmi, parameters, { ...limits, maxBytes });
  const end = await ask(['-q', '-x'], MAX_SMI_BYTES);
  const failure = describeFailure(end);
  if (failure !== null || end.kind !== 'ended') return await fallBack(places, failure ?? FAILED);
  const reading = parseSmi(end.stdout);
  if (reading.kind === 'garbled') return await fallBack(places, { tool: 'garbled', reason: reading.reason });
  const { devices, ...versions } = reading.snapshot;
  const hasSlices = devices.some(({ slices }) => slices.length > 0);
  const list = hasSlices ? await ask(['-L']) : null;
  const listed = parseSliceList(list?.kind === 'ended' ? list.stdout : '');
  const mode = asksConfidential && devices.length > 0 ? await ask(['conf-compute', '-f']) : null;
  return {
    source: 'nvidia-smi',
    tool: 'answered',
    reason: null,
    ...versions,
    confidential: mode?.kind === 'ended' ? parseConfidential(mode.stdout) : null,
    devices: devices.map((device) => nameSlices(device, listed)),
    untold: [],
  };
}

type Failure = Pick<GpuSnapshot, 'tool' | 'reason'>;
const FAILED: Failure = { tool: 'failed', reason: 'nvidia-smi gave no answer' };

function describeFailure(end: ToolEnd): Failure | null {
  switch (end.kind) {
    case 'absent':
      return { tool: 'absent', reason: null };
    case 'hung':
      return { tool: 'hung', reason: 'nvidia-smi does not answer: the driver, or a GPU, hangs' };
    case 'too-much':
      return { tool: 'garbled', reason: `nvidia-smi wrote more than ${MAX_SMI_BYTES} bytes` };
    case 'ended':
      if (end.exitCode === 0) return null;
      return { tool: 'failed', reason: firstLine(end) };
    default:
      return end satisfies never;
  }
}

/** What it could not do it says on standard output as well as on the other. */
function firstLine({ stdout, stderr, exitCode }: Extract<ToolEnd, { kind: 'ended' }>): string {
  const lines = `${stderr}\n${stdout}`.split('\n').map((line) => line.replaceAll(/[^\x20-\x7e]/g, '').trim());
  const line = lines.find((each) => each !== '' && !each.startsWith('<')) ?? `it ended with exit code ${exitCode}`;
  return line.slice(0, 300);
}

async function fallBack(places: GpuPlaces, failure: Failure): Promise<GpuSnapshot> {
  const { driver, devices, untold } = await readDriverFiles(places);
  const source = devices.length === 0 ? 'none' : 'driver-files';
  return { source, ...failure, driver, cuda: null, confidential: null, devices, untold };
}

/** "CC status: ON", "CC status: OFF"; with developer tools on, "DevTools Mode: ON". */
function parseConfidential(output: string): GpuSnapshot['confidential'] {
  if (/DevTools Mode:\s*ON/i.test(output)) return 'devtools';
  if (/CC status:\s*ON/i.test(output)) return 'on';
  return /CC status:\s*OFF/i.test(output) ? 'off' : null;
}
