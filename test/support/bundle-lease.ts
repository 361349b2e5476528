import { JobId, OfferId, UnixMs } from '../../src/domain/ids.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Lease } from '../../src/domain/lease.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { LocalIdentity } from '../../src/identity/local-identity.ts';

/** A lease of one replica as its requester signs it. */
export function createLease(
  job: Signed<Job>,
  {
    replica,
    provider,
    startMs,
  }: { readonly replica: number; readonly provider: LocalIdentity; readonly startMs: number },
): Lease {
  return {
    type: 'fogproof/lease@1',
    network: 'test',
    job: JobId(job.id),
    offer: OfferId(job.id),
    requester: job.value.requester,
    provider: provider.peer,
    nonce: new Uint8Array(16).fill(replica),
    replica,
    attempt: 0,
    price: '5',
    issuedAtMs: UnixMs(startMs + 1_000),
    durationMs: 120_000,
    renewalMs: 30_000,
    deadlineMs: UnixMs(startMs + 600_000),
    commitReveal: job.value.replication.replicas > 1,
  };
}
