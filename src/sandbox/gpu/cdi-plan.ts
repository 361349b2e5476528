import { realpath, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { SandboxError } from '../errors.ts';
import type { CdiEdits, CdiReading } from './cdi.ts';
import { listOwnNames } from './device-nodes.ts';
import { aliasesOf, findLibraryVersion } from './driver-libraries.ts';
import type { GpuMount, GpuPlan, GpuUnit } from './interface.ts';
import type { GpuPlaces } from './places.ts';

type Mounts = Pick<GpuPlan, 'libraries' | 'programs' | 'files' | 'environment' | 'remarks'>;

export type CdiPlan =
  | { readonly kind: 'plan'; readonly file: string; readonly mounts: Mounts }
  /** No spec serves all of the units; why each that is there does not. */
  | { readonly kind: 'none'; readonly remarks: readonly string[] };

/** Nodes that name one GPU, or one slice of it. */
const OWN_NODE = /^\/dev\/(nvidia[0-9]+|nvidia-caps\/nvidia-cap[0-9]+)$/;
/** Variables that a driver's libraries read; others of a spec are not for a program. */
const OWN_VARIABLE = /^((?:NVIDIA|CUDA)_[A-Z0-9_]{1,60})=([^\0]{0,1000})$/;
/** Of a plan: what selects GPUs is said by the plan itself. */
const CHOOSING = ['NVIDIA_VISIBLE_DEVICES', 'CUDA_VISIBLE_DEVICES'];

/**
 * What a spec mounts for exactly these units. Entries are found by their nodes, not by their names: an index may be of
 * another order than ours. Later specs win. @throws SandboxError SANDBOX_GPU_CDI_REFUSED if one gives nodes of other GPUs
 */
export async function planFromCdi(
  { places, readings }: { readonly places: GpuPlaces; readonly readings: readonly CdiReading[] },
  units: readonly GpuUnit[],
  driver: string,
): Promise<CdiPlan> {
  const own = await Promise.all(units.map((unit) => listOwnNames(places, unit)));
  const remarks: string[] = [];
  for (const reading of readings.toReversed()) {
    if (reading.kind === 'refused') {
      remarks.push(`CDI spec ${reading.file} is not used: ${reading.reason}`);
      continue;
    }
    const { file, spec } = reading;
    const entries = own.map((names) => spec.devices.find(({ containerEdits }) => isFor(containerEdits, names)));
    if (entries.includes(undefined)) {
      remarks.push(`CDI spec ${file} is not used: it has no entry for each of the GPUs alone`);
      continue;
    }
    const shared = spec.containerEdits ?? {};
    const foreign = listOwnNodes(shared)[0];
    if (foreign !== undefined) {
      throw new SandboxError({ code: 'SANDBOX_GPU_CDI_REFUSED', file, reason: `it gives ${foreign} to everybody` });
    }
    const edits = [shared, ...entries.flatMap((entry) => entry?.containerEdits ?? [])];
    const stale = await findStale(edits, driver);
    if (stale === null) return { kind: 'plan', file, mounts: await collect(edits, file) };
    remarks.push(`CDI spec ${file} is not used: ${stale}`);
  }
  return { kind: 'none', remarks };
}

function listOwnNodes({ deviceNodes }: CdiEdits): readonly string[] {
  return (deviceNodes ?? []).map(({ path }) => path).filter((path) => OWN_NODE.test(path));
}

function isFor(edits: CdiEdits, names: readonly string[]): boolean {
  const wanted = names.map((name) => `/dev/${name}`).toSorted();
  return listOwnNodes(edits).toSorted().join() === wanted.join();
}

/** A spec that was written for another version of the driver; null if it is of this one. */
export async function findStale(edits: readonly CdiEdits[], driver: string): Promise<string | null> {
  for (const { hostPath } of edits.flatMap(({ mounts }) => mounts ?? [])) {
    if (!/\/lib(cuda|nvidia-ml)\.so\./.test(hostPath)) continue;
    const version = (await isThere(hostPath)) ? await findLibraryVersion(hostPath) : null;
    if (version !== driver) return `it mounts ${hostPath}, and the driver is ${driver}`;
  }
  return null;
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

async function collect(edits: readonly CdiEdits[], file: string): Promise<Mounts> {
  const remarks = new Set<string>();
  const [libraries, programs, files]: GpuMount[][] = [[], [], []];
  const seen = new Set<string>();
  for (const { hostPath, containerPath } of edits.flatMap(({ mounts }) => mounts ?? [])) {
    if (seen.has(containerPath)) continue;
    seen.add(containerPath);
    const source = await realpath(hostPath).catch(() => null);
    const found = source === null ? null : await stat(source).catch(() => null);
    if (source === null || found === null) remarks.add(`${hostPath} is left out: it is not there`);
    else if (!found.isFile() && !found.isDirectory()) {
      remarks.add(`${hostPath} is left out: it is neither a file nor a folder, and a way out of the sandbox`);
    } else {
      const mount = { hostPath: source, path: containerPath, aliases: aliasesOf(basename(containerPath)) };
      if (found.isFile() && /^lib.{1,200}\.so(\.|$)/.test(basename(containerPath))) libraries?.push(mount);
      else if (found.isFile() && extname(containerPath) === '' && /\/s?bin\//.test(containerPath))
        programs?.push(mount);
      else files?.push(mount);
    }
  }
  for (const { args, path } of edits.flatMap(({ hooks }) => hooks ?? [])) {
    remarks.add(`hook ${[path, args?.[1] ?? ''].join(' ').trim()} of ${file} is not run`.slice(0, 200));
  }
  const variables = edits.flatMap(({ env }) => env ?? []).flatMap((text) => readVariable(text));
  return {
    libraries: libraries ?? [],
    programs: programs ?? [],
    files: files ?? [],
    environment: Object.fromEntries(variables),
    remarks: [...remarks],
  };
}

function readVariable(text: string): readonly (readonly [string, string])[] {
  const [, name, value] = OWN_VARIABLE.exec(text) ?? [];
  return name === undefined || value === undefined || CHOOSING.includes(name) ? [] : [[name, value]];
}
