/**
 * The `replicated` assurance: k providers, chosen under diversity rule D, committed to byte-identical outputs before any
 * of them could see another's (design section 7).
 */
import type { AssuranceReport } from '../../domain/assurance.ts';
import { JobId } from '../../domain/ids.ts';
import type { Job, Replication } from '../../domain/job.ts';
import type { Result } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { listComparisons } from '../../proofs/compare-results.ts';
import type { OpenedEvidence } from '../open-evidence.ts';
import type { AcceptedResult, AgreedResult } from './accepted-result.ts';
import { type Check, checkRules, combineChecks, listNames, shortPeer, uncheckedCheck } from './check.ts';
import { providerOf, type Replica } from './replicas.ts';
import { describeOutputs } from './signed.ts';
import { areComparable, compareStateRoots, describeInterval } from './state-roots.ts';
import {
  checkToleratedQuorum,
  describeTolerated,
  TOLERANCE_ASSUMES,
  TOLERANCE_DOES_NOT_CLAIM,
} from './within-tolerance.ts';

const DIVERSITY_RULES: Readonly<Record<Replication['diversity'], string>> = {
  peer: "rule 'peer': no two replicas share a peer identity",
};

/** True if the file claims `replicated`, be it rightly or not. */
export function claimsReplication(evidence: OpenedEvidence, job: Signed<Job>): boolean {
  return (
    job.value.replication.replicas > 1 ||
    evidence.commitmentSet !== null ||
    evidence.unrevealed.length > 0 ||
    evidence.attempts.some(({ commitment }) => commitment !== null)
  );
}

export function reportReplicated(
  evidence: OpenedEvidence,
  job: Signed<Job>,
  { replicas, agreed: found }: { readonly replicas: readonly Replica[]; readonly agreed: AgreedResult },
): AssuranceReport {
  const counted = replicas.filter(({ standing }) => standing === 'counted');
  const { accepted: agreed, compared } = found;
  // Byte-identical results need no tolerance, whatever the job declares.
  const isTolerated = compared !== null && !(agreed !== undefined && compared.isIdentical);
  const checks = [
    ...checkSet(evidence, job, replicas),
    ...replicas.flatMap((replica) => replica.checks),
    checkDiversity(replicas),
    checkReplicaNumbers(counted),
    isTolerated ? checkToleratedQuorum(job.value, found) : checkQuorum(job.value.replication, agreed),
    ...checkStateRoots(job.value, findAgreeing(counted, agreed)),
    checkAccounted(evidence, job.value.replication, replicas),
  ];
  return {
    assurance: isTolerated ? 'replicated-within-tolerance' : 'replicated',
    statement: describeReplicated(job.value, found, [
      ...describeCommonRoots(findAgreeing(counted, agreed)),
      ...describeOthers(evidence, replicas, found),
    ]),
    by: agreed?.receipts.map(({ value }) => value.provider as string) ?? [],
    assumes: [
      `not all of the providers that agree${agreed === undefined ? '' : ` (${agreed.receipts.length})`} collude: at least one of them kept its result to itself until it had signed the set of commitments`,
      'the requester passed no result on: it could have had the same work run before, as another job',
      'two peer identities are two parties: nothing here shows that they are not of one operator',
      ...(isTolerated ? TOLERANCE_ASSUMES : []),
    ],
    doesNotClaim: [
      'that the program is correct, or fit for what it is used for',
      'anything about replicas that did not commit in time or whose result is not in this file',
      ...(job.value.confidential === undefined
        ? []
        : ['what is in the sealed files that are byte-identical: sealed with one key, equal files give equal bytes']),
      ...(isTolerated ? TOLERANCE_DOES_NOT_CLAIM : []),
    ],
    verdict: combineChecks(checks),
    checks,
  };
}

function checkSet(evidence: OpenedEvidence, job: Signed<Job>, replicas: readonly Replica[]): readonly Check[] {
  const { commitmentSet } = evidence;
  const present = checkRules('set of commitments', 'NO_COMMITMENT', [
    [commitmentSet !== null, 'the replicas did not sign a set of commitments before they revealed their results'],
  ]);
  if (commitmentSet === null) return [present];
  const { commitments, job: setJob } = commitmentSet.value;
  const known = new Set(replicas.map(({ commitment }) => commitment));
  const unknown = commitments.filter((id) => !known.has(id));
  return [
    present,
    checkRules('set form', 'WRONG_SET', [
      [setJob === JobId(job.id), 'the set of commitments is for another job'],
      [
        commitments.every((id, index) => index === 0 || (commitments[index - 1] ?? '') < id),
        'its ids are not in ascending order, or one is there twice',
      ],
    ]),
    unknown.length === 0
      ? checkRules('set complete', 'WRONG_SET', [])
      : uncheckedCheck('set complete', `commitment ${listNames(unknown)}, which the signed set names`),
  ];
}

