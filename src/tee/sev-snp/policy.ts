import { z } from 'zod';
import { hexBytes, MAX_LIST_ENTRIES } from '../policy-fields.ts';
import { MAX_VMPL } from './constants.ts';
import { PRODUCTS } from './products.ts';

const level = z.int().min(0).max(255);
const minimum = z
  .strictObject({
    fmc: level.exactOptional(),
    bootLoader: level.exactOptional(),
    tee: level.exactOptional(),
    snp: level.exactOptional(),
    microcode: level.exactOptional(),
  })
  .refine((parts) => Object.keys(parts).length > 0, 'name at least one part, such as microcode: 219');

/** Checks whose being unchecked a policy may accept, by name. A check that failed is never accepted. */
const ACCEPTABLE = ['revocation'] as const;

/** What a SEV-SNP report must say. A guest that may be debugged is refused whatever a policy says. */
export const sevSnpPolicySchema = z.strictObject({
  measurements: z
    .array(hexBytes(48))
    .min(1)
    .max(MAX_LIST_ENTRIES)
    .exactOptional()
    .describe('launch measurements of guests that are accepted, 48 bytes in hex each'),
  minimumTcb: z
    .union([
      z.literal('any'),
      z
        .partialRecord(z.enum(PRODUCTS), minimum)
        .refine((by) => Object.keys(by).length > 0, 'name at least one product'),
    ])
    .exactOptional()
    .describe('least patch levels for each product that is accepted, at launch and now; any: not judged'),
  allowMigration: z.boolean().default(false).describe('accept guests that a migration agent may move'),
  allowSmt: z.boolean().default(true).describe('accept guests that may run beside another thread of their core'),
  vmpls: z
    .array(z.int().min(0).max(MAX_VMPL))
    .min(1)
    .max(MAX_VMPL + 1)
    .exactOptional()
    .describe('privilege levels that may have asked for the report; any of a guest if left out'),
  hostData: z
    .array(hexBytes(32))
    .min(1)
    .max(MAX_LIST_ENTRIES)
    .exactOptional()
    .describe('values of HOST_DATA that are accepted, 32 bytes in hex each'),
  idKeyDigests: z
    .array(hexBytes(48))
    .min(1)
    .max(MAX_LIST_ENTRIES)
    .exactOptional()
    .describe('digests of the keys that may have signed the id block, 48 bytes in hex each'),
  minimumGuestSvn: z.int().min(0).max(0xffff_ffff).exactOptional().describe('least security version of the id block'),
  cloudProviders: z
    .array(z.string().min(1).max(256))
    .min(1)
    .max(MAX_LIST_ENTRIES)
    .exactOptional()
    .describe('names in VLEK certificates that are accepted; with it, VCEKs are refused'),
  requireAliasCheck: z
    .boolean()
    .default(false)
    .describe('demand that the firmware checked memory for aliases (CVE-2024-21944)'),
  acceptUnchecked: z
    .array(z.enum(ACCEPTABLE))
    .max(ACCEPTABLE.length)
    .default([])
    .describe("revocation: accept a report that comes without a revocation list of AMD's root"),
});

export type SevSnpPolicy = z.infer<typeof sevSnpPolicySchema>;
