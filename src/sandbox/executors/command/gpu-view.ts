import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { GPU_FOLDER } from '../../gpu/driver-libraries.ts';
import type { GpuMount, GpuPlan } from '../../gpu/interface.ts';
import type { RootView } from './root-view.ts';

/** What a command sees of the host's GPUs. */
export interface GpuView {
  /** Of bubblewrap: while /dev is being made, and while the root is. */
  readonly devices: readonly string[];
  readonly mounts: readonly string[];
  /** After /proc is there. */
  readonly proc: readonly string[];
  /** Lower than the job's own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Before the job's own LD_LIBRARY_PATH; empty: nothing. */
  readonly libraryPath: string;
}

/** Not namespaced: it tells of every GPU of the host, whoever reads it. */
const DRIVER_FOLDER = '/proc/driver/nvidia';

/** Of a command without GPUs: nothing, also where the host has some. */
export function hideGpus(hasDriver: boolean = existsSync(DRIVER_FOLDER)): GpuView {
  const proc = hasDriver ? ['--tmpfs', DRIVER_FOLDER, '--remount-ro', DRIVER_FOLDER] : [];
  return { devices: [], mounts: [], proc, environment: {}, libraryPath: '' };
}

/**
 * Of a command with GPUs: their nodes, and in a folder of its own the driver's libraries under the names that loaders ask
 * for. Nothing is mounted into a root, which may be any: an archive has no place prepared for it.
 */
export function viewGpus(plan: GpuPlan, root: Pick<RootView, 'folders'>): GpuView {
  const placed = (folder: string, mounts: readonly GpuMount[]): readonly string[] => {
    const names = new Map(
      mounts.flatMap(({ hostPath, aliases }) => aliases.map((alias) => [alias, hostPath] as const)),
    );
    return [...names].flatMap(([alias, hostPath]) => [
      '--ro-bind',
      hostPath,
      `${GPU_FOLDER}/${folder}/${basename(alias)}`,
    ]);
  };
  const besides = plan.files.filter(({ path }) => !root.folders.has(path.split('/')[1] ?? ''));
  return {
    devices: plan.nodes.flatMap(({ hostPath, path }) => ['--dev-bind', hostPath, path]),
    mounts: [
      ...placed('lib', plan.libraries),
      ...placed('bin', plan.programs),
      ...besides.flatMap(({ hostPath, path }) => ['--ro-bind', hostPath, path]),
    ],
    proc: plan.proc?.folder === DRIVER_FOLDER ? showProc(plan.proc.visible) : hideGpus().proc,
    environment: plan.environment,
    libraryPath: `${GPU_FOLDER}/lib`,
  };
}

function showProc(visible: readonly string[]): readonly string[] {
  const bound = visible.flatMap((file) => ['--ro-bind', `${DRIVER_FOLDER}/${file}`, `${DRIVER_FOLDER}/${file}`]);
  return ['--tmpfs', DRIVER_FOLDER, ...bound, '--remount-ro', DRIVER_FOLDER];
}
