/** Ids of signed objects under the brand of what they are: one string, which was made as a CID and needs no parsing. */
import type { JobId, LeaseId, ObjectId, OfferId } from '../domain/ids.ts';
import type { Job } from '../domain/job.ts';
import type { Lease } from '../domain/lease.ts';
import type { Offer } from '../domain/offer.ts';
import type { Signed } from '../domain/signed.ts';

const rebrand = <Id extends string>(id: ObjectId): Id => id as string as Id;

export const jobIdOf = (job: Signed<Job>): JobId => rebrand(job.id);
export const leaseIdOf = (lease: Signed<Lease>): LeaseId => rebrand(lease.id);
export const offerIdOf = (offer: Signed<Offer>): OfferId => rebrand(offer.id);
