/**
 * The TDX module that ran the TD, against Intel's TCB info. Since module 1.5 its version is TEE_TCB_SVN[1]: above 0,
 * `tdxModuleIdentities` tell of it, by its own version number TEE_TCB_SVN[0] (Intel's TdxModuleCheck.cpp, QuoteVerifier.cpp).
 */

import { maskHex } from '../collateral/qe-identity.ts';
import type { IsvLevel, ModuleIdentity, TdxTcbInfo } from '../collateral/tcb-info.ts';
import type { TdReport } from '../quote/td-report.ts';

export function findModuleIdentity(tcbInfo: TdxTcbInfo, version: number): ModuleIdentity | undefined {
  const id = `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`;
  return tcbInfo.tdxModuleIdentities.find((identity) => identity.id === id);
}

/** Why the module is not the one that Intel describes; empty if it is. `svn`: the numbers of TEE_TCB_SVN. */
export function listModuleDefects(report: TdReport, svn: readonly number[], tcbInfo: TdxTcbInfo): readonly string[] {
  const version = svn[1] ?? 0;
  const expected = version === 0 ? tcbInfo.tdxModule : findModuleIdentity(tcbInfo, version);
  if (expected === undefined) return [`Intel's TCB info knows no TDX module of version ${version}`];
  const attributes = maskHex(report.seamAttributes, expected.attributesMask);
  return [
    ...(report.mrSignerSeam === expected.mrsigner
      ? []
      : [`MRSIGNERSEAM is ${report.mrSignerSeam}, expected ${expected.mrsigner}`]),
    ...(/^0*$/u.test(report.seamAttributes) ? [] : [`SEAMATTRIBUTES ${report.seamAttributes} are not zero`]),
    ...(attributes === expected.attributes
      ? []
      : [`SEAMATTRIBUTES are ${attributes}, expected ${expected.attributes}`]),
  ];
}

/** The level of the module by its version number; null before module 1.5, undefined if there is none. */
export function findModuleLevel(svn: readonly number[], tcbInfo: TdxTcbInfo): IsvLevel | null | undefined {
  const [isvSvn = 0, version = 0] = svn;
  if (version === 0) return null;
  return findModuleIdentity(tcbInfo, version)?.tcbLevels.find(({ tcb }) => isvSvn >= tcb.isvsvn);
}
