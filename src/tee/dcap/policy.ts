import { z } from 'zod';
import { hexOf } from './collateral/tcb-info.ts';
import { ACCEPTABLE_STATUSES } from './tcb/tcb-status.ts';

const MAX_ALLOWED = 256;

function listOf(bytes: number) {
  return z.array(hexOf(bytes)).min(1).max(MAX_ALLOWED).optional();
}

const tcbFields = {
  /** `UpToDate` alone by default. `Revoked` and `NotSupported` cannot be accepted. */
  acceptedTcbStatuses: z.array(z.enum(ACCEPTABLE_STATUSES)).min(1).optional(),
  /** Lowest tcbEvaluationDataNumber of TCB info and QE identity: refuses collateral of before a TCB recovery. */
  minimumEvaluationDataNumber: z.int().min(0).optional(),
};

/** Measurements are lists of what is allowed, in hex. What is not named is not judged, but for debug, which is refused. */
export const tdxPolicySchema = z.strictObject({
  ...tcbFields,
  mrTd: listOf(48),
  rtmr0: listOf(48),
  rtmr1: listOf(48),
  rtmr2: listOf(48),
  rtmr3: listOf(48),
  mrConfigId: listOf(48),
  mrOwner: listOf(48),
  mrOwnerConfig: listOf(48),
  mrSeam: listOf(48),
  mrServiceTd: listOf(48),
  xfam: listOf(8),
  requireSeptVeDisable: z.boolean().optional(),
  /** Refused by default: a service TD could move the TD, and what it knows, to another machine. */
  allowMigration: z.boolean().optional(),
});

export const sgxPolicySchema = z.strictObject({
  ...tcbFields,
  mrEnclave: listOf(32),
  /** Names whose enclaves are allowed only together with `isvProdId`. */
  mrSigner: listOf(32),
  isvProdId: z.int().min(0).max(0xffff).optional(),
  minimumIsvSvn: z.int().min(0).max(0xffff).optional(),
});

export type TdxPolicy = z.infer<typeof tdxPolicySchema>;
export type SgxPolicy = z.infer<typeof sgxPolicySchema>;
