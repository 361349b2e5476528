/** What the `replicated-within-tolerance` assurance says besides `replicated` (design section 7). */
import type { Comparison, Job } from '../../domain/job.ts';
import type { AcceptedResult, AgreedResult, ComparedResults } from './accepted-result.ts';
import { type Check, checkRules, listNames, shortPeer, uncheckedCheck } from './check.ts';

/** A quorum of results agree with the accepted one; unchecked where the files that would tell are not in the file. */
export function checkToleratedQuorum(job: Job, { accepted, compared, missing }: AgreedResult): Check {
  const { replicas, quorum } = job.replication;
  const agreeing = accepted?.receipts.length ?? compared?.agreement.agreeing.length ?? 0;
  const unknown = compared?.agreement.unknown.length ?? 0;
  if (agreeing < quorum && agreeing + unknown >= quorum) {
    return uncheckedCheck('quorum', missing ?? 'output files that are compared within tolerances');
  }
  return checkRules('quorum', 'NO_QUORUM', [
    [replicas > 1, 'the job asks for one replica, which agrees with nobody'],
    [agreeing >= quorum, `${agreeing} of ${replicas} replicas agree and ${quorum} must`],
  ]);
}

export function describeTolerated(job: Job, accepted: AcceptedResult, { agreement }: ComparedResults): string {
  const { replicas } = job.replication;
  const { accepted: centre } = agreement;
  const names = listNames(accepted.receipts.map(({ value }) => shortPeer(value.provider)));
  return [
    `${accepted.receipts.length} of ${replicas} replicas of job '${job.name}' (${names}) committed to results that agree ` +
      `with ${accepted.outputRoot} of provider ${shortPeer(centre.receipt.value.provider)} within the job's tolerances, ` +
      "before any of them could see another's.",
    describeFiles(job.comparisons ?? [], accepted),
    describeLargest(agreement),
    'Fuel, steps, logs and metrics were not compared.',
  ].join(' ');
}

function describeFiles(comparisons: readonly Comparison[], { result }: AcceptedResult): string {
  const paths = new Set(result.outputs.map(({ path }) => path));
  const compared = comparisons.filter(({ path }) => paths.has(path));
  const others = result.outputs.length - compared.length;
  const rules = compared.map(
    ({ path, element, absolute, relative }) => `${path} as ${element} (${absolute} + ${relative} · the larger value)`,
  );
  const rest = `${rules.length === 0 ? 'all' : `the other ${others}`} of ${result.outputs.length} output files byte for byte`;
  return `Compared were ${[...rules, ...(others > 0 || rules.length === 0 ? [rest] : [])].join('; ')}.`;
}

function describeLargest({ largest }: ComparedResults['agreement']): string {
  if (largest === null) return 'All of their files are byte-identical.';
  const { path, index, a, b, share } = largest;
  return `The largest difference is ${a} and ${b} at element ${index} of ${path}, ${(share * 100).toPrecision(3)} % of what is tolerated there.`;
}

export const TOLERANCE_ASSUMES: readonly string[] = [
  'the tolerances, which the requester chose, are small for what the result is used for',
];

export const TOLERANCE_DOES_NOT_CLAIM: readonly string[] = [
  'that the results are byte-identical, or that two of them that agree with the accepted one agree with each other',
  'that a resumed replica went through the states of the others',
];
