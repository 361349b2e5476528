/**
 * Writes programs/proof-anchor/COSTS.md: what each instruction costs, measured with the committed artefact in LiteSVM, the
 * virtual machine of Solana. Equal artefacts give equal numbers. `--check` writes nothing and fails if the page is out of
 * date.
 * Usage: scripts/node scripts/generate-program-costs.ts [--check]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LOG_BYTES } from '../src/chain/generated/proof-anchor.ts';
import { encodeAnchorLeaf, encodeLogEntry } from '../src/domain/anchor.ts';
import { computeLeafHash, computeNodeHash } from '../src/proofs/merkle.ts';
import { digestOf, LogRig } from '../test/support/log-rig.ts';
import { addressOf, type Outcome, readProgram } from '../test/support/program-chain.ts';

const PAGE = join(import.meta.dirname, '../programs/proof-anchor/COSTS.md');

/** https://solana.com/docs/core/fees: 5,000 lamports a signature. Each transaction here has one. */
const LAMPORTS_PER_SIGNATURE = 5_000;
const TRANSACTION_BYTES = 1_232;
const HASH_BYTES = 32;
const MICROLAMPORTS = 1_000_000;
const SIZE_OFFSET = 88;
const FRONTIER_OFFSET = 128;

interface Row {
  readonly what: string;
  readonly outcome: Outcome;
}

function assertAccepted(what: string, outcome: Outcome): Row {
  if (outcome.error !== null) throw new Error(`${what} failed: ${outcome.error}`);
  return { what, outcome };
}

/** A path of `depth` siblings from leaf 0, with the root that it leads to: nobody needs the other leaves. */
function buildPath(depth: number) {
  const digest = digestOf(`leaf at depth ${depth}`);
  const path = Array.from({ length: depth }, (_, level) => digestOf(`sibling ${level}`));
  const leaf = computeLeafHash(encodeAnchorLeaf({ kind: 'receipt', digest }));
  return { digest, path, root: path.reduce((left, right) => computeNodeHash(left, right), leaf), size: 2 ** depth };
}

function measureLifecycle(): Row[] {
  const rig = new LogRig();
  const created = assertAccepted('`create_log`', rig.send([rig.createLog()], rig.owner));
  rig.chain.advance();
  const delegated = rig.send([rig.setDelegate(addressOf(rig.delegate))], rig.owner);
  const closed = rig.send([rig.closeLog()], rig.owner);
  return [created, assertAccepted('`set_delegate`', delegated), assertAccepted('`close_log`', closed)];
}

function measureAppends(): Row[] {
  const rig = LogRig.created();
  const rows: Row[] = [];
  for (let entry = 0; entry <= 1023; entry += 1) {
    const outcome = rig.anchor({ batchRoot: digestOf(`root ${entry}`), batchSize: 1_000 });
    if ([0, 1, 1_000, 1_023].includes(entry))
      rows.push({ what: `\`append\`, entry ${entry.toLocaleString('en')}`, outcome });
  }
  return [
    ...rows,
    measureWorstAppend('all subtrees joined', 2n ** 39n - 1n),
    measureWorstAppend('last of all', 2n ** 40n - 2n),
  ];
}

/** The frontier of so many entries, without them. */
function measureWorstAppend(what: string, size: bigint): Row {
  const rig = LogRig.created();
  rig.forge((data) => {
    new DataView(data.buffer).setBigUint64(SIZE_OFFSET, size, true);
    for (let level = 0; level < 40; level += 1) data.set(digestOf(`subtree ${level}`), FRONTIER_OFFSET + 32 * level);
  });
  return assertAccepted(
    `\`append\`, entry ${size.toLocaleString('en')} (${what})`,
    rig.send([rig.append()], rig.owner),
  );
}

function measureVerifyRecent(depth: number): Row {
  const rig = LogRig.created();
  const { digest, path, root, size } = buildPath(depth);
  rig.anchor({ batchRoot: root, batchSize: size });
  const args = { generation: rig.state().generation, entry: 0n, kind: 1, digest, leafIndex: 0n, path };
  return assertAccepted(`\`verify_recent\`, ${depth} hashes`, rig.send([rig.verifyRecent(args)], rig.stranger));
}

/** The last entry but one of a log of 1,024, with the head that its path leads to. */
function measureVerifyLogged(depth: number, logDepth: number): Row {
  const rig = LogRig.created();
  const { digest, path, root, size } = buildPath(depth);
  const logPath = Array.from({ length: logDepth }, (_, level) => digestOf(`log sibling ${level}`));
  const leaf = computeLeafHash(encodeLogEntry({ batchRoot: root, batchSize: size }));
  rig.forge((data) => {
    new DataView(data.buffer).setBigUint64(SIZE_OFFSET, 2n ** BigInt(logDepth), true);
    data.set(
      logPath.reduce((left, right) => computeNodeHash(left, right), leaf),
      96,
    );
  });
  const { generation } = rig.state();
  const args = { generation, entry: 0n, kind: 1, digest, leafIndex: 0n, batchSize: BigInt(size), path, logPath };
  const what = `\`verify_logged\`, ${depth} + ${logDepth} hashes`;
  return assertAccepted(what, rig.send([rig.verifyLogged(args)], rig.stranger));
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

const count = (value: number | bigint): string => value.toLocaleString('en');
const decimal = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: 3 });