/** A result copied from another identity of the same key would be no second opinion. */
function checkDiversity(replicas: readonly Replica[]): Check {
  const providers = replicas.map(providerOf);
  const twice = providers.find((provider, index) => providers.indexOf(provider) !== index);
  return checkRules('diversity', 'NOT_DIVERSE', [
    [twice === undefined, `provider ${twice === undefined ? '' : shortPeer(twice)} gave two replicas`],
  ]);
}

function checkReplicaNumbers(counted: readonly Replica[]): Check {
  const numbers = counted.map(({ lease }) => lease.value.replica);
  return checkRules('replicas distinct', 'REPEATED', [
    [new Set(numbers).size === numbers.length, 'two results count for one replica'],
  ]);
}

function checkQuorum({ replicas, quorum }: Replication, agreed: AcceptedResult | undefined): Check {
  const agreeing = agreed?.receipts.length ?? 0;
  return checkRules('quorum', 'NO_QUORUM', [
    [replicas > 1, 'the job asks for one replica, which agrees with nobody'],
    [agreeing >= quorum, `${agreeing} of ${replicas} replicas agree and ${quorum} must`],
  ]);
}

function checkAccounted(evidence: OpenedEvidence, { replicas: k }: Replication, replicas: readonly Replica[]): Check {
  const accounted = new Set([
    ...replicas.map(({ lease }) => lease.value.replica),
    ...evidence.missingReplicas.map(({ replica }) => replica),
  ]);
  const lost = Array.from({ length: k }, (_, index) => index).filter((index) => !accounted.has(index));
  return checkRules('replicas accounted for', 'NOT_ACCOUNTED', [
    [lost.length === 0, `the file says nothing of replica ${listNames(lost.map((index) => String(index + 1)))}`],
    [
      evidence.missingReplicas.every(({ replica }) => replica < k),
      'the file names a missing replica that the job does not ask for',
    ],
  ]);
}

function findAgreeing(counted: readonly Replica[], agreed: AcceptedResult | undefined): readonly Replica[] {
  return counted.filter((replica) => agreesWith(replica, agreed));
}

function agreesWith({ receipt }: Replica, agreed: AcceptedResult | undefined): boolean {
  return receipt !== undefined && agreed?.receipts.some(({ id }) => id === receipt.id) === true;
}

/**
 * Equal results by way of different states: one of the two did not run what it says that it ran. But for training rounds:
 * what a program does not save is another after it was resumed.
 */
function checkStateRoots(job: Job, agreeing: readonly Replica[]): readonly Check[] {
  const withRoots = agreeing.filter(({ stateRoots }) => stateRoots.size > 0);
  const [first, ...others] = withRoots;
  if (first === undefined || others.length === 0 || listComparisons(job) !== null) return [];
  return [
    checkRules(
      'state roots',
      'WRONG_STATE',
      others.map((other) => {
        const { difference } = compareStateRoots(first.stateRoots, other.stateRoots);
        const where = difference === null ? '' : describeInterval(difference);
        return [difference === null, `${first.label} and ${other.label} had different states ${where}`];
      }),
    ),
  ];
}

function describeCommonRoots(agreeing: readonly Replica[]): readonly string[] {
  const withRoots = agreeing.filter(({ stateRoots }) => stateRoots.size > 0);
  const [first, ...others] = withRoots;
  if (first === undefined || others.length === 0) return [];
  const compared = others.map(({ stateRoots }) => compareStateRoots(first.stateRoots, stateRoots));
  if (compared.some(({ difference }) => difference !== null)) return [];
  const fewest = Math.min(...compared.map(({ common }) => common));
  return [`${withRoots.length} of them committed to the same states at ${fewest} common checkpoints.`];
}

function describeReplicated(job: Job, { accepted, compared }: AgreedResult, others: readonly string[]): string {
  const { quorum, diversity } = job.replication;
  const rule = `The job demands ${quorum}; they were chosen under ${DIVERSITY_RULES[diversity]}.`;
  return [describeAgreement(job, accepted, compared), rule, ...others].join(' ');
}

