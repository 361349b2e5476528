/** Checks of a lease and its acceptance: parties, terms and times. */
import { JobId, LeaseId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Lease, LeaseAcceptance } from '../../domain/lease.ts';
import type { Signed } from '../../domain/signed.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';
import { type Check, checkRules } from './check.ts';

export function checkLease(label: string, lease: Signed<Lease>, job: Signed<Job>): readonly Check[] {
  const { value } = lease;
  const terms = job.value;
  return [
    checkRules(`${label}: lease parties`, 'WRONG_PARTIES', [
      [value.job === JobId(job.id), 'the lease is for another job'],
      [value.requester === terms.requester, "the lease names another requester than the job's"],
      [value.network === terms.network, "the lease is for another network than the job's"],
      [value.provider !== terms.requester, 'the requester leased its own job to itself'],
    ]),
    checkRules(`${label}: lease terms`, 'WRONG_TERMS', [
      [
        value.replica < terms.replication.replicas,
        `it is for replica ${value.replica} of ${terms.replication.replicas}`,
      ],
      [
        BigInt(value.price) <= BigInt(terms.priceCeiling),
        `its price ${value.price} is above the job's ceiling ${terms.priceCeiling}`,
      ],
      [value.renewalMs <= value.durationMs, 'it asks for renewal later than it ends'],
      [
        value.commitReveal === terms.replication.replicas > 1,
        'it asks for a commitment where there is one replica, or for none where there are more',
      ],
      [
        value.snapshotHolder === undefined || value.snapshotHolder === (terms.checkpoints?.holder ?? terms.requester),
        'it names another holder of snapshots than the job',
      ],
      [
        value.resume === undefined || terms.checkpoints !== undefined,
        'it goes on from a checkpoint of a job that makes none',
      ],
    ]),
    // That it was issued after the job was made needs no clock, which may have been set in between: it names the job by its hash.
    checkRules(`${label}: lease times`, 'WRONG_TIME', [
      [value.deadlineMs <= terms.deadlineMs, "its deadline is after the job's"],
      [value.issuedAtMs <= value.deadlineMs, 'it was issued after its deadline'],
    ]),
  ];
}

export function checkAcceptance(label: string, acceptance: LeaseAcceptance, lease: Signed<Lease>): readonly Check[] {
  const { issuedAtMs, durationMs, provider } = lease.value;
  const { acceptedAtMs } = acceptance;
  return [
    checkRules(`${label}: acceptance parties`, 'WRONG_PARTIES', [
      [acceptance.lease === LeaseId(lease.id), 'it accepts another lease'],
      [acceptance.provider === provider, 'it names another provider than the lease'],
    ]),
    checkRules(`${label}: acceptance times`, 'WRONG_TIME', [
      [acceptedAtMs >= issuedAtMs - CLOCK_SKEW_MS, 'the lease was accepted before it was issued'],
      [acceptedAtMs <= issuedAtMs + durationMs + CLOCK_SKEW_MS, 'the lease was accepted after it had run out'],
    ]),
  ];
}
