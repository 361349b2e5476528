import { encodeHex } from '../../../lib/bytes.ts';
import { decide, failed, passed, unchecked } from '../../checks.ts';
import type { EvidenceCheck } from '../../interface.ts';
import type { QuoteRequest } from '../interface.ts';
import type { SgxPolicy, TdxPolicy } from '../policy.ts';
import type { EnclaveReport } from '../quote/enclave-report.ts';
import type { TdReport } from '../quote/td-report.ts';
import type { TcbEvaluation } from '../tcb/evaluate-tcb.ts';

const REPORT_DATA_BYTES = 64;

export function checkDebug({ isDebug }: TdReport | EnclaveReport): EvidenceCheck {
  const detail = isDebug ? 'its owner can read its memory: debug is on' : 'debug is off';
  return decide('policy-debug', { holds: !isDebug, detail });
}

export function checkReportData(body: TdReport | EnclaveReport, expected: Uint8Array): EvidenceCheck {
  const name = 'report-data';
  if (expected.length > REPORT_DATA_BYTES)
    return failed(name, `${expected.length} bytes are expected, it has ${REPORT_DATA_BYTES}`);
  const hex = encodeHex(expected).padEnd(REPORT_DATA_BYTES * 2, '0');
  return decide(name, {
    holds: body.reportData === hex,
    detail: body.reportData === hex ? `it is ${hex}, as expected` : `it is ${body.reportData}, expected ${hex}`,
  });
}

/** What the policy says of the code and its settings; `request.kind` is the kind of `body`. */
export function checkPolicy(
  request: QuoteRequest,
  body: TdReport | EnclaveReport,
  tcb: TcbEvaluation | null,
): readonly EvidenceCheck[] {
  const { policy } = request;
  const stated = policy === 'waived' || policy === null ? undefined : policy;
  const measured = policy === 'waived' ? [] : [checkMeasurement(request, body)];
  const own =
    body.kind === 'tdx'
      ? checkTdxSettings(body, request.kind === 'tdx' ? toPolicy(request.policy) : {})
      : checkSgxSettings(body, request.kind === 'sgx' ? toPolicy(request.policy) : {});
  return [...measured, ...checkEvaluationNumber(stated?.minimumEvaluationDataNumber, tcb), ...own];
}

function toPolicy<Policy extends object>(policy: Policy | 'waived' | null): Partial<Policy> {
  return policy === 'waived' || policy === null ? {} : policy;
}

function checkMeasurement(request: QuoteRequest, body: TdReport | EnclaveReport): EvidenceCheck {
  const name = 'measurement';
  if (request.policy === null || request.policy === 'waived') {
    return unchecked(name, 'no allow-list was given: which code runs is not judged');
  }
  if (request.kind === 'tdx' && body.kind === 'tdx') return checkTdxMeasurement(request.policy, body);
  if (request.kind === 'sgx' && body.kind === 'sgx') return checkSgxMeasurement(request.policy, body);
  return failed(name, `the policy is of ${request.kind}, the quote of ${body.kind}`);
}

const TDX_MEASUREMENTS = [
  'mrTd',
  'rtmr0',
  'rtmr1',
  'rtmr2',
  'rtmr3',
  'mrConfigId',
  'mrOwner',
  'mrOwnerConfig',
  'mrSeam',
  'mrServiceTd',
  'xfam',
] as const satisfies readonly (keyof TdxPolicy & keyof TdReport)[];

/** Without MRTD, the firmware's measurement, nothing else means anything: the firmware writes the registers. */
function checkTdxMeasurement(policy: TdxPolicy, body: TdReport): EvidenceCheck {
  const name = 'measurement';
  const stated = TDX_MEASUREMENTS.filter((key) => policy[key] !== undefined);
  const defects = stated.filter((key) => policy[key]?.includes(body[key] ?? '') !== true);
  if (defects.length > 0) return failed(name, defects.map((key) => `${key} ${body[key]} is not allowed`).join('; '));
  if (policy.mrTd === undefined) return unchecked(name, 'the policy allows no mrTd: which code runs is not judged');
  return passed(name, `allowed by the policy: ${stated.join(', ')}`);
}

function checkSgxMeasurement(policy: SgxPolicy, body: EnclaveReport): EvidenceCheck {
  const name = 'measurement';
  const isSigned = policy.mrSigner !== undefined && policy.isvProdId !== undefined;
  const defects = [
    ...(policy.mrEnclave?.includes(body.mrEnclave) === false ? [`mrEnclave ${body.mrEnclave} is not allowed`] : []),
    ...(policy.mrSigner?.includes(body.mrSigner) === false ? [`mrSigner ${body.mrSigner} is not allowed`] : []),
    ...(policy.isvProdId !== undefined && policy.isvProdId !== body.isvProdId
      ? [`isvProdId is ${body.isvProdId}, allowed is ${policy.isvProdId}`]
      : []),
  ];
  if (defects.length > 0) return failed(name, defects.join('; '));
  if (policy.mrEnclave === undefined && !isSigned) {
    return unchecked(name, 'the policy allows neither an mrEnclave nor an mrSigner with its isvProdId');
  }
  return passed(
    name,
    `allowed by the policy: ${policy.mrEnclave === undefined ? 'mrSigner and isvProdId' : 'mrEnclave'}`,
  );
}

function checkEvaluationNumber(min: number | undefined, tcb: TcbEvaluation | null): readonly EvidenceCheck[] {
  if (min === undefined) return [];
  const name = 'policy-evaluation-data-number';
  if (tcb === null) return [unchecked(name, 'there is no verified collateral')];
  const { evaluationDataNumber: is } = tcb;
  return [decide(name, { holds: is >= min, detail: `tcbEvaluationDataNumber is ${is}, at least ${min} is needed` })];
}

function checkTdxSettings(body: TdReport, policy: Partial<TdxPolicy>): readonly EvidenceCheck[] {
  const isMigrationRefused = body.isMigratable && policy.allowMigration !== true;
  const migration = decide('policy-migration', {
    holds: !isMigrationRefused,
    detail: body.isMigratable
      ? `a service TD may move it to another machine, which is ${isMigrationRefused ? 'not ' : ''}allowed`
      : 'it cannot be moved to another machine',
  });
  if (policy.requireSeptVeDisable !== true) return [migration];
  const detail = `SEPT_VE_DISABLE is ${body.hasSeptVeDisable ? 'on' : 'off'}, and has to be on`;
  return [migration, decide('policy-sept-ve-disable', { holds: body.hasSeptVeDisable, detail })];
}

function checkSgxSettings(body: EnclaveReport, { minimumIsvSvn }: Partial<SgxPolicy>): readonly EvidenceCheck[] {
  if (minimumIsvSvn === undefined) return [];
  const detail = `ISVSVN is ${body.isvSvn}, at least ${minimumIsvSvn} is needed`;
  return [decide('policy-isv-svn', { holds: body.isvSvn >= minimumIsvSvn, detail })];
}