function describeAgreement(job: Job, accepted: AgreedResult['accepted'], compared: AgreedResult['compared']): string {
  const { replicas } = job.replication;
  if (accepted === undefined) return `Of ${replicas} replicas of job '${job.name}' no result has the most.`;
  if (compared !== null && !compared.isIdentical) return describeTolerated(job, accepted, compared);
  const { receipts, result, outputRoot } = accepted;
  const names = listNames(receipts.map(({ value }) => shortPeer(value.provider)));
  const files = describeOutputs(result, job.confidential !== undefined);
  return (
    `${receipts.length} of ${replicas} replicas of job '${job.name}' (${names}) committed to the byte-identical result ${outputRoot} ` +
    `(${files}, ${result.fuel === null ? '' : `${result.fuel} units of fuel, `}instrumenter ${result.instrumenter}) ` +
    "before any of them could see another's."
  );
}

function describeOthers(
  evidence: OpenedEvidence,
  replicas: readonly Replica[],
  agreed: AgreedResult,
): readonly string[] {
  return [
    ...replicas.flatMap((replica) => describeOther(replica, agreed, replicas)),
    // Nobody has signed the reason.
    ...evidence.missingReplicas.map(
      ({ replica, reason }) =>
        `Replica ${replica + 1} is missing; whoever wrote the file says why, unproven: ${JSON.stringify(reason)}.`,
    ),
  ];
}

/** Where the states of a dissenting replica first differ from those of the accepted result. */
function describeParting(replica: Replica, agreed: AcceptedResult | undefined, replicas: readonly Replica[]): string {
  const reference = findAgreeing(replicas, agreed).find(({ stateRoots }) => stateRoots.size > 0);
  const result = replica.receipt?.value.result;
  if (reference === undefined || agreed === undefined || result === undefined) return '';
  if (!areComparable(result, agreed.result) || replica.stateRoots.size === 0) return '';
  const { difference } = compareStateRoots(reference.stateRoots, replica.stateRoots);
  if (difference === null) return ' Its state is the same at every common checkpoint.';
  return ` Its state first differs ${describeInterval(difference)}.`;
}

function describeOther(
  replica: Replica,
  { accepted: agreed, compared }: AgreedResult,
  replicas: readonly Replica[],
): readonly string[] {
  const name = `Replica ${replica.lease.value.replica + 1} (${shortPeer(providerOf(replica))})`;
  switch (replica.standing) {
    case 'counted': {
      const result = replica.receipt?.value.result;
      if (result === undefined || agreesWith(replica, agreed)) return [];
      const { agreement } = compared ?? {};
      if (agreement?.unknown.some(({ given }) => given.receipt.id === replica.receipt?.id) === true) {
        return [`Whether ${name} agrees is not known: files of it that are compared are not in this file.`];
      }
      const reason = agreement?.reasons.get(replica.lease.id) ?? describeDifference(result, agreed?.result);
      return [`${name} dissents: ${reason}.${describeParting(replica, agreed, replicas)}`];
    }
    case 'late':
      return [`${name} did not commit before the others revealed and does not count.`];
    case 'unrevealed':
      return [`${name} committed and its result is not in this file.`];
    case 'unsound':
      return [`${name} does not count: its evidence does not pass.`];
    default:
      return replica.standing satisfies never;
  }
}

/** The first figures in which two results differ, for people. */
function describeDifference(result: Result, agreed: Result | undefined): string {
  if (agreed === undefined) return 'no result has the most';
  const parts = [
    ['instrumenter', result.instrumenter, agreed.instrumenter],
    ['instrumented module', result.instrumentedModule ?? 'none', agreed.instrumentedModule ?? 'none'],
    ['outcome', JSON.stringify(result.outcome), JSON.stringify(agreed.outcome)],
    ['fuel', String(result.fuel ?? 'none'), String(agreed.fuel ?? 'none')],
    ['steps', String(result.steps), String(agreed.steps)],
  ] as const;
  const differing = parts.filter(([, own, other]) => own !== other);
  if (differing.length > 0) return differing.map(([name, own, other]) => `${name} ${own} and not ${other}`).join(', ');
  const others = new Map(agreed.outputs.map(({ path, blob }) => [path, blob]));
  const files = result.outputs.filter(({ path, blob }) => others.get(path) !== blob).map(({ path }) => path);
  return files.length > 0 ? `other bytes in ${listNames(files)}` : 'other outputs or metrics';
}
