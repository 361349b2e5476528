import { decide, failed, passed, unchecked } from '../../checks.ts';
import type { EvidenceCheck } from '../../interface.ts';
import { listQeDefects, type QeIdentity } from '../collateral/qe-identity.ts';
import type { TcbInfo } from '../collateral/tcb-info.ts';
import type { QuoteRequest } from '../interface.ts';
import type { EnclaveReport } from '../quote/enclave-report.ts';
import type { PlatformTcb } from '../quote/pck-extension.ts';
import type { TdReport } from '../quote/td-report.ts';
import { parseSvn, type TcbEvaluation } from '../tcb/evaluate-tcb.ts';
import { listModuleDefects } from '../tcb/tdx-module.ts';

/** That the TCB info is of this kind of evidence and of this platform. */
export function checkTcbInfo(
  tcbInfo: TcbInfo,
  kind: QuoteRequest['kind'],
  platform: PlatformTcb | null,
): EvidenceCheck {
  const name = 'tcb-info';
  const id = kind === 'tdx' ? 'TDX' : 'SGX';
  if (tcbInfo.id !== id) return failed(name, `it is of ${tcbInfo.id}, the evidence is of ${id}`);
  if (platform === null) return unchecked(name, 'the PCK certificate does not tell which platform it is of');
  const is = `FMSPC ${platform.fmspc} and PCEID ${platform.pceId}`;
  const holds = tcbInfo.fmspc === platform.fmspc && tcbInfo.pceId === platform.pceId;
  const detail = holds
    ? `it is of ${is}, as is the PCK certificate`
    : `it is of FMSPC ${tcbInfo.fmspc} and PCEID ${tcbInfo.pceId}, the PCK certificate of ${is}`;
  return decide(name, { holds, detail });
}

/** That the quoting enclave is Intel's for this kind of evidence: that of SGX does not vouch for a TD. */
export function checkQeIdentity(
  identity: QeIdentity,
  kind: QuoteRequest['kind'],
  report: EnclaveReport,
): EvidenceCheck {
  const name = 'qe-identity';
  const id = kind === 'tdx' ? 'TD_QE' : 'QE';
  if (identity.id !== id) return failed(name, `it is of ${identity.id}, the evidence needs ${id}`);
  const defects = listQeDefects(report, identity);
  if (defects.length > 0) return failed(name, `the quoting enclave is another: ${defects.join('; ')}`);
  return passed(name, `the quoting enclave is Intel's ${id}, version ${report.isvSvn}`);
}

export function checkModule(report: TdReport, tcbInfo: TcbInfo): EvidenceCheck {
  const name = 'tdx-module';
  if (tcbInfo.id !== 'TDX') return unchecked(name, 'there is no TCB info of TDX');
  const svn = parseSvn(report.teeTcbSvn);
  const defects = listModuleDefects(report, svn, tcbInfo);
  if (defects.length > 0) return failed(name, defects.join('; '));
  return passed(name, `the TDX module is Intel's, version ${svn[1]}.${svn[0]}`);
}

export function checkTcbStatus(tcb: TcbEvaluation | null, accepted: readonly string[] = ['UpToDate']): EvidenceCheck {
  const name = 'tcb';
  if (tcb === null) return unchecked(name, 'without verified TCB info and QE identity nothing is known of it');
  const parts = [`platform ${tcb.platformStatus}`, `quoting enclave ${tcb.qeStatus}`];
  if (tcb.moduleStatus !== null) parts.push(`TDX module ${tcb.moduleStatus}`);
  const advisories = tcb.advisoryIds.length === 0 ? '' : `; ${tcb.advisoryIds.join(', ')}`;
  return decide(name, {
    holds: accepted.includes(tcb.status),
    detail: `status ${tcb.status} (${parts.join(', ')}${advisories}); accepted: ${accepted.join(', ')}`,
  });
}
