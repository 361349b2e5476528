/** Builds the root file system of examples/command: one program, linked with all that it needs, in an archive. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import tar from 'tar-stream';

const C_OPTIONS = ['-O2', '-static', '-ffp-contract=off', '-Wall', '-Wextra', '-Werror'];
const COMPILERS = ['clang', 'gcc', 'cc'];

/** A compiler that can link programs which need no libraries at run time; undefined if there is none. */
export function findStaticCompiler(): string | undefined {
  return COMPILERS.find((compiler) => {
    const options = ['-x', 'c', '-static', '-o', '/dev/null', '-'];
    return spawnSync(compiler, options, { input: 'int main(void) { return 0; }' }).status === 0;
  });
}

/** Compiles C to a program that needs nothing but a kernel. @throws Error with what the compiler says */
export function compileStatic(compiler: string, source: string, output: string): void {
  const { status, stderr } = spawnSync(compiler, [...C_OPTIONS, '-o', output, source, '-lm'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${source} does not compile:\n${stderr}`);
}

export interface RootEntry {
  /** Path without a leading slash. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A tar of programs, the same bytes for the same programs. */
export async function packRoot(entries: readonly RootEntry[]): Promise<Buffer> {
  const pack = tar.pack();
  for (const { name, bytes } of entries) pack.entry({ name, mode: 0o755, mtime: new Date(0) }, Buffer.from(bytes));
  pack.finalize();
  const parts: Buffer[] = [];
  for await (const part of pack) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export async function buildRoot(
  compiler: string,
  paths: { readonly source: string; readonly program: string; readonly archive: string },
): Promise<void> {
  const compiled = `${paths.archive}.program`;
  compileStatic(compiler, paths.source, compiled);
  writeFileSync(paths.archive, gzipSync(await packRoot([{ name: paths.program, bytes: readFileSync(compiled) }])));
  rmSync(compiled);
}
