/** Identity of Intel's quoting enclaves, version 2 (API version 4). */
import { z } from 'zod';
import { MAX_LIST_ENTRIES } from '../constants.ts';
import type { EnclaveReport } from '../quote/enclave-report.ts';
import { hexOf, isvLevelSchema, timeSchema } from './tcb-info.ts';

export const qeIdentitySchema = z.object({
  id: z.enum(['QE', 'TD_QE']),
  version: z.literal(2),
  issueDate: timeSchema,
  nextUpdate: timeSchema,
  tcbEvaluationDataNumber: z.int().min(0),
  miscselect: hexOf(4),
  miscselectMask: hexOf(4),
  attributes: hexOf(16),
  attributesMask: hexOf(16),
  mrsigner: hexOf(32),
  isvprodid: z.int().min(0).max(0xffff),
  tcbLevels: z.array(isvLevelSchema).min(1).max(MAX_LIST_ENTRIES),
});

export type QeIdentity = z.infer<typeof qeIdentitySchema>;

/** Why the report is not of the enclave that the identity describes; empty if it is. */
export function listQeDefects(report: EnclaveReport, identity: QeIdentity): readonly string[] {
  const pairs: readonly (readonly [string, string | number, string | number])[] = [
    ['MISCSELECT', maskHex(report.miscSelect, identity.miscselectMask), identity.miscselect],
    ['ATTRIBUTES', maskHex(report.attributes, identity.attributesMask), identity.attributes],
    ['MRSIGNER', report.mrSigner, identity.mrsigner],
    ['ISVPRODID', report.isvProdId, identity.isvprodid],
  ];
  return pairs.flatMap(([name, is, expected]) => (is === expected ? [] : [`${name} is ${is}, expected ${expected}`]));
}

/** Bitwise and of two numbers of the same length in hex. */
export function maskHex(value: string, mask: string): string {
  const bits = BigInt(`0x${value}`) & BigInt(`0x${mask}`);
  return bits.toString(16).padStart(value.length, '0');
}
