/**
 * Writes docs/reports/evidence-verdicts.md: every vector of test/vectors/attestation, what the page that came with it
 * expects, and what Fogproof says. A difference that is not explained here ends it with an error. `--check` writes nothing
 * and fails if the page is out of date.
 * Usage: scripts/node scripts/generate-evidence-verdicts.ts [--check]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { NodeEvidenceCrypto } from '../src/tee/crypto/node-evidence-crypto.ts';
import { TCB_STATUSES } from '../src/tee/dcap/tcb/tcb-status.ts';
import { verifyQuote } from '../src/tee/dcap/verify-quote.ts';
import type { EvidenceCheck, EvidenceVerdict } from '../src/tee/interface.ts';
import { verifyGpuEvidence } from '../src/tee/nvidia/verify-gpu-evidence.ts';
import { verifySevSnp } from '../src/tee/sev-snp/verify-sev-snp.ts';
import { INTEL_VECTORS, readIntelEvidence } from '../test/support/intel-vectors.ts';
import { buildNvidiaRequest, listNvidiaStems } from '../test/support/nvidia-vectors.ts';
import { buildSnpRequest, listSnpStems } from '../test/support/sev-snp-vectors.ts';

const PAGE = join(import.meta.dirname, '../docs/reports/evidence-verdicts.md');
const PROVENANCE = join(import.meta.dirname, '../test/vectors/attestation/README.md');

/** Where verdict or TCB status are other than expected, and why that is right. */
const EXPLAINED: Readonly<Record<string, string>> = {
  'sgx/sgx-v3-automata-onchain-test': 'genuine; its status is not in the policy, which accepts `UpToDate` alone',
  'sgx/sgx-v3-phala': 'genuine; its status is not in the policy, which accepts `UpToDate` alone',
  'tdx/tdx-v4-azure-trustee': 'genuine; its status is not in the policy, which accepts `UpToDate` alone',
  'tdx/tdx-v4-gotdx-spr-e4':
    "39 bytes of somebody's source code follow the quote, where zeros have to be; its platform is older than every level",
  'tdx/negative/tdx-v5-phala-outdated':
    'OutOfDate is what its publisher calls it. By Intel’s algorithm, as the page found too, no level fits: component 8 of its platform is 3, and every level of Intel’s list asks for 5',
  'tdx/negative/tdx-v4-collateral-tcbinfo-edited':
    'the edited TCB info would say so; its signature fails, so no status is read from it',
  'hopper-sample': 'the report states no firmware id, and nothing else says which manifests belong to it',
  'ls10-evidence-0': 'a genuine switch; the policy asks for a GPU',
};

/** Described below the tables there. */
const WITHOUT_COLLATERAL = {
  name: 'tdx/tdx-v5-gotdx-signature-only',
  verdict: 'parses, signatures hold, collateral missing, never valid',
};

/** Cells of the page. */
interface Expected {
  readonly verdict: string;
  /** Where the table has a column of it. */
  readonly status: string | undefined;
}

interface Judged {
  readonly name: string;
  readonly atMs: number;
  readonly verdict: EvidenceVerdict;
  readonly checks: readonly EvidenceCheck[];
  readonly status: string;
}

async function judgeSnp(): Promise<readonly Judged[]> {
  return await Promise.all(
    listSnpStems().map(async (stem) => {
      const request = buildSnpRequest(stem);
      const { verdict, checks } = await verifySevSnp(request);
      return { name: stem, atMs: request.atMs, verdict, checks, status: '' };
    }),
  );
}

async function judgeIntel(): Promise<readonly Judged[]> {
  const crypto = new NodeEvidenceCrypto();
  return await Promise.all(
    INTEL_VECTORS.map(async ({ stem, at }) => {
      const atMs = Date.parse(at);
      const { verdict, checks, claims } = await verifyQuote({
        ...readIntelEvidence(stem),
        policy: 'waived',
        atMs,
        crypto,
      });
      return { name: stem, atMs, verdict, checks, status: claims?.tcb?.status ?? '' };
    }),
  );
}

async function judgeNvidia(): Promise<readonly Judged[]> {
  return await Promise.all(
    listNvidiaStems().map(async (stem) => {
      const request = buildNvidiaRequest(stem);
      const { verdict, checks } = await verifyGpuEvidence(request);
      return { name: stem, atMs: request.atMs, verdict, checks, status: '' };
    }),
  );
}

