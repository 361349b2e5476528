/** What Intel says of a platform: its TcbLevelCheck.cpp and TDRelaunchCheck.cpp, on documents that were verified before. */

import type { QeIdentity } from '../collateral/qe-identity.ts';
import type { TcbInfo, TcbLevel, TdxTcbInfo } from '../collateral/tcb-info.ts';
import type { PlatformTcb } from '../quote/pck-extension.ts';
import type { Quote } from '../quote/quote.ts';
import type { TdReport } from '../quote/td-report.ts';
import { convergeStatus, needsConfiguration, type TcbStatus } from './tcb-status.ts';
import { findModuleIdentity, findModuleLevel } from './tdx-module.ts';

export interface TcbEvaluation {
  /** Of platform, TDX module and quoting enclave together. */
  readonly status: TcbStatus;
  readonly platformStatus: TcbStatus;
  /** Null: SGX, or a TDX module without an identity of its own. */
  readonly moduleStatus: TcbStatus | null;
  readonly qeStatus: TcbStatus;
  /** When Intel published the platform's level, Unix ms; null if no level matches. */
  readonly levelDateMs: number | null;
  /** Of all three, sorted. */
  readonly advisoryIds: readonly string[];
  readonly evaluationDataNumber: number;
}

interface TcbEvidence {
  readonly quote: Quote;
  readonly platform: PlatformTcb;
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
}

export function evaluateTcb({ quote, platform, tcbInfo, qeIdentity }: TcbEvidence): TcbEvaluation {
  const qeLevel = qeIdentity.tcbLevels.find(({ tcb }) => quote.qe.report.isvSvn >= tcb.isvsvn);
  const qeStatus = qeLevel?.tcbStatus ?? 'NotSupported';
  const found =
    tcbInfo.id === 'TDX' && quote.body.kind === 'tdx'
      ? evaluateTdx(quote.body, { platform, tcbInfo, qeStatus })
      : evaluateSgx(platform, tcbInfo);
  const advisories = [...found.advisoryIds, ...(qeLevel?.advisoryIDs ?? [])];
  return {
    status: convergeStatus(found.status, qeStatus),
    platformStatus: found.level?.tcbStatus ?? 'NotSupported',
    moduleStatus: found.moduleStatus,
    qeStatus,
    levelDateMs: found.level?.tcbDate ?? null,
    advisoryIds: [...new Set(advisories)].toSorted(),
    evaluationDataNumber: Math.min(tcbInfo.tcbEvaluationDataNumber, qeIdentity.tcbEvaluationDataNumber),
  };
}

interface PlatformFinding {
  readonly status: TcbStatus;
  readonly level: TcbLevel | undefined;
  readonly moduleStatus: TcbStatus | null;
  readonly advisoryIds: readonly string[];
}

function evaluateSgx(platform: PlatformTcb, tcbInfo: TcbInfo): PlatformFinding {
  const level = tcbInfo.tcbLevels.find((candidate) => isPlatformAtLeast(platform, candidate));
  return {
    status: level?.tcbStatus ?? 'NotSupported',
    level,
    moduleStatus: null,
    advisoryIds: level?.advisoryIDs ?? [],
  };
}

interface TdxContext {
  readonly platform: PlatformTcb;
  readonly tcbInfo: TdxTcbInfo;
  readonly qeStatus: TcbStatus;
}

function evaluateTdx(report: TdReport, context: TdxContext): PlatformFinding {
  const { platform, tcbInfo } = context;
  const svn = parseSvn(report.teeTcbSvn);
  const reached = tcbInfo.tcbLevels.filter((candidate) => isPlatformAtLeast(platform, candidate));
  // From module 1.5 on the first two components are the module's, and its identity judges them.
  const first = (svn[1] ?? 0) > 0 ? 2 : 0;
  const level = reached.find(({ tcb }) => isAtLeast(svn, tcb.tdxtcbcomponents, first));
  const moduleLevel = findModuleLevel(svn, tcbInfo);
  const moduleStatus = moduleLevel === null ? null : (moduleLevel?.tcbStatus ?? 'NotSupported');
  const status = convergeStatus(level?.tcbStatus ?? 'NotSupported', moduleStatus ?? 'UpToDate');
  return {
    status: adviseRelaunch(report, context, { status, moduleStatus, sgxStatus: reached[0]?.tcbStatus }),
    level,
    moduleStatus,
    advisoryIds: [...(level?.advisoryIDs ?? []), ...(moduleLevel?.advisoryIDs ?? [])],
  };
}

interface RelaunchInput {
  readonly status: TcbStatus;
  readonly moduleStatus: TcbStatus | null;
  readonly sgxStatus: TcbStatus | undefined;
}

/**
 * A TD report 1.5 also tells what the machine has now: if only the module at launch was out of date, and the one that is
 * loaded now is the latest, launching the TD again is all that is needed.
 */
function adviseRelaunch(report: TdReport, { tcbInfo, qeStatus }: TdxContext, input: RelaunchInput): TcbStatus {
  const { status, moduleStatus, sgxStatus } = input;
  const isOutOfDate = status === 'OutOfDate' || status === 'OutOfDateConfigurationNeeded';
  const isSgxCurrent = sgxStatus !== undefined && CURRENT.includes(sgxStatus);
  if (report.teeTcbSvn2 === null || !isOutOfDate || moduleStatus !== 'OutOfDate') return status;
  if (!isSgxCurrent || qeStatus !== 'UpToDate') return status;
  const now = parseSvn(report.teeTcbSvn2);
  const latest = tcbInfo.tcbLevels[0]?.tcb.tdxtcbcomponents ?? [];
  const version = now[1] ?? 0;
  const latestModule = version === 0 ? latest[0] : findModuleIdentity(tcbInfo, version)?.tcbLevels[0]?.tcb.isvsvn;
  if (latestModule === undefined) return 'NotSupported';
  const isLatest = (now[0] ?? 0) >= latestModule && (now[2] ?? 0) >= (latest[2] ?? Number.POSITIVE_INFINITY);
  if (!isLatest) return status;
  return needsConfiguration(sgxStatus) || needsConfiguration(status)
    ? 'TDRelaunchAdvisedConfigurationNeeded'
    : 'TDRelaunchAdvised';
}

const CURRENT: readonly TcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
];

function isPlatformAtLeast({ components, pceSvn }: PlatformTcb, { tcb }: TcbLevel): boolean {
  return pceSvn >= tcb.pcesvn && isAtLeast(components, tcb.sgxtcbcomponents, 0);
}

/** Every component from `first` on is as high or higher. */
function isAtLeast(actual: readonly number[], needed: readonly number[], first: number): boolean {
  return needed.every((svn, index) => index < first || (actual[index] ?? -1) >= svn);
}

/** The numbers of TEE_TCB_SVN. */
export function parseSvn(hex: string): readonly number[] {
  return Array.from({ length: hex.length / 2 }, (_, index) => Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16));
}
