/**
 * Writes schema/job.schema.json from the schema that the program itself uses.
 *   scripts/node scripts/generate-schema.ts            write it
 *   scripts/node scripts/generate-schema.ts --check    exit 1 if the file differs from what would be written
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { jobFileSchema } from '../src/domain/job-file.ts';

const HELP = `usage: scripts/generate-schema.ts [--check]

Writes schema/job.schema.json from src/domain/job-file.ts. With --check it writes nothing and exits 1 if they differ.`;
const PATH = fileURLToPath(new URL('../schema/job.schema.json', import.meta.url));

/** The published JSON Schema (draft 2020-12) of job files, as text. */
function renderSchema(): string {
  const schema = z.toJSONSchema(jobFileSchema, { io: 'input' });
  const head = {
    $schema: schema.$schema,
    title: 'Fogproof job',
    description: 'A job file for `fogproof job submit`; explained in docs/job-spec.md.',
  };
  return `${JSON.stringify({ ...head, ...schema }, null, 2)}\n`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    console.log(HELP);
    return;
  }
  const wanted = renderSchema();
  if (values.check !== true) {
    await writeFile(PATH, wanted);
    return;
  }
  const found = await readFile(PATH, 'utf8').catch(() => '');
  if (found === wanted) return;
  console.error(
    'schema/job.schema.json is not what src/domain/job-file.ts says; run scripts/node scripts/generate-schema.ts',
  );
  process.exitCode = 1;
}

await main();
