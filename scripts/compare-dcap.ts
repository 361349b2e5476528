/**
 * npm run compare:dcap -- --library FOLDER [--write]: our verdicts on Intel's quotes beside those of npm's DCAP libraries,
 * which are installed elsewhere for it. A difference that is not explained here ends it with an error, and so does an
 * explained one that is none any more.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { NodeEvidenceCrypto } from '../src/tee/crypto/node-evidence-crypto.ts';
import { verifyQuote } from '../src/tee/dcap/verify-quote.ts';
import { type DcapCase, listDcapCases, SGX_IDENTITY } from './compare-dcap/cases.ts';
import { type DcapLibrary, INSTALL, loadLibraries } from './compare-dcap/libraries.ts';

const PAGE = join(import.meta.dirname, '../docs/reports/dcap-comparison.md');

const HELP = `Usage: npm run compare:dcap -- --library FOLDER [--write]

Compares the verdicts on test/vectors/attestation with those of npm's DCAP libraries, installed in FOLDER with
${INSTALL}. They are no dependencies: they accept collateral that must be refused.
Ends with exit code 1 if a verdict differs where no reason is known, or a difference with a known reason is gone.

  --write  writes docs/reports/dcap-comparison.md`;

const MODULE_RULE =
  "it compares the TDX module's components with the platform's levels though TEE_TCB_SVN[1] is above 0; Intel then leaves them to tdxModuleIdentities";
const LISTS_BY_WHOMEVER = 'it does not check who signed a revocation list';
const NO_LISTS = 'it takes an empty revocation list for one that revokes nothing';

/** Verdicts that differ, and why: by library and case. */
const EXPLAINED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '@phala/dcap-qvl': {
    'tdx/tdx-v4-gcp-cos113': MODULE_RULE,
    'tdx/tdx-v4-azure-trustee': MODULE_RULE,
    'tdx/negative/tdx-v4-collateral-crl-badsig': 'it does not check the signature of revocation lists',
    'tdx/negative/tdx-v4-collateral-crl-attacker-empty': LISTS_BY_WHOMEVER,
    'tdx/negative/tdx-v4-collateral-crl-missing': NO_LISTS,
  },
  '@phala/dcap-qvl-web': {
    'tdx/tdx-v4-gcp-cos113': MODULE_RULE,
    'tdx/tdx-v4-azure-trustee': 'it refuses every TD without SEPT_VE_DISABLE, which is for a policy to ask for',
    [SGX_IDENTITY]: "it takes the identity of SGX's quoting enclave for that of a TD's",
  },
};

async function judgeOurs({ kind, quote, collateral, atMs }: DcapCase): Promise<string> {
  const crypto = new NodeEvidenceCrypto();
  const { checks, claims } = await verifyQuote({ kind, quote, collateral, policy: 'waived', atMs, crypto });
  const open = checks.filter(({ name, verdict }) => verdict !== 'passed' && name !== 'tcb');
  if (open.length > 0) return `refused: ${open.map(({ name }) => name).join(', ')}`;
  return claims?.tcb?.status ?? 'no status';
}

const REFUSED = ['refused', 'not asked', 'NotSupported'];
const isRefused = (verdict: string): boolean => REFUSED.some((word) => verdict.startsWith(word));

interface Row {
  readonly name: string;
  readonly day: string;
  readonly ours: string;
  readonly theirs: readonly string[];
  /** Of each library that differs. */
  readonly notes: readonly string[];
  readonly problems: readonly string[];
}

async function compare(given: DcapCase, libraries: readonly DcapLibrary[]): Promise<Row> {
  const ours = await judgeOurs(given);
  const notes: string[] = [];
  const problems: string[] = [];
  const theirs = libraries.map((library) => {
    const { name } = library;
    const verdict = library.judge(given);
    const isSame = ours === verdict || (isRefused(ours) && isRefused(verdict));
    const reason = EXPLAINED[name]?.[given.name];
    if (!isSame) notes.push(`${name}: ${reason ?? 'NO REASON IS KNOWN'}`);
    if (!isSame && reason === undefined) problems.push(`${given.name}: ${name} differs and no reason is known`);
    if (isSame && reason !== undefined) problems.push(`${given.name}: ${name} differs no more; drop its explanation`);
    return verdict;
  });
  return { name: given.name, day: new Date(given.atMs).toISOString().slice(0, 10), ours, theirs, notes, problems };
}

/** Explanations of cases that there are not. */
function listStale(libraries: readonly DcapLibrary[], rows: readonly Row[]): readonly string[] {
  const known = new Set(rows.map(({ name }) => name));
  return libraries.flatMap(({ name }) =>
    Object.keys(EXPLAINED[name] ?? {})
      .filter((stem) => !known.has(stem))
      .map((stem) => `${stem}: ${name} has an explanation of it, and there is no such case`),
  );
}

function render(rows: readonly Row[], libraries: readonly DcapLibrary[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const names = libraries.map(({ name, version }) => `${name} ${version}`);
  return [
    '# Intel quotes: verdicts of others beside ours',
    '',
    'Written by `npm run compare:dcap -- --library FOLDER --write`, with the libraries installed in FOLDER by',
    `\`${INSTALL}\`. They are no dependencies, so that no check of the`,
    'repository runs this. A difference without an explanation fails it, and so does an explanation without a difference. All are judged',
    'with the same quote, the same collateral and as of the same day; the code is waived, and a status is a verdict. Which status is',
    'accepted is for a policy to say. Refusals are the same whatever the reason that is told.',
    '',
    `| vector | as of | ours | ${names.join(' | ')} | where they differ |`,
    `|---|---|---|${names.map(() => '---|').join('')}---|`,
    ...rows.map(({ name, day, ours, theirs, notes }) => {
      return `| ${[name, day, ours, ...theirs, notes.join('; ')].map(cell).join(' | ')} |`;
    }),
    '',
  ].join('\n');
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      library: { type: 'string' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.library === undefined) {
    console.error('--library is needed; see --help');
    return 2;
  }
  const libraries = await loadLibraries(values.library);
  const rows: Row[] = [];
  for (const given of listDcapCases()) {
    const row = await compare(given, libraries);
    rows.push(row);
    const theirs = row.theirs.map((verdict, index) => `\n  ${libraries[index]?.name ?? ''}  ${verdict}`).join('');
    console.log(
      `${row.name}\n  ours  ${row.ours}${theirs}\n  ${row.notes.length === 0 ? 'same' : `DIFFERS: ${row.notes.join('; ')}`}`,
    );
  }
  const problems = [...rows.flatMap((row) => row.problems), ...listStale(libraries, rows)];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) return 1;
  if (values.write) await writeFile(PAGE, render(rows, libraries));
  return 0;
}

process.exitCode = await main();
