import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A folder of programs/ with a Cargo.toml. */
export interface ProgramSource {
  /** That of the folder and of the Cargo package, as in `proof-anchor`. */
  readonly packageName: string;
  /** That of the library and of the artefact, as in `proof_anchor`. */
  readonly crateName: string;
  /** SHA-256 over the names and bytes of everything that is compiled, the workspace's two files included. */
  readonly sourcesSha256: string;
}

const WORKSPACE_FILES = ['Cargo.toml', 'Cargo.lock'];

export function listPrograms(programsFolder: string): readonly ProgramSource[] {
  return readdirSync(programsFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(programsFolder, entry.name, 'Cargo.toml')))
    .map(({ name }) => name)
    .sort()
    .map((packageName) => ({
      packageName,
      crateName: packageName.replaceAll('-', '_'),
      sourcesSha256: computeSourcesSha256(programsFolder, packageName),
    }));
}

function computeSourcesSha256(programsFolder: string, packageName: string): string {
  const hash = createHash('sha256');
  const files = [...WORKSPACE_FILES, join(packageName, 'Cargo.toml'), ...listFiles(programsFolder, packageName)];
  for (const file of files) {
    const digest = createHash('sha256')
      .update(readFileSync(join(programsFolder, file)))
      .digest('hex');
    hash.update(`${digest}  ${file}\n`);
  }
  return hash.digest('hex');
}

function listFiles(programsFolder: string, packageName: string): readonly string[] {
  const folder = join(packageName, 'src');
  return readdirSync(join(programsFolder, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(programsFolder.length + 1))
    .sort();
}
