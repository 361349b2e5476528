/** The part of a job file that makes a job confidential (docs/confidential.md), and what cannot be beside it. */
import { z } from 'zod';

export const confidentialFileSchema = z.strictObject({
  policy: z
    .union([z.string().min(1).max(4096), z.record(z.string().max(64), z.unknown())], {
      error: 'expected the path of a policy, or a policy',
    })
    .describe(
      'What evidence is accepted: the path of a policy (YAML or JSON, relative to this file), or the policy itself (docs/attestation.md).',
    ),
});

interface ConfidentialFields {
  readonly confidential?: unknown;
  readonly capabilityClass?: string | undefined;
  readonly checkpoints?: unknown;
  readonly comparisons?: unknown;
  readonly batch?: unknown;
}

/** What a confidential job cannot have yet. */
export function findConfidentialProblems(fields: ConfidentialFields): { path: string[]; message: string }[] {
  if (fields.confidential === undefined) return [];
  const problems: { path: string[]; message: string }[] = [];
  const refuse = (field: keyof ConfidentialFields, message: string): void => {
    problems.push({ path: [field], message });
  };
  const { capabilityClass, checkpoints } = fields;
  if (capabilityClass !== undefined && capabilityClass !== 'tee') {
    refuse('capabilityClass', 'confidential jobs run on providers of the class tee: remove it');
  }
  if (checkpoints !== undefined && checkpoints !== 'none') {
    refuse('checkpoints', 'confidential jobs make no checkpoints: their state does not leave the hardware');
  }
  if (fields.comparisons !== undefined) {
    refuse('comparisons', 'results of confidential jobs are sealed, and compared byte for byte: remove it');
  }
  if (fields.batch !== undefined) {
    refuse('batch', 'confidential jobs are submitted one by one: each attempt shows evidence of its own');
  }
  return problems;
}
