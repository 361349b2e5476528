import { BlobId } from '../../../domain/ids.ts';
import type { JobSecrets } from '../../../tee/interface.ts';
import { SchedulerError } from '../../errors.ts';
import { jobIdOf } from '../../object-ids.ts';
import type { JobRequesterOptions } from '../../options.ts';
import type { JobRunOptions } from '../job-run-parts.ts';
import { ConfidentialRun, type ConfidentialRunModules } from './confidential-run.ts';
import type { SecretsVault } from './secrets-vault.ts';

/** What confidential jobs of this node have in common. */
export interface ConfidentialParts {
  readonly confidentiality: ConfidentialRunModules['confidentiality'];
  readonly vault: SecretsVault;
}

type Modules = Omit<ConfidentialRunModules, 'confidentiality'> & {
  readonly confidential?: ConfidentialParts | undefined;
};

/** Null where the job is not confidential. @throws SchedulerError SCHEDULER_STORE_CORRUPT */
export function createConfidentialRun(modules: Modules, options: JobRunOptions): ConfidentialRun | null {
  const { job, sealedSecrets, state } = options;
  if (job.value.confidential === undefined) return null;
  const { confidential } = modules;
  if (confidential === undefined || sealedSecrets === undefined) {
    const reason = 'it is confidential, and its secrets are not here';
    throw new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key: `jobs/${job.id}`, reason });
  }
  for (const { released } of state.attempts) {
    if (released !== undefined) modules.pins.holdEvidence(state.facts.job, BlobId(released.evidence.blob));
  }
  const secrets: JobSecrets = confidential.vault.open(jobIdOf(job), sealedSecrets);
  const { networkId, confidential: terms }: JobRequesterOptions = options.requester;
  return new ConfidentialRun(
    { ...modules, confidentiality: confidential.confidentiality },
    { networkId, job, secrets, ownPolicy: terms.ownPolicy },
  );
}
