import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { computeLocalProgramAddress } from '../../domain/chain.ts';
import { describeError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { GenesisProgram } from '../../localnet/interface.ts';
import { LocalnetCommandError } from './errors.ts';

/** In the repository and in the package alike, it lies three folders up from here. */
const ARTEFACTS = fileURLToPath(new URL('../../../programs/artifacts', import.meta.url));
const MAX_MANIFEST_BYTES = 256 * 1024;
const MAX_PROGRAM_BYTES = 4 * 1024 * 1024;

const manifestSchema = z.object({
  programs: z.record(
    z.string().regex(/^[a-z][a-z0-9_]{0,62}$/),
    z.object({ file: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  ),
});

/** Our programs as they were built; none where nothing was built. @throws LocalnetCommandError CLI_BAD_ARTEFACT */
export async function readPrograms(directory = ARTEFACTS): Promise<readonly GenesisProgram[]> {
  const path = join(directory, 'manifest.json');
  const manifest = await readArtefact(path, MAX_MANIFEST_BYTES);
  if (manifest === undefined) return [];
  const { programs } = parseManifest(path, manifest);
  return await Promise.all(
    Object.entries(programs).map(async ([key, { file, sha256 }]) => {
      const program = join(directory, basename(file));
      const bytes = await readArtefact(program, MAX_PROGRAM_BYTES);
      if (bytes === undefined) throw bad(program, 'the manifest names it and it is not there');
      if (createHash('sha256').update(bytes).digest('hex') !== sha256)
        throw bad(program, 'its SHA-256 is not that of the manifest');
      const name = key.replaceAll('_', '-');
      return { name, address: computeLocalProgramAddress(name), bytes: new Uint8Array(bytes) };
    }),
  );
}

function parseManifest(path: string, bytes: Buffer): z.output<typeof manifestSchema> {
  try {
    return manifestSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw bad(path, describeError(error), error);
  }
}

async function readArtefact(path: string, maxBytes: number): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw bad(path, `it has ${size} bytes, more than ${maxBytes}`);
    return await readFile(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    if (error instanceof LocalnetCommandError) throw error;
    throw bad(path, describeError(error), error);
  }
}

function bad(path: string, reason: string, cause?: unknown): LocalnetCommandError {
  return new LocalnetCommandError({ code: 'CLI_BAD_ARTEFACT', path, reason }, { cause });
}
