import type { AnchorView } from '../../chain/interface.ts';
import type { AnchorCheck } from '../../rpc/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { renderFields, shortId } from '../format.ts';
import type { CliOutput } from '../interface.ts';
import { formatSol } from '../sol-amount.ts';

const HEAD = [
  'BATCH',
  'STATE',
  'RECEIPTS',
  'CHECKPOINTS',
  'ROOT',
  'ENTRY',
  'TRANSACTION',
  'SLOT',
  'CU',
  'LAMPORTS',
  'A RECEIPT',
];

export interface RenderAnchorsOptions {
  readonly output: Pick<CliOutput, 'table'>;
  readonly isFull: boolean;
}

export function renderAnchors(anchors: readonly JsonForm<AnchorView>[], options: RenderAnchorsOptions): string[] {
  const { output, isFull } = options;
  if (anchors.length === 0) return ['nothing was anchored yet: receipts of jobs are, once there are some'];
  const short = (text: string): string => (isFull ? text : shortId(text));
  const rows = anchors.map((anchor) => [
    String(anchor.batch),
    anchor.isOtherChain ? 'other chain' : anchor.state,
    String(anchor.receipts),
    String(anchor.checkpoints),
    anchor.batchRoot === null ? '-' : short(formatRoot(anchor.batchRoot)),
    showNumber(anchor.entry),
    anchor.transaction === null ? '-' : short(anchor.transaction),
    showNumber(anchor.slot),
    showNumber(anchor.computeUnits),
    anchor.feeLamports ?? '-',
    formatShare(anchor),
  ]);
  const problems = anchors.flatMap(({ batch, problem }) =>
    problem === null ? [] : [`batch ${batch} waits: ${problem.code}: ${problem.message}`],
  );
  const others = [...new Set(anchors.filter(({ isOtherChain }) => isOtherChain).map(({ genesis }) => genesis))];
  const remarks = [
    ...others.map((genesis) => `other chain: final on the chain with genesis ${genesis}, of an earlier network`),
    ...problems,
  ];
  return [...output.table(HEAD, rows), ...(remarks.length === 0 ? [] : ['', ...remarks])];
}

export function renderChecks(checks: readonly JsonForm<AnchorCheck>[], output: Pick<CliOutput, 'table'>): string[] {
  const rows = checks.map((check) => [
    shortId(check.receipt),
    String(check.entry),
    `${check.leafIndex} of ${check.batchSize}`,
    check.against,
    shortId(check.transaction),
    String(check.slot),
    showNumber(check.computeUnits),
    check.feeLamports ?? '-',
  ]);
  const head = ['RECEIPT', 'ENTRY', 'LEAF', 'AGAINST', 'TRANSACTION', 'SLOT', 'CU', 'LAMPORTS'];
  return [...output.table(head, rows), '', 'the program found every one of them under the root of its entry'];
}

export function renderAnchor(anchor: JsonForm<AnchorView>): string[] {
  const { feeLamports, batchRoot } = anchor;
  return renderFields([
    ['batch', `${anchor.batch} (${anchor.state})`],
    ['receipts', String(anchor.receipts)],
    ['checkpoints', String(anchor.checkpoints)],
    ['root', batchRoot === null ? undefined : formatRoot(batchRoot)],
    ['chain', anchor.isOtherChain ? `genesis ${anchor.genesis}, of an earlier network` : undefined],
    ['log', anchor.log],
    ['entry', anchor.entry === null ? undefined : String(anchor.entry)],
    ['transaction', anchor.transaction ?? undefined],
    ['slot', anchor.slot === null ? undefined : String(anchor.slot)],
    ['compute units', anchor.computeUnits === null ? undefined : String(anchor.computeUnits)],
    ['fee', feeLamports === null ? undefined : `${feeLamports} lamports (${formatSol(BigInt(feeLamports))})`],
    ['a receipt', feeLamports === null ? undefined : `${formatShare(anchor)} lamports`],
    ['problem', anchor.problem === null ? undefined : `${anchor.problem.code}: ${anchor.problem.message}`],
  ]);
}

/** Hex, as explorers and the program's documents write roots; JSON has it as base64 like all bytes. */
export function formatRoot(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

/** Lamports of the fee that fall to one receipt, to three digits. */
function formatShare({ feeLamports, receipts }: JsonForm<AnchorView>): string {
  if (feeLamports === null || receipts === 0) return '-';
  return String(Number((Number(feeLamports) / receipts).toPrecision(3)));
}

function showNumber(value: number | null): string {
  return value === null ? '-' : String(value);
}
