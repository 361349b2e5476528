import { TEE_KINDS } from '../../domain/capability.ts';
import { MAX_POLICY_CHARS } from '../../domain/job.ts';
import { TeeError } from '../errors.ts';
import type { ReadPolicy } from '../interface.ts';
import { type EvidencePolicy, parseEvidencePolicy } from '../policy.ts';

/** @throws TeeError TEE_POLICY_INVALID */
export function parsePolicyJson(text: string): EvidencePolicy {
  if (text.length > MAX_POLICY_CHARS) throw refuse(`it has more than ${MAX_POLICY_CHARS} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse('it is not JSON', { cause });
  }
  return parseEvidencePolicy(value);
}

/** @throws TeeError TEE_POLICY_INVALID, also for a policy without a section of a TEE kind */
export function readPolicy(text: string): ReadPolicy {
  const policy = parsePolicyJson(text);
  const kinds = TEE_KINDS.filter((kind) => policy[kind] !== undefined);
  if (kinds.length === 0) throw refuse(`it has no section of an environment that jobs run in: ${TEE_KINDS.join(', ')}`);
  return { kinds, gpus: policy.nvidia !== undefined };
}

function refuse(issue: string, options?: ErrorOptions): TeeError {
  return new TeeError({ code: 'TEE_POLICY_INVALID', issues: [issue] }, options);
}
