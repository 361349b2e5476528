import type { AssuranceReport } from '../domain/assurance.ts';
import type { Job } from '../domain/job.ts';
import type { AcceptedResult } from './checks/accepted-result.ts';
import type { Dating } from './checks/anchored.ts';
import type { Confidentiality } from './checks/attested/report-attested.ts';

/** What a bundle never proves, and what this one does not: always printed. */
export function listNotProven(
  job: Job | undefined,
  accepted: AcceptedResult | undefined,
  findings: {
    readonly assurances: readonly AssuranceReport[];
    readonly dating: Dating;
    readonly confidentiality: Confidentiality;
  },
): readonly string[] {
  const isReplicated = findings.assurances.some(
    ({ assurance, verdict }) => assurance.startsWith('replicated') && verdict.kind === 'valid',
  );
  const isolation = accepted?.receipts[0]?.value.sandbox.isolation;
  return [
    'That the program computes what it is meant to: only that this module, with these inputs, gave this result.',
    describeRun(isReplicated, findings.confidentiality),
    ...describeStates(accepted),
    describeWhen(findings.dating),
    describeSandbox(isolation, findings.confidentiality),
    ...(job?.priceCeiling === '0' ? [] : ['That anything was paid: prices are agreed here, payments are not shown.']),
    describePrivacy(findings.confidentiality),
  ];
}

function describeRun(isReplicated: boolean, confidentiality: Confidentiality): string {
  if (isReplicated) {
    return 'That the providers who agree are independent: peer identities are free, and one operator may have several.';
  }
  const run = 'That the program ran at all';
  return confidentiality === 'attested'
    ? `${run}, but for the word of the measured software: no second provider whose agreement is proven here gave the same result.`
    : `${run}: no second provider whose agreement is proven here gave the same result.`;
}

function describeSandbox(isolation: string | undefined, confidentiality: Confidentiality): string {
  const isolated = `That the program was isolated${isolation === undefined ? '' : ` ('${isolation}')`} and what it used: the sandbox report is`;
  return confidentiality === 'attested'
    ? `${isolated} the word of the measured software; the hardware attests that software, not what it says.`
    : `${isolated} the provider's word, and no hardware attests it.`;
}

function describePrivacy(confidentiality: Confidentiality): string {
  const kept = 'That the inputs were kept private';
  switch (confidentiality) {
    case 'none':
      return `${kept}: the provider read them.`;
    case 'unproven':
      return `${kept}: they were sealed, and that nothing but the measured code could open them is not established here.`;
    case 'simulated':
      return `${kept}: the evidence is SIMULATED, no hardware made it, and whoever ran the environment could read them.`;
    case 'attested':
      return `${kept} from whoever could touch the machine, or by code that the policy accepts and that gives them away.`;
    default:
      return confidentiality satisfies never;
  }
}

function describeStates(accepted: AcceptedResult | undefined): readonly string[] {
  const hasChain = accepted?.receipts.some(({ value }) => value.checkpointRoot !== null) ?? false;
  if (!hasChain) return [];
  return [
    'That the states behind the checkpoints are those of the program: run an interval again to see (`fogproof job replay`).',
  ];
}

function describeWhen(dating: Dating): string {
  const clocks = 'all times are by the clocks of those who signed';
  switch (dating.kind) {
    case 'none':
      return `When it happened: ${clocks}; nothing here is anchored in a public chain.`;
    case 'unchecked':
      return `When it happened: ${clocks}; whether the result is anchored where the file says was not checked.`;
    case 'private':
      return `When it happened: ${clocks}, and of whoever runs ${dating.chain}; nothing here is anchored in a public chain.`;
    case 'public': {
      const time = dating.blockTimeMs === null ? '' : `, ${new Date(dating.blockTimeMs).toISOString()} by its clock`;
      return `When it happened, but for this: the result was there at the latest at slot ${dating.slot} of ${dating.chain}${time}. Else ${clocks}.`;
    }
    default:
      return dating satisfies never;
  }
}