/** The most hashes that fit, from the bytes of the last row of an instruction, which has `hashes` of them. */
function countHashes(rows: readonly Row[], instruction: string, hashes: number): number {
  const bytes = rows.findLast(({ what }) => what.startsWith(`\`${instruction}\``))?.outcome.bytes ?? 0;
  return hashes + Math.floor((TRANSACTION_BYTES - bytes) / HASH_BYTES);
}

/** Lamports a job: every signature of the log's life, its rent given back. */
function computeLamportsPerJob(
  jobs: { readonly anchors: number; readonly receipts: number },
  priorityLamports: number,
): number {
  const signatures = jobs.anchors + 2;
  return (signatures * LAMPORTS_PER_SIGNATURE + jobs.anchors * priorityLamports) / (jobs.anchors * jobs.receipts);
}

function renderJobs(appendUnits: number): string {
  const prices = [0, 1_000, 100_000];
  const rows = [1_000, 10_000].flatMap((receipts) =>
    [1, 10, 1_000].map((anchors) => [
      `${count(receipts)} receipts an anchor, ${count(anchors)} ${anchors === 1 ? 'anchor' : 'anchors'} between create and close`,
      ...prices.map((price) =>
        decimal(computeLamportsPerJob({ anchors, receipts }, Math.ceil((appendUnits * price) / MICROLAMPORTS))),
      ),
    ]),
  );
  return renderTable(['lamports a job', ...prices.map((price) => `${count(price)} µlamports a unit`)], rows);
}

export function renderCosts(): string {
  const appends = measureAppends();
  const worst = Math.max(...appends.map(({ outcome }) => outcome.computeUnits));
  const rows = [
    ...measureLifecycle(),
    ...appends,
    ...[0, 10, 14, 20].map(measureVerifyRecent),
    ...(
      [
        [10, 10],
        [14, 10],
        [14, 15],
      ] as const
    ).map(([depth, logDepth]) => measureVerifyLogged(depth, logDepth)),
  ];
  const rig = LogRig.created();
  const rent = rig.chain.lamports(rig.log);
  const programBytes = readProgram('proof_anchor').length;
  return `# What proof-anchor costs

Generated by \`scripts/generate-program-costs.ts\` with the artefact of ${count(programBytes)} bytes in LiteSVM; do not edit.
Compute units are those of the whole transaction, which holds that instruction alone and has one signature: a fee of
${count(LAMPORTS_PER_SIGNATURE)} lamports. \`create_log\` looks for the bump of the address, which costs 1,500 units more for each that is
not the canonical one.

${renderTable(
  ['instruction', 'compute units', 'bytes of the transaction'],
  rows.map(({ what, outcome }) => [what, count(outcome.computeUnits), count(outcome.bytes)]),
)}

A transaction has at most ${count(TRANSACTION_BYTES)} bytes: ${countHashes(rows, 'verify_recent', 20)} hashes for \`verify_recent\`, ${countHashes(rows, 'verify_logged', 29)} in both paths together for
\`verify_logged\`. A program that calls this one is not bound by that.

## A log

The account has ${count(LOG_BYTES)} bytes and holds ${count(rent)} lamports, all of which \`close_log\` gives back. Deploying the program
costs ${count(rig.chain.rent(programBytes + 45))} lamports of rent for its code, once for everybody, given back when it is closed.

## A job

Every signature from \`create_log\` to \`close_log\` is counted; the rent is given back, so that its net cost is nothing (what
it could have earned meanwhile is not counted). The goal is below 10 lamports at 1,000 receipts an anchor, the floor 20.
A priority fee is paid for the ${count(worst)} units of the most expensive \`append\`.

${renderJobs(worst)}
`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    console.log(
      'Usage: scripts/node scripts/generate-program-costs.ts [--check]\nWrites programs/proof-anchor/COSTS.md.',
    );
    return;
  }
  // The page is about the artefact that is committed, whatever is being tested.
  delete process.env['FOGPROOF_PROGRAMS_DIR'];
  const text = renderCosts();
  if (values.check !== true) {
    await writeFile(PAGE, text);
    return;
  }
  const found = await readFile(PAGE, 'utf8').catch(() => '');
  if (found === text) return;
  console.error('programs/proof-anchor/COSTS.md is out of date: run scripts/node scripts/generate-program-costs.ts');
  process.exitCode = 1;
}

if (import.meta.main) await main();
