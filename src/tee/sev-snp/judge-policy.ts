import { encodeHex } from '../../lib/bytes.ts';
import { decide, failed, unchecked } from '../checks.ts';
import type { EvidenceCheck } from '../interface.ts';
import { HOST_VMPL, MAX_VMPL } from './constants.ts';
import type { Endorsement } from './endorsement.ts';
import { type SevSnpPolicy, sevSnpPolicySchema } from './policy.ts';
import { nameProduct, type Product } from './products.ts';
import type { SevSnpReport } from './report.ts';
import { decodeTcb, findPartsBelow, formatTcb, type TcbVersion } from './tcb.ts';

interface Judged {
  readonly report: SevSnpReport;
  /** Undefined if it could not be told. */
  readonly product: Product | undefined;
  readonly endorsement: Endorsement | undefined;
}

/** Bit 5 of PLATFORM_INFO: ALIAS_CHECK_COMPLETE. */
const ALIAS_CHECKED_BIT = 5n;

/** Structural defaults hold without a policy too; allow-lists and minima exist only with one. */
export function judgePolicy(judged: Judged, choice: SevSnpPolicy | 'none' | undefined): readonly EvidenceCheck[] {
  const policy = choice === undefined || choice === 'none' ? sevSnpPolicySchema.parse({}) : choice;
  const checks = [...judgeGuestPolicy(judged.report, policy), ...judgeLists(judged, policy)];
  if (choice === 'none') return checks;
  if (choice === undefined)
    return [...checks, unchecked('measurement', 'no allow-list was given: which code runs is not judged')];
  return [...checks, judgeMeasurement(judged.report, choice), ...judgeTcb(judged, choice)];
}

function judgeGuestPolicy({ policy: guest, vmpl }: SevSnpReport, policy: SevSnpPolicy): readonly EvidenceCheck[] {
  const vmpls = policy.vmpls ?? Array.from({ length: MAX_VMPL + 1 }, (_, index) => index);
  return [
    decide('policy-debug', {
      holds: !guest.debugAllowed,
      detail: `the guest policy ${guest.debugAllowed ? 'allows the host to debug the guest' : 'forbids debugging'} (bit 19)`,
    }),
    decide('policy-migration', {
      holds: !guest.migrationAllowed || policy.allowMigration,
      detail: `the guest policy ${guest.migrationAllowed ? 'allows' : 'forbids'} a migration agent (bit 18)`,
    }),
    decide('policy-smt', {
      holds: !guest.smtAllowed || policy.allowSmt,
      detail: `the guest policy ${guest.smtAllowed ? 'allows' : 'forbids'} SMT (bit 16)`,
    }),
    decide('policy-vmpl', {
      holds: vmpls.includes(vmpl),
      detail: `asked for ${vmpl === HOST_VMPL ? 'by the host, not by the guest' : `at VMPL ${vmpl}`}; accepted: ${vmpls.join(', ')}`,
    }),
  ];
}

function judgeLists({ report, endorsement }: Judged, policy: SevSnpPolicy): readonly EvidenceCheck[] {
  const checks: EvidenceCheck[] = [];
  if (policy.hostData !== undefined) {
    checks.push(judgeMember('policy-host-data', { what: 'host data', value: report.hostData, list: policy.hostData }));
  }
  if (policy.idKeyDigests !== undefined) {
    checks.push(judgeMember('policy-id-key', { what: 'id key', value: report.idKeyDigest, list: policy.idKeyDigests }));
  }
  if (policy.minimumGuestSvn !== undefined) {
    checks.push(
      decide('policy-guest-svn', {
        holds: report.guestSvn >= policy.minimumGuestSvn,
        detail: `guest SVN ${report.guestSvn}; at least ${policy.minimumGuestSvn} is accepted`,
      }),
    );
  }
  if (policy.requireAliasCheck) {
    const checked = ((report.platformInfo >> ALIAS_CHECKED_BIT) & 1n) === 1n;
    const detail = `the firmware says that memory was ${checked ? '' : 'not '}checked for aliases`;
    checks.push(decide('policy-alias-check', { holds: checked, detail }));
  }
  if (policy.cloudProviders !== undefined) checks.push(judgeProvider(endorsement, policy.cloudProviders));
  return checks;
}

function judgeProvider(endorsement: Endorsement | undefined, accepted: readonly string[]): EvidenceCheck {
  const name = 'policy-cloud-provider';
  const detail = `accepted: ${accepted.join(', ')}`;
  if (endorsement === undefined) return unchecked(name, `no certificate names a provider; ${detail}`);
  if (endorsement.kind === 'vcek') return failed(name, `the key is of a chip, not of a provider; ${detail}`);
  const { cloudProvider } = endorsement;
  return decide(name, { holds: accepted.includes(cloudProvider), detail: `of ${cloudProvider}; ${detail}` });
}

function judgeMember(
  name: string,
  { what, value, list }: { readonly what: string; readonly value: Uint8Array; readonly list: readonly string[] },
): EvidenceCheck {
  const hex = encodeHex(value);
  const holds = list.includes(hex);
  return decide(name, { holds, detail: `${what} ${hex} is ${holds ? 'one' : 'none'} of the ${list.length} accepted` });
}

function judgeMeasurement({ measurement }: SevSnpReport, { measurements: list }: SevSnpPolicy): EvidenceCheck {
  if (list === undefined)
    return unchecked('measurement', 'the policy lists no measurements: which code runs is not judged');
  return judgeMember('measurement', { what: 'measurement', value: measurement, list });
}

/** A guest that was launched under old firmware stays as that firmware set it up: both versions count. */
function judgeTcb({ report, product }: Judged, { minimumTcb }: SevSnpPolicy): readonly EvidenceCheck[] {
  const name = 'policy-tcb';
  if (minimumTcb === 'any') return [];
  if (minimumTcb === undefined) {
    return [unchecked(name, "the policy names no minimum TCB: say minimumTcb, or 'any' to accept every one")];
  }
  if (product === undefined) return [unchecked(name, 'the product is not known')];
  const minimum = minimumTcb[product];
  if (minimum === undefined) return [failed(name, `the policy names no minimum for ${nameProduct(product)}`)];
  const versions = [
    ['reported', decodeTcb(product, report.reportedTcb)],
    ['launch', decodeTcb(product, report.launchTcb)],
  ] as const;
  const defects = versions.flatMap(([which, tcb]) => describeTooOld(which, tcb, minimum));
  const detail = defects.length > 0 ? defects.join('; ') : 'reported and launch TCB reach it';
  return [decide(name, { holds: defects.length === 0, detail: `least is ${formatTcb(minimum)}: ${detail}` })];
}

function describeTooOld(which: string, tcb: TcbVersion | undefined, minimum: Partial<TcbVersion>): readonly string[] {
  if (tcb === undefined) return [`the ${which} TCB is not readable`];
  const below = findPartsBelow(tcb, minimum);
  return below.length === 0 ? [] : [`the ${which} TCB (${formatTcb(tcb)}) is too old in ${below.join(', ')}`];
}
