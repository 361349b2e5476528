import type { Anchor } from '../../../domain/anchor.ts';
import { encodeBase58, SolanaAddress, TransactionSignature } from '../../../domain/chain.ts';
import { describeError } from '../../../lib/errors.ts';
import { ChainError } from '../../errors.ts';
import type { ChainReader, ChainTransaction } from '../../interface.ts';
import { AnchorLog, type BatchRoot, findAppends, isSameRoot, type LogState } from '../anchor-log.ts';
import { AnchoringError } from '../errors.ts';
import { findProgramFault } from '../program-account.ts';
import { type Checked, type EndpointFindings, type Finding, invalid, unchecked, valid } from './finding.ts';

export interface AnchorEndpoint {
  /** Without credentials. */
  readonly url: string;
  /** Asks this endpoint alone, and expects the genesis that the anchor names. */
  readonly reader: ChainReader;
}

/** The anchor's addresses as the chain's interfaces have them. */
interface Claim extends BatchRoot {
  readonly program: SolanaAddress;
  readonly log: SolanaAddress;
  readonly owner: SolanaAddress;
  readonly transaction: TransactionSignature;
  readonly generation: number;
  readonly entry: number;
  readonly slot: number;
}

/** What the log's account says today. */
type LogAnswer =
  | { readonly kind: 'there'; readonly log: LogState }
  | { readonly kind: 'gone' }
  | { readonly kind: 'bad'; readonly reason: string };

type Findings = Partial<Record<Checked, Finding>>;

const HISTORY = 'an endpoint that keeps the whole history of this chain';

/** Asks one endpoint for all that an anchor claims. @throws AbortError of `signal` */
export async function askEndpoint(
  anchor: Anchor,
  { url, reader }: AnchorEndpoint,
  { signal }: { readonly signal: AbortSignal },
): Promise<EndpointFindings> {
  const findings: Findings = {};
  let blockTimeMs: number | null = null;
  let asking: Checked = 'genesis';
  try {
    await reader.cluster({ signal });
    findings.genesis = valid('the endpoint is on the chain that the anchor names');
    const claim = describeClaim(anchor);
    asking = 'program';
    const fault = findProgramFault(await reader.account(claim.program, { signal, commitment: 'finalized' }));
    findings.program = judgeProgram(claim, fault);
    asking = 'transaction';
    const transaction = await reader.transaction(claim.transaction, { signal, commitment: 'finalized' });
    if (transaction !== undefined) Object.assign(findings, judgeTransaction(claim, transaction));
    blockTimeMs = transaction?.blockTimeMs ?? null;
    asking = 'log';
    const log = await readLog(reader, claim, { signal, minSlot: transaction?.slot ?? claim.slot });
    if (transaction === undefined) {
      Object.assign(findings, await judgeWithoutTransaction(reader, { claim, log, signal }));
    } else {
      findings.log = judgeLog(claim, log);
    }
    blockTimeMs ??= findTime(claim, log);
  } catch (error) {
    signal.throwIfAborted();
    findings[asking] = describeNoAnswer(asking, error);
  }
  return { url, blockTimeMs, findings };
}

function describeClaim(anchor: Anchor): Claim {
  const address = (bytes: Uint8Array): SolanaAddress => SolanaAddress(encodeBase58(bytes));
  const { generation, entry, slot, batchRoot, batchSize } = anchor;
  return {
    program: address(anchor.program),
    log: address(anchor.log),
    owner: address(anchor.owner),
    transaction: TransactionSignature(encodeBase58(anchor.transaction)),
    generation,
    entry,
    slot,
    root: batchRoot,
    leaves: batchSize,
  };
}

function describeNoAnswer(asking: Checked, error: unknown): Finding {
  const name = `${asking} on the chain`;
  if (error instanceof ChainError && error.info.code === 'CHAIN_WRONG_CLUSTER') {
    const { expected, found } = error.info;
    // It knows nothing of the anchor's chain, so it contradicts nothing.
    return unchecked(
      'the endpoint is on the chain that the anchor names',
      `an endpoint of the chain with genesis ${expected}; this one is on the chain with genesis ${found}`,
    );
  }
  return unchecked(name, `an answer: ${describeError(error)}`);
}

function judgeProgram({ program }: Claim, fault: string | undefined): Finding {
  const name = `program ${program} is deployed`;
  return fault === undefined ? valid(name) : invalid(name, 'NO_PROGRAM', fault);
}

async function readLog(
  reader: ChainReader,
  claim: Claim,
  options: { readonly signal: AbortSignal; readonly minSlot: number },
): Promise<LogAnswer> {
  try {
    const log = await new AnchorLog({ reader }, claim).read({ ...options, commitment: 'finalized' });
    return log === undefined ? { kind: 'gone' } : { kind: 'there', log };
  } catch (error) {
    if (error instanceof AnchoringError) return { kind: 'bad', reason: error.message };
    throw error;
  }
}

function judgeTransaction(claim: Claim, transaction: ChainTransaction): Findings {
  const name = `transaction ${claim.transaction} succeeded, is final and in slot ${claim.slot}`;
  if (transaction.failure !== null) {
    return { transaction: invalid(name, 'TRANSACTION_FAILED', `it failed: ${transaction.failure.detail}`) };
  }
  if (transaction.slot !== claim.slot) {
    return { transaction: invalid(name, 'OTHER_SLOT', `it is in slot ${transaction.slot}`) };
  }
  return { transaction: valid(name), entry: judgeAppend(claim, transaction) };
}

