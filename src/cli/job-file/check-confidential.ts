import { dirname, resolve } from 'node:path';
import { listPolicyKinds } from '../../domain/confidential.ts';
import { JobFileError } from './errors.ts';
import type { JobFileProblem, OpenedJobFile } from './interface.ts';
import { loadPolicy } from './load-policy.ts';
import { nameKind } from './name-kind.ts';

export interface CheckedConfidential {
  readonly problems: readonly JobFileProblem[];
  /** JSON; undefined where the job is not confidential, or its policy is none. */
  readonly policy: string | undefined;
}

/** Problems of a confidential job's policy. */
export async function checkConfidential({ path, jobFile, locate }: OpenedJobFile): Promise<CheckedConfidential> {
  try {
    return { problems: [], policy: await loadPolicy({ jobFile }, dirname(resolve(path))) };
  } catch (error) {
    if (!(error instanceof JobFileError)) throw error;
    const field = ['confidential', 'policy'];
    const { message, hint } = error;
    return {
      problems: [{ severity: 'error', ...locate(field), field: field.join('.'), message, hint }],
      policy: undefined,
    };
  }
}

/** What is asked of a provider before it gets anything. */
export function describeEvidence(policy: string): string {
  const { kinds, gpus } = listPolicyKinds(policy);
  const simulated = kinds.includes('simulated') ? '; SIMULATED shows nothing of any hardware' : '';
  return `confidential: of ${kinds.map(nameKind).join(' or ')}${gpus ? ', and of NVIDIA GPUs' : ''}${simulated}`;
}

/** What a person should know of a confidential job before it is submitted. */
export function renderConfidential(policy: string): string[] {
  return [
    `${describeEvidence(policy)}; it runs on providers of the class tee, and nothing is released without valid evidence`,
    'sealed: content of inputs and outputs, log lines, metrics',
    'not sealed: the module, arguments, environment, paths of inputs and outputs, sizes, fuel, steps, times',
  ];
}
