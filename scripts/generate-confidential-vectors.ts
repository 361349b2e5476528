/** Writes the test vectors of docs/confidential.md; test/vectors/confidential.test.ts compares them. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { buildConfidentialVectors } from '../test/support/confidential-vectors.ts';

const HELP = `usage: scripts/generate-confidential-vectors.ts

Seals the inputs, outputs and events of test/vectors/confidential and writes what came of it.`;

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
if (values.help === true) console.log(HELP);
else {
  const path = new URL('../test/vectors/confidential/vectors.json', import.meta.url);
  await writeFile(path, `${JSON.stringify(await buildConfidentialVectors(), null, 2)}\n`);
}
