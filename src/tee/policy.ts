import { z } from 'zod';
import { sgxPolicySchema, tdxPolicySchema } from './dcap/policy.ts';
import { TeeError } from './errors.ts';
import { nvidiaPolicySchema } from './nvidia/policy.ts';
import { sevSnpPolicySchema } from './sev-snp/policy.ts';
import { simulatedPolicySchema } from './simulated/policy.ts';

/** What evidence must say to be accepted: a section for each kind. A kind without a section is not accepted at all. */
export const evidencePolicySchema = z
  .strictObject({
    'sev-snp': sevSnpPolicySchema.exactOptional(),
    tdx: tdxPolicySchema.exactOptional(),
    sgx: sgxPolicySchema.exactOptional(),
    nvidia: nvidiaPolicySchema.exactOptional(),
    simulated: simulatedPolicySchema.exactOptional(),
  })
  .refine((policy) => Object.keys(policy).length > 0, 'it has no section: name at least one kind of evidence');

export type EvidencePolicy = z.infer<typeof evidencePolicySchema>;

/** Problems that are told of one policy. */
const MAX_ISSUES = 16;

/** @throws TeeError TEE_POLICY_INVALID with every problem and where it is */
export function parseEvidencePolicy(value: unknown): EvidencePolicy {
  const result = evidencePolicySchema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, MAX_ISSUES).map(describeIssue);
  throw new TeeError({ code: 'TEE_POLICY_INVALID', issues }, { cause: result.error });
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  const what = message.replace(/^Invalid input: /u, '');
  return path.length === 0 ? what : `${path.map(String).join('.')}: ${what}`;
}
