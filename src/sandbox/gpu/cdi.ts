/**
 * Reads CDI specs (Container Device Interface, cncf-tags/container-device-interface SPEC.md, versions 0.3 to 1.0): JSON or
 * YAML files that name, for each device, the nodes, mounts and variables that a container needs. Hooks are programs of the
 * host that a runtime would start for each container: here they are never run.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { describeError } from '../../lib/errors.ts';

export const CDI_KIND = 'nvidia.com/gpu';
/** That of a box with eight GPUs cut into seven slices each is some 100 KiB. */
const MAX_SPEC_BYTES = 2 * 2 ** 20;
const MAX_SPECS = 64;
const WRITABLE_BY_OTHERS = 0o022;

const hostPathSchema = z
  .string()
  .max(4096)
  .regex(/^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/, 'expected an absolute path');

const editsSchema = z.object({
  env: z.array(z.string().max(8192)).max(256).nullish(),
  deviceNodes: z
    .array(z.object({ path: hostPathSchema, hostPath: hostPathSchema.nullish() }))
    .max(1024)
    .nullish(),
  mounts: z
    .array(z.object({ hostPath: hostPathSchema, containerPath: hostPathSchema }))
    .max(4096)
    .nullish(),
  hooks: z
    .array(z.object({ path: z.string().max(4096), args: z.array(z.string().max(8192)).max(4096).nullish() }))
    .max(256)
    .nullish(),
});
export type CdiEdits = z.output<typeof editsSchema>;

const specSchema = z.object({
  cdiVersion: z.string().regex(/^v?(0\.[3-9]|1\.[0-9])\.[0-9]{1,3}$/, 'a version of CDI that is not known here'),
  kind: z.string().max(256),
  containerEdits: editsSchema.nullish(),
  devices: z.array(z.object({ name: z.string().min(1).max(256), containerEdits: editsSchema })).max(4096),
});
export type CdiSpec = z.output<typeof specSchema>;

export type CdiReading =
  | { readonly kind: 'spec'; readonly file: string; readonly spec: CdiSpec }
  | { readonly kind: 'refused'; readonly file: string; readonly reason: string };

/** Specs of NVIDIA GPUs, and what cannot be taken for one, in the order of the folders and of their names. */
export async function readCdiSpecs(folders: readonly string[]): Promise<readonly CdiReading[]> {
  const files = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => []);
      return names
        .filter((name) => ['.json', '.yaml'].includes(extname(name)))
        .toSorted()
        .map((name) => join(folder, name));
    }),
  );
  const readings = await Promise.all(files.flat().slice(0, MAX_SPECS).map(readSpec));
  return readings.filter((reading) => reading.kind === 'refused' || reading.spec.kind === CDI_KIND);
}

/** Whoever may write a spec chooses which files of the host programs see. */
async function readSpec(file: string): Promise<CdiReading> {
  const refuse = (reason: string): CdiReading => ({ kind: 'refused', file, reason: reason.slice(0, 200) });
  try {
    const { size, mode, uid } = await stat(file);
    if (size > MAX_SPEC_BYTES) return refuse(`it is larger than ${MAX_SPEC_BYTES} bytes`);
    if (uid !== 0 && uid !== process.getuid?.()) return refuse('it belongs neither to root nor to this user');
    if ((mode & WRITABLE_BY_OTHERS) !== 0) return refuse('others may write to it');
    return parseSpec(file, await readFile(file, 'utf8'));
  } catch (error) {
    return refuse(describeError(error));
  }
}

/** Never throws. JSON is YAML. */
export function parseSpec(file: string, text: string): CdiReading {
  try {
    const parsed = specSchema.safeParse(parse(text, { maxAliasCount: 0, logLevel: 'silent' }));
    if (parsed.success) return { kind: 'spec', file, spec: parsed.data };
    const [issue] = parsed.error.issues;
    return { kind: 'refused', file, reason: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`.slice(0, 200) };
  } catch (error) {
    return { kind: 'refused', file, reason: describeError(error).slice(0, 200) };
  }
}
