import type { AssuranceReport } from '../domain/assurance.ts';
import type { Job } from '../domain/job.ts';
import type { AcceptedResult } from './checks/accepted-result.ts';

/** What a bundle never proves, and what this one does not: always printed. */
export function listNotProven(
  job: Job | undefined,
  accepted: AcceptedResult | undefined,
  assurances: readonly AssuranceReport[],
): readonly string[] {
  const isReplicated = assurances.some(
    ({ assurance, verdict }) => assurance === 'replicated' && verdict.kind === 'valid',
  );
  const isolation = accepted?.receipts[0]?.value.sandbox.isolation;
  return [
    'That the program computes what it is meant to: only that this module, with these inputs, gave this result.',
    isReplicated
      ? 'That the providers who agree are independent: peer identities are free, and one operator may have several.'
      : 'That the program ran at all: no second provider whose agreement is proven here gave the same result.',
    'When it happened: all times are by the clocks of those who signed; nothing here is anchored in a public chain.',
    `That the program was isolated${isolation === undefined ? '' : ` ('${isolation}')`} and what it used: the sandbox report is the provider's word, and no hardware attests it.`,
    ...(job?.priceCeiling === '0' ? [] : ['That anything was paid: prices are agreed here, payments are not shown.']),
    'That the inputs were kept private: the provider read them.',
  ];
}
