import type { Logger } from '../../telemetry/interface.ts';
import type { RequesterMetrics } from '../metrics.ts';
import type { JobRequesterOptions } from '../options.ts';
import { createAnnouncer } from './announcing/create-announcer.ts';
import { ConfidentialIntake } from './confidential/confidential-intake.ts';
import { SecretsVault } from './confidential/secrets-vault.ts';
import { InlineBlobs } from './inline-blobs.ts';
import { JobPins } from './job-pins.ts';
import type { JobRunModules } from './job-run-parts.ts';
import { LeaseNotices } from './lease-notices.ts';
import { ProviderStandings } from './provider-standings.ts';
import type { JobRequesterModules } from './requester-modules.ts';

/** What all jobs of a requester have in common. */
export type SharedParts = Pick<JobRunModules, 'inlineBlobs' | 'standings' | 'notices' | 'announcer' | 'pins'> & {
  /** Absent: confidential jobs are refused. */
  readonly confidential?: NonNullable<JobRunModules['confidential']> & { readonly intake: ConfidentialIntake };
};

export function createSharedParts(
  modules: JobRequesterModules & { readonly logger: Logger },
  options: JobRequesterOptions & { readonly metrics: RequesterMetrics },
): SharedParts {
  const { network, clock, logger, random, blobs } = modules;
  const shared = {
    announcer: createAnnouncer(modules, options),
    inlineBlobs: new InlineBlobs(modules),
    standings: new ProviderStandings(),
    notices: new LeaseNotices({ transport: network.transport, clock, logger }),
    pins: new JobPins(modules),
  };
  if (modules.confidential === undefined) return shared;
  const { confidentiality, storeKey } = modules.confidential;
  const vault = new SecretsVault({ random }, { storeKey });
  const intake = new ConfidentialIntake({ blobs, confidentiality }, options.confidential);
  return { ...shared, confidential: { confidentiality, vault, intake } };
}
