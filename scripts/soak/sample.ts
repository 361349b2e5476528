import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readProcessorSeconds } from '../../bench/process-figures.ts';
import type { MeshNode } from '../../test/support/mesh.ts';
import { OPEN_FILE_BOUNDS, type RestSample } from './judge.ts';

/** What one daemon takes at one moment. */
export interface Sample {
  readonly node: string;
  readonly pid: number;
  /** Since the load began. */
  readonly atSeconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Sockets, pipes, event queues: all but files of the data folder. */
  readonly descriptors: number;
  /** Files of the data folder: stores keep some open that were read last, up to a bound. */
  readonly openFiles: number;
  readonly threads: number;
  readonly children: number;
  /** The longest since the sample before. */
  readonly loopDelayMs: number;
  readonly loopDelayP99Ms: number;
  readonly databaseBytes: number;
  readonly blobBytes: number;
  /** Since its process began. */
  readonly processorSeconds: number;
  /** Neighbours that it chose by its VRF and has. */
  readonly neighbours: number;
}

export const FIGURES = [
  'rssBytes',
  'heapBytes',
  'descriptors',
  'openFiles',
  'threads',
  'children',
  'loopDelayMs',
  'loopDelayP99Ms',
  'databaseBytes',
  'blobBytes',
  'neighbours',
] as const satisfies readonly (keyof Sample)[];
export type Figure = (typeof FIGURES)[number];

const SAMPLE_TIMEOUT_MS = 5_000;

/** Undefined if the daemon does not answer. */
export async function takeSample(node: MeshNode, atSeconds: number): Promise<Sample | undefined> {
  const { pid } = node.status;
  try {
    const { text } = await node.client.call('node.metrics', {}, { signal: AbortSignal.timeout(SAMPLE_TIMEOUT_MS) });
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const { descriptors, openFiles } = countDescriptors(await readDescriptors(node));
    return {
      node: node.name,
      pid,
      atSeconds,
      rssBytes: readStatus(status, 'VmRSS') * 1024,
      heapBytes: readMetric(text, 'fogproof_process_heap_bytes'),
      descriptors,
      openFiles,
      threads: readStatus(status, 'Threads'),
      children: (await listDescendants(pid)).length,
      loopDelayMs: readMetric(text, 'fogproof_event_loop_delay_seconds{quantile="1"}') * 1_000,
      loopDelayP99Ms: readMetric(text, 'fogproof_event_loop_delay_seconds{quantile="0.99"}') * 1_000,
      databaseBytes: await measureFolder(join(node.home, 'db')),
      blobBytes: readMetric(text, 'fogproof_blob_bytes'),
      processorSeconds: await readProcessorSeconds(pid),
      neighbours: readMetric(text, 'fogproof_neighbours{direction="outbound"}'),
    };
  } catch {
    // It is being restarted, or too busy to answer in time: how many samples are missing is judged at the end.
    return undefined;
  }
}

export async function takeRest(node: MeshNode): Promise<RestSample> {
  const { name, status } = node;
  return {
    node: name,
    descriptors: await readDescriptors(node),
    children: (await listDescendants(status.pid)).length,
  };
}

/** How many of each kind. */
async function readDescriptors({ home, status: { pid } }: MeshNode): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {};
  for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => 'gone');
    const kind = describeTarget(target, home);
    found[kind] = (found[kind] ?? 0) + 1;
  }
  return found;
}

function countDescriptors(kinds: Readonly<Record<string, number>>): Pick<Sample, 'descriptors' | 'openFiles'> {
  const counts = { descriptors: 0, openFiles: 0 };
  for (const [kind, count] of Object.entries(kinds)) {
    counts[kind in OPEN_FILE_BOUNDS ? 'openFiles' : 'descriptors'] += count;
  }
  return counts;
}

/** Sockets, pipes and event queues by their kind; files by the folder of the data folder that they are in. */
function describeTarget(target: string, home: string): string {
  if (!target.startsWith('/')) return target.replace(/:\[\d+\]$/, '');
  return target.startsWith(`${home}/`) ? (target.slice(home.length + 1).split('/')[0] ?? '') : 'other files';
}

function readStatus(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
}

/** NaN where the daemon has no such metric. */
export function readMetric(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
}

async function listDescendants(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const own = text.trim() === '' ? [] : text.trim().split(' ').map(Number);
  return [...own, ...(await Promise.all(own.map(listDescendants))).flat()];
}

async function measureFolder(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  // LevelDB takes files away while they are counted.
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
  return sizes.reduce((sum, found) => sum + (found?.size ?? 0), 0);
}
