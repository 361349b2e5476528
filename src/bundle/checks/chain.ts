/** Checks of an attempt's checkpoint chain against its receipt (docs/stepping.md section 5). */
import { MAX_CHECKPOINTS } from '../../domain/checkpoint.ts';
import type { Job } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import type { Receipt } from '../../domain/receipt.ts';
import { isStepping } from '../../domain/workload.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import type { OpenedChain } from '../../proofs/verify-chain.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';
import type { OpenedAttempt } from '../open-evidence.ts';
import { type Check, checkRules, type Rule, uncheckedCheck } from './check.ts';

/** The last place in a chain is kept for the end. */
const MAX_SCHEDULED = MAX_CHECKPOINTS - 1;

interface ChainTerms {
  readonly receipt: Receipt;
  readonly lease: Lease;
  readonly job: Job;
}

/** None where the job asks for no checkpoints and the receipt names none. */
export function checkChain({ label, chain }: OpenedAttempt, terms: ChainTerms): readonly Check[] {
  const { receipt, job } = terms;
  if (job.checkpoints === undefined && receipt.checkpointRoot === null && receipt.checkpointChain === undefined) {
    return [];
  }
  const name = `${label}: checkpoint chain`;
  const claim = checkRules(`${label}: checkpoint root`, 'WRONG_CHAIN', checkClaim(terms));
  switch (chain.kind) {
    case 'none':
      return [claim];
    case 'missing':
      return [claim, uncheckedCheck(name, `the checkpoint chain of ${label} (${chain.blob})`)];
    case 'refused':
      return [claim, checkRules(name, 'WRONG_CHAIN', [[false, chain.reason]])];
    case 'verified':
      return [
        claim,
        checkRules(name, 'WRONG_CHAIN', []),
        checkRules(`${label}: last checkpoint`, 'WRONG_CHAIN', checkEnd(chain.chain, terms)),
        checkRules(`${label}: checkpoint schedule`, 'WRONG_CHAIN', checkSchedule(chain.chain, terms)),
        checkRules(`${label}: checkpoint times`, 'WRONG_TIME', checkTimes(chain.chain, terms)),
      ];
    default:
      return chain satisfies never;
  }
}

function checkClaim({ receipt, job }: ChainTerms): readonly Rule[] {
  const { checkpointRoot, checkpointChain, result } = receipt;
  const isClaimed = checkpointRoot !== null;
  const isDue = job.checkpoints !== undefined && result.outcome.kind === 'completed';
  return [
    [job.checkpoints !== undefined || !isClaimed, 'it states a checkpoint root and the job asks for no checkpoints'],
    [isClaimed || !isDue, 'the job asks for checkpoints and it states none'],
    [isClaimed === (checkpointChain !== undefined), 'it states a checkpoint root without a chain, or a chain without'],
  ];
}

/** Steps of a result, or training rounds: the last one that was reported. */
function checkEnd({ start, links }: OpenedChain, { receipt }: ChainTerms): readonly Rule[] {
  const { outcome, steps, metricsHash } = receipt.result;
  const last = links.at(-1);
  const lastStep = last?.step ?? start.step;
  const isCompleted = outcome.kind === 'completed';
  const isCounted = outcome.kind !== 'attempt-failed';
  return [
    [!isCounted || lastStep <= steps, `its last checkpoint is of step ${lastStep}, its result of step ${steps}`],
    [
      !isCounted || !isCompleted || lastStep === steps,
      `its last checkpoint is of step ${lastStep}, its result of step ${steps}`,
    ],
    [
      !isCompleted || last === undefined || areBytesEqual(last.metricsHash, metricsHash),
      'the metrics hash of its last checkpoint is not that of its result',
    ],
  ];
}

/** With a schedule by steps it is known which steps have a checkpoint; of rounds a program may leave some out; fuel is not in the chain. */
export function checkSchedule(
  { start, links }: Pick<OpenedChain, 'start' | 'links'>,
  { receipt, job }: Pick<ChainTerms, 'receipt' | 'job'>,
): readonly Rule[] {
  const schedule = job.checkpoints?.schedule;
  const { outcome, steps } = receipt.result;
  if (schedule?.kind === 'rounds') return checkRounds({ start, links }, schedule.every, outcome.kind === 'completed');
  if (schedule?.kind !== 'steps' || !isStepping(job.workload)) return [];
  let due = nextMultiple(start.step, schedule.every);
  for (const [index, { step }] of links.entries()) {
    const isEnd = index === links.length - 1 && outcome.kind === 'completed';
    const isDue = step === due && index < MAX_SCHEDULED;
    if (!isDue && !(isEnd && (step < due || index >= MAX_SCHEDULED))) {
      return [[false, `it has a checkpoint after step ${step} where the job asks for one after step ${due}`]];
    }
    due = nextMultiple(step, schedule.every);
  }
  // Of a program that failed, the step that failed is counted and has no checkpoint.
  const lastDone = outcome.kind === 'completed' ? steps : steps - 1;
  const isMissing = outcome.kind !== 'attempt-failed' && due <= lastDone && links.length < MAX_SCHEDULED;
  return [[!isMissing, `it has no checkpoint after step ${due} where the job asks for one`]];
}

/** A link stands at the first round at or above a multiple; the one at the end anywhere. */
function checkRounds(
  { start, links }: Pick<OpenedChain, 'start' | 'links'>,
  every: number,
  hasEnd: boolean,
): readonly Rule[] {
  let before = start.step;
  const scheduled = hasEnd ? links.slice(0, -1) : links;
  return scheduled.map(({ step }) => {
    const due = nextMultiple(before, every);
    before = step;
    return [step >= due, `it has a checkpoint after round ${step} where the next is at round ${due} or later`];
  });
}

function nextMultiple(step: number, every: number): number {
  return (Math.floor(step / every) + 1) * every;
}

function checkTimes({ links }: OpenedChain, { receipt, lease }: ChainTerms): readonly Rule[] {
  const first = links[0]?.atMs ?? receipt.startedAtMs;
  const last = links.at(-1)?.atMs ?? receipt.finishedAtMs;
  const isInOrder = links.every(
    ({ atMs }, index) => index === 0 || atMs >= (links[index - 1]?.atMs ?? 0) - CLOCK_SKEW_MS,
  );
  return [
    [isInOrder, 'a checkpoint is older than the one before it'],
    [first >= lease.issuedAtMs - CLOCK_SKEW_MS, 'its first checkpoint is older than its lease'],
    [last <= receipt.finishedAtMs + CLOCK_SKEW_MS, 'its last checkpoint was made after it finished'],
  ];
}
