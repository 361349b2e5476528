/**
 * npm run fuzz:evidence -- KIND... [--sample N --seed S]: every bit of genuine evidence flipped, and the evidence cut at
 * every length. Ends with exit code 1 if any change is accepted.
 */
import { parseArgs } from 'node:util';
import { NodeEvidenceCrypto } from '../src/tee/crypto/node-evidence-crypto.ts';
import type { FuzzTarget } from './fuzz-evidence/interface.ts';
import { FUZZ_KINDS } from './fuzz-evidence/kinds.ts';
import { MemoCrypto } from './fuzz-evidence/memo-crypto.ts';
import { fuzz } from './fuzz-evidence/run.ts';

const HELP = `Usage: npm run fuzz:evidence -- [KIND...] [--sample N] [--seed S]

  KIND        ${Object.keys(FUZZ_KINDS).join(', ')}; all of them if none is given
  --sample N  only every N-th bit and length
  --seed S    where the sample begins; 0 by default

Every bit of genuine evidence is flipped, one at a time, and the evidence is cut at every length. None may be accepted
but bits in bytes that are listed as signed by nobody, and cuts that only take padding.`;

function parseNumber(text: string): number | undefined {
  return /^\d{1,9}$/u.test(text) ? Number(text) : undefined;
}

async function run(target: FuzzTarget, sample: { readonly stride: number; readonly start: number }): Promise<boolean> {
  const startMs = performance.now();
  const report = await fuzz(target, {
    ...sample,
    crypto: new MemoCrypto({ crypto: new NodeEvidenceCrypto() }),
    onProgress: (done, of) => console.error(`${target.name}: ${Math.floor((100 * done) / of)} %`),
  });
  const seconds = Math.round((performance.now() - startMs) / 1000);
  console.log(
    `${target.name}: ${target.evidence.length} bytes, ${report.bits} bits flipped, ${report.lengths} lengths, ` +
      `${report.harmless} changes of unsigned bytes or padding accepted, ${report.faults.length} faults, ${seconds} s`,
  );
  for (const fault of report.faults.slice(0, 20)) console.log(`  ${fault}`);
  return report.faults.length === 0;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      sample: { type: 'string', default: '1' },
      seed: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const [stride, start] = [parseNumber(values.sample), parseNumber(values.seed)];
  const unknown = positionals.filter((kind) => !(kind in FUZZ_KINDS));
  if (stride === undefined || stride === 0 || start === undefined || unknown.length > 0) {
    console.error(
      unknown.length > 0 ? `no such kind: ${unknown.join(', ')}` : '--sample and --seed take whole numbers',
    );
    process.exitCode = 2;
    return;
  }
  for (const [kind, list] of Object.entries(FUZZ_KINDS)) {
    if (positionals.length > 0 && !positionals.includes(kind)) continue;
    for (const target of list()) if (!(await run(target, { stride, start }))) process.exitCode = 1;
  }
}

await main();
