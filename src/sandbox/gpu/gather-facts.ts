import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AbortOptions } from '../../lib/abort.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { readCdiSpecs } from './cdi.ts';
import { findStale } from './cdi-plan.ts';
import { detectGpus } from './detect-gpus.ts';
import { findLibraryVersion, listDriverLibraries } from './driver-libraries.ts';
import type { GpuPlaces } from './places.ts';
import type { GpuFacts, NodeState } from './preflight.ts';
import { listNvidiaBuses, readModuleVersion, readSmall } from './read-driver-files.ts';
import { DriverTools } from './run-tool.ts';

const MODULES = ['nouveau', 'nvidia', 'nvidia_uvm', 'nvidia_drm'] as const;
const DMESG_TIMEOUT_MS = 5_000;
const MAX_DMESG_BYTES = 8 * 2 ** 20;
const MAX_XIDS = 1_000;

/** Looks at all that rules are about; changes nothing. @throws AbortError */
export async function gatherFacts(
  places: GpuPlaces,
  options: AbortOptions & { readonly timeoutMs?: number } = {},
): Promise<GpuFacts> {
  const tools = new DriverTools();
  const { timeoutMs, ...abort } = options;
  const detecting = { ...abort, asksConfidential: true, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const snapshot = await detectGpus({ places, tools }, detecting);
  const moduleVersion = await readModuleVersion(places);
  const minors = snapshot.devices.flatMap(({ minor }) => (minor === null ? [] : [`nvidia${minor}`]));
  const names = ['nvidiactl', 'nvidia-uvm', ...minors];
  const states = await Promise.all(names.map(async (name) => [name, await examineNode(places, name)] as const));
  return {
    snapshot,
    moduleVersion,
    buses: await listNvidiaBuses(places),
    modules: await listModules(places),
    nodes: new Map(states),
    libraries: await listLibraries({ places, tools }, abort),
    cdi: await examineSpecs(places, moduleVersion),
    xids: await listXids({ places, tools }, abort),
    isWsl: /microsoft/i.test((await readSmall(join(places.proc, 'version'))) ?? ''),
  };
}

async function listModules({ sys }: GpuPlaces): Promise<readonly string[]> {
  const loaded = new Set(await readdir(join(sys, 'module')).catch(() => []));
  return MODULES.filter((name) => loaded.has(name));
}

async function examineNode({ dev }: GpuPlaces, name: string): Promise<NodeState> {
  const path = join(dev, name);
  const found = await stat(path).catch(() => null);
  if (found === null) return 'missing';
  if (!found.isCharacterDevice()) return 'no device';
  const [openable, byEverybody] = [constants.R_OK | constants.W_OK, 0o006];
  const isOpenable = await access(path, openable).then(
    () => true,
    () => false,
  );
  // As root, programs run as another user: they open what everybody may.
  return isOpenable && (found.mode & byEverybody) === byEverybody ? 'ok' : 'denied';
}

async function listLibraries(
  modules: { readonly places: GpuPlaces; readonly tools: DriverTools },
  options: AbortOptions,
): Promise<GpuFacts['libraries']> {
  try {
    const found = await listDriverLibraries(modules, options);
    return await Promise.all(found.map(async (each) => ({ ...each, version: await findLibraryVersion(each.path) })));
  } catch (error) {
    if (isDaemonError(error)) return null;
    throw error;
  }
}

async function examineSpecs({ cdi }: GpuPlaces, driver: string | null): Promise<GpuFacts['cdi']> {
  const readings = await readCdiSpecs(cdi);
  return await Promise.all(
    readings.map(async (reading) => {
      if (reading.kind === 'refused') return { file: reading.file, state: 'refused', reason: reading.reason } as const;
      const { file, spec } = reading;
      const edits = [spec.containerEdits ?? {}, ...spec.devices.map(({ containerEdits }) => containerEdits)];
      const stale = driver === null ? null : await findStale(edits, driver);
      return stale === null
        ? ({ file, state: 'ok', reason: '' } as const)
        : ({ file, state: 'stale', reason: stale } as const);
    }),
  );
}

/** "NVRM: Xid (PCI:0000:1b:00): 79, pid=…, GPU has fallen off the bus." Null where the kernel's log may not be read. */
async function listXids(
  { places, tools }: { readonly places: GpuPlaces; readonly tools: DriverTools },
  options: AbortOptions,
): Promise<GpuFacts['xids']> {
  if (places.dmesg === null) return null;
  const limits = { ...options, timeoutMs: DMESG_TIMEOUT_MS, maxBytes: MAX_DMESG_BYTES };
  const end = await tools.run(places.dmesg, [], limits);
  if (end.kind !== 'ended' || end.exitCode !== 0) return null;
  return parseXids(end.stdout);
}

export function parseXids(log: string): readonly { readonly bus: string; readonly code: number }[] {
  return [...log.matchAll(/NVRM: Xid \(PCI:([0-9a-f:.]{7,16})\): ([0-9]{1,4})\b/gi)]
    .slice(-MAX_XIDS)
    .map(([, bus = '', code]) => ({ bus: bus.toLowerCase(), code: Number(code) }));
}
