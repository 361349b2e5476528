import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { AbortOptions } from '../../lib/abort.ts';
import { SandboxError } from '../errors.ts';
import { unavailable } from './device-nodes.ts';
import type { GpuMount } from './interface.ts';
import type { GpuPlaces } from './places.ts';
import type { DriverTools } from './run-tool.ts';

const LDCONFIG_TIMEOUT_MS = 5_000;
const MAX_LDCONFIG_BYTES = 4 * 2 ** 20;

/** Where a program finds libraries and programs of the driver, whatever its own root has: in `command` sandboxes. */
export const GPU_FOLDER = '/gpu';

/** Without these nothing computes: the interface of CUDA, and that of management. */
const REQUIRED = ['libcuda.so.1', 'libnvidia-ml.so.1'] as const;
/** Parts of them that are loaded when they are needed: compilers, OpenCL, the cipher of confidential computing. */
const OPTIONAL =
  /^lib(nvidia-(ptxjitcompiler|nvvm|nvvm70|opencl|compiler|gpucomp|pkcs11|pkcs11-openssl3|sandboxutils))\.so\.[0-9.]{1,20}$/;

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86-64', arm64: 'AArch64' };

export interface FoundLibrary {
  /** As programs name it. */
  readonly soname: string;
  readonly path: string;
}

/** Libraries of the driver in the cache of the loader, for this architecture. @throws SandboxError, AbortError */
export async function listDriverLibraries(
  { places, tools }: { readonly places: GpuPlaces; readonly tools: DriverTools },
  options: AbortOptions = {},
): Promise<readonly FoundLibrary[]> {
  if (places.ldconfig === null) throw unavailable('ldconfig is not installed, so libraries cannot be found');
  const limits = { ...options, timeoutMs: LDCONFIG_TIMEOUT_MS, maxBytes: MAX_LDCONFIG_BYTES };
  const end = await tools.run(places.ldconfig, ['-p'], limits);
  if (end.kind !== 'ended' || end.exitCode !== 0)
    throw unavailable('ldconfig does not list the libraries of this host');
  return parseLdconfig(end.stdout);
}

/** Lines such as "\tlibcuda.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libcuda.so.1"; the first of a name wins. */
export function parseLdconfig(output: string, architecture: string = process.arch): readonly FoundLibrary[] {
  const mark = ARCHITECTURES[architecture] ?? architecture;
  const found = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [, soname, kind, path] = /^\t(\S{1,200}) \(([^)]{1,200})\) => (\/\S{1,4000})$/.exec(line) ?? [];
    if (soname === undefined || path === undefined || found.has(soname)) continue;
    if (kind?.split(',').some((part) => part.trim() === mark) !== true) continue;
    if (REQUIRED.some((name) => name === soname) || OPTIONAL.test(soname)) found.set(soname, path);
  }
  return [...found].map(([soname, path]) => ({ soname, path }));
}

/** Version that a library's own file name ends with: `libcuda.so.550.54.15`. Null if it ends with none. */
export async function findLibraryVersion(path: string): Promise<string | null> {
  const file = await realpath(path).catch(() => path);
  return /\.so\.([0-9]{3}\.[0-9]{1,3}(?:\.[0-9]{1,3})?)$/.exec(file)?.[1] ?? null;
}

/**
 * Libraries of exactly the driver that is loaded: others fail with "Driver/library version mismatch", or worse, not at once.
 * @throws SandboxError SANDBOX_GPU_UNAVAILABLE, SANDBOX_GPU_DRIVER_MISMATCH
 */
export async function matchLibraries(
  found: readonly FoundLibrary[],
  driver: string,
): Promise<{ readonly libraries: readonly GpuMount[]; readonly remarks: readonly string[] }> {
  const libraries: GpuMount[] = [];
  const remarks: string[] = [];
  for (const name of REQUIRED) {
    if (!found.some(({ soname }) => soname === name))
      throw unavailable(`${name} is not among the libraries of this host`);
  }
  for (const { soname, path } of found) {
    const version = await findLibraryVersion(path);
    if (version === driver) {
      const hostPath = await realpath(path);
      const place = join(dirname(path), basename(hostPath));
      libraries.push({ hostPath, path: place, aliases: [...new Set([soname, basename(hostPath)])] });
    } else if (REQUIRED.some((name) => name === soname)) {
      throw new SandboxError({ code: 'SANDBOX_GPU_DRIVER_MISMATCH', library: path, driver });
    } else {
      remarks.push(`${path} is left out: it is not of driver ${driver}`);
    }
  }
  return { libraries, remarks };
}

/** Names under which a loader asks for a library that a CDI spec mounts by the name of its file. */
export function aliasesOf(file: string): readonly string[] {
  const stem = /^(lib[A-Za-z0-9+_-]{1,80})\.so\.[0-9]{3}\.[0-9.]{1,12}$/.exec(file)?.[1];
  if (stem === undefined) return [file];
  // Of NVIDIA's libraries one has another number than 1 (driver README, "Installed Components").
  return [file, `${stem}.so.${stem.startsWith('libnvidia-nvvm') ? 4 : 1}`];
}
