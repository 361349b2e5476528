/**
 * Writes the test vectors of docs/stepping.md.
 *   scripts/node scripts/generate-stepping-vectors.ts            write them
 *   scripts/node scripts/generate-stepping-vectors.ts --check    exit 1 if a file differs from what would be written
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { renderVector, VECTOR_PLANS, VECTORS_FOLDER } from '../test/support/stepping-vectors.ts';

const HELP = `usage: scripts/generate-stepping-vectors.ts [--check]

Runs the modules of test/vectors/stepping and writes a file of checkpoints for each. With --check it writes nothing and
exits 1 if a file differs.`;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    console.log(HELP);
    return;
  }
  for (const plan of VECTOR_PLANS) {
    const path = join(VECTORS_FOLDER, `${plan.name}.json`);
    const wanted = renderVector(plan);
    if (values.check !== true) await writeFile(path, wanted);
    else if ((await readFile(path, 'utf8').catch(() => '')) !== wanted) {
      console.error(`${path} differs; run scripts/node scripts/generate-stepping-vectors.ts`);
      process.exitCode = 1;
    }
  }
}

await main();
