import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { describeError } from '../../src/lib/errors.ts';
import { ProgramBuildError } from './errors.ts';

/** programs/artifacts/manifest.json: what each artefact was made of and with. */
const SHA256 = z.string().regex(/^[0-9a-f]{64}$/);

const PROGRAM = z.strictObject({
  file: z.string().regex(/^[a-z0-9_]+\.so$/),
  sha256: SHA256,
  sizeBytes: z.int().positive(),
  instructions: z.int().positive(),
  syscalls: z.array(z.string()),
  sourcesSha256: SHA256,
  toolchain: z.strictObject({
    rustc: z.string(),
    cargo: z.string(),
    llvm: z.string(),
    relinker: z.int().positive(),
  }),
});

const MANIFEST = z.strictObject({
  target: z.literal('sbpf-v3'),
  programs: z.record(z.string(), PROGRAM),
});

export type ProgramRecord = z.infer<typeof PROGRAM>;
export type Manifest = z.infer<typeof MANIFEST>;

export const EMPTY_MANIFEST: Manifest = { target: 'sbpf-v3', programs: {} };

const MAX_MANIFEST_BYTES = 1024 * 1024;

export function parseManifest(text: string, path: string): Manifest {
  if (text.length > MAX_MANIFEST_BYTES) {
    throw new ProgramBuildError({ code: 'PROGRAMS_MANIFEST', path, reason: `more than ${MAX_MANIFEST_BYTES} bytes` });
  }
  try {
    return MANIFEST.parse(JSON.parse(text));
  } catch (error) {
    throw new ProgramBuildError({ code: 'PROGRAMS_MANIFEST', path, reason: describeError(error) }, { cause: error });
  }
}

/** Programs in alphabetical order, so that a rebuild changes only what has changed. */
export function formatManifest(manifest: Manifest): string {
  const programs = Object.fromEntries(Object.entries(manifest.programs).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ ...manifest, programs }, null, 2)}\n`;
}

export function readManifest(folder: string): Manifest {
  const path = join(folder, 'manifest.json');
  try {
    return parseManifest(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof ProgramBuildError) throw error;
    throw new ProgramBuildError({ code: 'PROGRAMS_MANIFEST', path, reason: describeError(error) }, { cause: error });
  }
}

export function writeManifest(folder: string, manifest: Manifest): void {
  writeFileSync(join(folder, 'manifest.json'), formatManifest(manifest));
}
