/**
 * Writes the test vectors of docs/confidential.md; test/vectors/confidential.test.ts compares them.
 *   scripts/node scripts/generate-confidential-vectors.ts            write them
 *   scripts/node scripts/generate-confidential-vectors.ts --check    exit 1 if the file differs from what would be written
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { buildConfidentialVectors } from '../test/support/confidential-vectors.ts';

const HELP = `usage: scripts/generate-confidential-vectors.ts [--check]

Seals the inputs, outputs and events of test/vectors/confidential and writes what came of it. With --check it writes
nothing and exits 1 if the file differs.`;

const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
if (values.help === true) console.log(HELP);
else {
  const path = new URL('../test/vectors/confidential/vectors.json', import.meta.url);
  const wanted = `${JSON.stringify(await buildConfidentialVectors(), null, 2)}\n`;
  if (values.check !== true) await writeFile(path, wanted);
  else if ((await readFile(path, 'utf8').catch(() => '')) !== wanted) {
    console.error(
      'test/vectors/confidential/vectors.json differs; run scripts/node scripts/generate-confidential-vectors.ts',
    );
    process.exitCode = 1;
  }
}