function judgeAppend(claim: Claim, transaction: ChainTransaction): Finding {
  const name = `it appended this root as entry ${claim.entry} of log ${claim.log}, generation ${claim.generation}`;
  const appends = findAppends(transaction, claim);
  const append = appends.find(({ generation, entry }) => generation === claim.generation && entry === claim.entry);
  if (append === undefined) {
    const others = appends.map(({ generation, entry }) => `entry ${entry} of generation ${generation}`).join(', ');
    const reason = others === '' ? 'it wrote nothing to that log' : `it wrote ${others}`;
    return invalid(name, 'NOT_APPENDED', reason);
  }
  if (!isSameRoot(append, claim)) return invalid(name, 'OTHER_ROOT', 'it wrote another root, or another batch size');
  const by = append.authority === claim.owner ? 'by its owner' : `by ${append.authority}, a delegate of its owner`;
  return valid(`${name}, ${by}`);
}

/** The log as it is now must not contradict what its history says. */
function judgeLog(claim: Claim, answer: LogAnswer): Finding {
  const name = 'the log as it is now agrees';
  if (answer.kind === 'gone') return valid(`${name}: it was closed since, which takes back nothing`);
  if (answer.kind === 'bad') return invalid(name, 'BAD_LOG', answer.reason);
  const { log } = answer;
  if (log.generation > claim.generation) return valid(`${name}: it was closed and made anew since`);
  const fault = findContradiction(claim, log);
  return fault === undefined ? valid(`${name}: ${log.size} entries`) : fault;
}

function findContradiction(claim: Claim, log: LogState): Finding | undefined {
  const name = 'the log as it is now agrees';
  if (log.generation < claim.generation) {
    return invalid(name, 'OTHER_GENERATION', `it is of generation ${log.generation}, before the one that is named`);
  }
  if (log.size <= claim.entry) return invalid(name, 'NO_ENTRY', `it has ${log.size} entries`);
  const entry = log.recent.find((each) => each.entry === claim.entry);
  if (entry === undefined) return undefined;
  if (!isSameRoot(entry, claim)) return invalid(name, 'OTHER_ROOT', `entry ${claim.entry} has another root`);
  if (entry.slot !== claim.slot) return invalid(name, 'OTHER_SLOT', `entry ${claim.entry} is of slot ${entry.slot}`);
  return undefined;
}

/** An endpoint forgets old transactions; the log's account shows its last 64 entries. */
async function judgeWithoutTransaction(
  reader: ChainReader,
  { claim, log, signal }: { readonly claim: Claim; readonly log: LogAnswer; readonly signal: AbortSignal },
): Promise<Findings> {
  const name = `transaction ${claim.transaction}`;
  const young = await reader.transaction(claim.transaction, { signal, commitment: 'confirmed' });
  if (young !== undefined) return { transaction: unchecked(name, 'finality: it is confirmed and not final yet') };
  if (log.kind === 'bad') return { log: judgeLog(claim, log) };
  if (log.kind === 'gone' || log.log.generation > claim.generation) {
    return { transaction: unchecked(name, `${HISTORY}: this one has neither the transaction nor that log any more`) };
  }
  const fault = findContradiction(claim, log.log);
  if (fault !== undefined) return { log: fault };
  const isRecent = log.log.recent.some(({ entry }) => entry === claim.entry);
  if (!isRecent) {
    const missing = `${HISTORY}: this one has not the transaction, and the log shows its last entries only`;
    return { transaction: unchecked(name, missing) };
  }
  const writer = await findWriter(reader, claim, signal);
  if (writer !== undefined && writer !== claim.transaction) {
    return {
      transaction: invalid(name, 'OTHER_TRANSACTION', `entry ${claim.entry} was written by transaction ${writer}`),
    };
  }
  return {
    entry: valid(
      `entry ${claim.entry} of log ${claim.log}, generation ${claim.generation}, has this root and slot ${claim.slot}, as the log's account shows; the endpoint does not have transaction ${claim.transaction} itself`,
    ),
  };
}

/** Of the claimed entry, where the history reaches back to it: the transaction that is named must be that one. */
async function findWriter(
  reader: ChainReader,
  claim: Claim,
  signal: AbortSignal,
): Promise<TransactionSignature | undefined> {
  try {
    const { found } = await new AnchorLog({ reader }, claim).findAppend(claim, {
      signal,
      sinceSlot: claim.slot,
      from: claim,
    });
    const isOfEntry = found?.generation === claim.generation && found.entry === claim.entry;
    return isOfEntry ? found.transaction.signature : undefined;
  } catch (error) {
    // An endpoint may keep no history at all.
    if (error instanceof ChainError || error instanceof AnchoringError) return undefined;
    throw error;
  }
}

function findTime(claim: Claim, answer: LogAnswer): number | null {
  if (answer.kind !== 'there' || answer.log.generation !== claim.generation) return null;
  return answer.log.recent.find(({ entry }) => entry === claim.entry)?.unixTimeMs ?? null;
}