/** Of every table that names vectors: the cells under `expected` and `TCB status`, by that under `file` or `file stem`. */
function readExpected(page: string): ReadonlyMap<string, Expected> {
  const expected = new Map<string, Expected>();
  expected.set(WITHOUT_COLLATERAL.name, { verdict: WITHOUT_COLLATERAL.verdict, status: undefined });
  let [column, statusColumn] = [-1, -1];
  for (const line of page.split('\n')) {
    if (!line.startsWith('|')) column = -1;
    const cells = line.split(/(?<!\|)\|(?!\|)/u).map((cell) => cell.trim());
    if (line.startsWith('| file')) {
      column = cells.indexOf('expected');
      statusColumn = cells.findIndex((cell) => cell.startsWith('TCB status'));
    } else if (column !== -1 && cells[1] !== undefined) {
      expected.set(cells[1], { verdict: cells[column] ?? '', status: cells[statusColumn] });
    }
  }
  return expected;
}

/** Where what was found is another than expected. The page's own `expected` is a status in one row. */
function listDifferences({ verdict, status }: Judged, expected: Expected): readonly string[] {
  const stated = [expected.status?.replace(/\(.*\)$/u, ''), isStatus(expected.verdict) ? expected.verdict : undefined];
  return [
    ...(classify(expected.verdict) === verdict ? [] : [`expected '${expected.verdict}', found ${verdict}`]),
    ...stated
      .filter((name) => name !== undefined && name !== status)
      .map((name) => `expected the status ${name}, found ${status === '' ? 'none' : status}`),
  ];
}

const isStatus = (text: string): boolean => TCB_STATUSES.some((status) => status === text);

function classify(expected: string): EvidenceVerdict {
  if (expected.startsWith('valid')) return 'valid';
  if (expected === WITHOUT_COLLATERAL.verdict) return 'unchecked';
  if (/REJECT|INVALID|OutOfDate/u.test(expected)) return 'invalid';
  throw new Error(`what is expected by '${expected}'? The tables of ${PROVENANCE} have another form now`);
}

function renderRow(judged: Judged, expected: ReadonlyMap<string, Expected>): string {
  const { name, atMs, verdict, checks, status } = judged;
  const stated = expected.get(name);
  const explanation = EXPLAINED[name];
  const differences = stated === undefined ? [] : listDifferences(judged, stated);
  if (differences.length > 0 && explanation === undefined) {
    throw new Error(`${name}: ${differences.join('; ')}: explain it in ${import.meta.filename} or repair it`);
  }
  if (stated !== undefined && differences.length === 0 && explanation !== undefined) {
    throw new Error(`${name} is as expected: it needs no explanation`);
  }
  const notPassed = checks.filter((check) => check.verdict !== 'passed');
  const found = notPassed.map((check) => `${check.name} ${check.verdict}`).join(', ');
  const day = new Date(atMs).toISOString().slice(0, 10);
  const cells = [
    name,
    day,
    stated?.verdict ?? 'not stated',
    verdict,
    stated?.status ?? '',
    status,
    found,
    explanation ?? '',
  ];
  return `| ${cells.map((cell) => cell.replaceAll('||', '\\|\\|')).join(' | ')} |`;
}

function render(parts: Readonly<Record<string, readonly Judged[]>>, expected: ReadonlyMap<string, Expected>): string {
  const tables = Object.entries(parts).flatMap(([title, judged]) => [
    `## ${title}`,
    '',
    '| vector | as of | expected | verdict | TCB status expected | TCB status | checks that did not pass | where it differs |',
    '|---|---|---|---|---|---|---|---|',
    ...judged.map((row) => renderRow(row, expected)),
    '',
  ]);
  return [
    '# Verdicts over all vectors',
    '',
    'Written by `scripts/node scripts/generate-evidence-verdicts.ts`; with `--check` it fails if this page is out of date.',
    'Expected is what the page says that the vectors came with (test/vectors/attestation/README.md), found there with',
    'independent tools. What is waived here, because it did not come with the vectors:',
    '',
    '- Which code runs: the policy accepts what the evidence itself states. TCB levels of AMD: any. Statuses of Intel are not',
    '  waived: its evidence is valid with `UpToDate` alone.',
    '- The revocation lists of AMD and NVIDIA: the policies say `acceptUnchecked: [revocation]`. No list of AMD is public with the',
    '  vectors, NVIDIA tells it online only. Without that word each row of theirs that is valid here is `unchecked`.',
    '- The manifests of NVIDIA: `acceptUnchecked` names `measurements`, too. The nonce is the one that the report states.',
    '',
    'What each check is: [attestation.md](../attestation.md).',
    '',
    ...tables,
  ].join('\n');
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
  const parts = {
    'SEV-SNP': await judgeSnp(),
    'TDX and SGX': await judgeIntel(),
    'NVIDIA GPUs': await judgeNvidia(),
  };
  const page = `${render(parts, readExpected(await readFile(PROVENANCE, 'utf8'))).trimEnd()}\n`;
  if (!values.check) {
    await writeFile(PAGE, page);
    return 0;
  }
  if ((await readFile(PAGE, 'utf8').catch(() => '')) === page) return 0;
  console.error(`${PAGE} is out of date: npm run generate`);
  return 1;
}

process.exitCode = await main();
