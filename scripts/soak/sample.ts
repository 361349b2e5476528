import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MeshNode } from '../../test/support/mesh.ts';

/** What one daemon takes at one moment. */
export interface Sample {
  readonly node: string;
  readonly pid: number;
  /** Since the load began. */
  readonly atSeconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly descriptors: number;
  readonly threads: number;
  readonly children: number;
  /** The longest since the sample before. */
  readonly loopDelayMs: number;
  readonly loopDelayP99Ms: number;
  readonly databaseBytes: number;
  readonly blobBytes: number;
}

export const FIGURES = [
  'rssBytes',
  'heapBytes',
  'descriptors',
  'threads',
  'children',
  'loopDelayMs',
  'loopDelayP99Ms',
  'databaseBytes',
  'blobBytes',
] as const satisfies readonly (keyof Sample)[];
export type Figure = (typeof FIGURES)[number];

const SAMPLE_TIMEOUT_MS = 5_000;

/** Undefined if the daemon does not answer. */
export async function takeSample(node: MeshNode, atSeconds: number): Promise<Sample | undefined> {
  const { pid } = node.status;
  try {
    const { text } = await node.client.call('node.metrics', {}, { signal: AbortSignal.timeout(SAMPLE_TIMEOUT_MS) });
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return {
      node: node.name,
      pid,
      atSeconds,
      rssBytes: readStatus(status, 'VmRSS') * 1024,
      heapBytes: readMetric(text, 'fogproof_process_heap_bytes'),
      descriptors: (await readdir(`/proc/${pid}/fd`)).length,
      threads: readStatus(status, 'Threads'),
      children: (await listDescendants(pid)).length,
      loopDelayMs: readMetric(text, 'fogproof_event_loop_delay_seconds{quantile="1"}') * 1_000,
      loopDelayP99Ms: readMetric(text, 'fogproof_event_loop_delay_seconds{quantile="0.99"}') * 1_000,
      databaseBytes: await measureFolder(join(node.home, 'db')),
      blobBytes: readMetric(text, 'fogproof_blob_bytes'),
    };
  } catch {
    // It is being restarted, or too busy to answer in time: how many samples are missing is judged at the end.
    return undefined;
  }
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
