/**
 * Writes src/chain/generated/<program>.ts from programs/<program>/idl.json. `--check` writes nothing and fails if a file
 * differs from what would be written.
 * Usage: scripts/node scripts/generate-programs.ts [--check]
 */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseIdl } from './programs/idl/idl.ts';
import { renderProgram } from './programs/idl/render.ts';

const ROOT = join(import.meta.dirname, '..');

function format(text: string, path: string): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/@biomejs/biome/bin/biome'), 'check', '--write', `--stdin-file-path=${path}`],
    { cwd: ROOT, input: text, encoding: 'utf8' },
  );
  if (status !== 0 || stderr.includes('━')) throw new Error(`biome cannot format ${path}: ${stderr}`);
  return stdout;
}

/** Path in the repository and text of every generated file. */
async function renderAll(): Promise<(readonly [path: string, text: string])[]> {
  const folders = await readdir(join(ROOT, 'programs'), { withFileTypes: true });
  const files: (readonly [string, string])[] = [];
  for (const { name } of folders.filter((entry) => entry.isDirectory())) {
    const source = `programs/${name}/idl.json`;
    const text = await readFile(join(ROOT, source), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const path = `src/chain/generated/${name}.ts`;
    files.push([path, format(renderProgram(parseIdl(text), source), path)]);
  }
  return files;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    console.log(
      'Usage: scripts/node scripts/generate-programs.ts [--check]\nWrites src/chain/generated from programs/*/idl.json.',
    );
    return;
  }
  for (const [path, text] of await renderAll()) {
    if (values.check !== true) {
      await mkdir(join(ROOT, 'src/chain/generated'), { recursive: true });
      await writeFile(join(ROOT, path), text);
      continue;
    }
    const found = await readFile(join(ROOT, path), 'utf8').catch(() => '');
    if (found === text) continue;
    console.error(`${path} is out of date: run scripts/node scripts/generate-programs.ts`);
    process.exitCode = 1;
  }
}

if (import.meta.main) await main();
