import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type ChildProgram, createWasmChildProgram } from '../../src/sandbox/isolation/child-program.ts';

const ROOT = join(import.meta.dirname, '../..');

const toBuilt = (path: string): string => path.replace(join(ROOT, 'src'), join(ROOT, 'dist')).replace(/\.ts$/, '.js');

function listFiles(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.ts')).map((name) => join(path, name));
}

function isBuilt(source: string): boolean {
  const built = statSync(toBuilt(source), { throwIfNoEntry: false });
  return built !== undefined && built.mtimeMs >= statSync(source).mtimeMs;
}

/**
 * The child as daemons start it: what `npm run build` made of it, which starts in a quarter of the processor time; the
 * sources where they are newer.
 */
export function findChildProgram(): ChildProgram {
  const sources = createWasmChildProgram();
  const isCurrent = sources.readable.flatMap(listFiles).every(isBuilt);
  return isCurrent ? { entry: toBuilt(sources.entry), readable: sources.readable.map(toBuilt) } : sources;
}
