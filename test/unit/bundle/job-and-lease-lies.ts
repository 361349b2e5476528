import { BlobId, JobId, LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';
import { party, START_MS } from '../../support/bundle-builder.ts';
import type { LieCase } from './lie-case.ts';

const OTHER = computeObjectCid(Uint8Array.of(1)).toString();
const OTHER_BLOB = BlobId(computeRawCid(Uint8Array.of(1)).toString());
const LATE = UnixMs(START_MS + 700_000);
const EARLY = UnixMs(START_MS - 100_000);
const LIAR = party(4).peer;

export const JOB_LIES: readonly LieCase[] = [
  {
    what: 'job.requester',
    lies: { job: (v) => ({ ...v, requester: LIAR }) },
    check: 'job signature',
    code: 'WRONG_SIGNER',
  },
  { what: 'job signer', lies: { signers: { job: 4 } }, check: 'job signature', code: 'WRONG_SIGNER' },
  {
    what: 'job.network',
    lies: { job: (v) => ({ ...v, network: 'other' }) },
    check: 'attempt 1: lease parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'job.deadlineMs before it was made',
    lies: { job: (v) => ({ ...v, deadlineMs: EARLY }) },
    check: 'job terms',
    code: 'WRONG_TERMS',
  },
  {
    what: "job.deadlineMs before the lease's",
    lies: { job: (v) => ({ ...v, deadlineMs: UnixMs(START_MS + 500_000) }) },
    check: 'attempt 1: lease times',
    code: 'WRONG_TIME',
  },
  {
    what: 'job.replication.quorum',
    lies: { job: (v) => ({ ...v, replication: { ...v.replication, quorum: 1 } }) },
    check: 'job terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.replication.quorum above',
    lies: { job: (v) => ({ ...v, replication: { ...v.replication, quorum: 4 } }) },
    check: 'job terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.replication.replicas',
    lies: { job: (v) => ({ ...v, replication: { ...v.replication, replicas: 2 } }) },
    check: 'attempt 3: lease terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.replication of one',
    lies: { job: (v) => ({ ...v, replication: { ...v.replication, replicas: 1, quorum: 1 } }) },
    check: 'quorum',
    code: 'NO_QUORUM',
  },
  {
    what: 'job.inputs',
    lies: { job: (v) => ({ ...v, inputs: [...v.inputs, ...v.inputs] }) },
    check: 'job terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.inputs[0].blob',
    lies: { job: (v) => ({ ...v, inputs: v.inputs.map((input) => ({ ...input, blob: OTHER_BLOB })) }) },
    check: 'blobs named',
    code: 'WRONG_BLOB',
  },
  {
    what: 'job.workload.module',
    lies: { job: (v) => ({ ...v, workload: { ...v.workload, module: OTHER_BLOB } }) },
    check: 'blobs named',
    code: 'WRONG_BLOB',
  },
  {
    what: 'job.workload.moduleSizeBytes',
    lies: { job: (v) => ({ ...v, workload: { ...v.workload, moduleSizeBytes: 99 } }) },
    check: 'blobs named',
    code: 'WRONG_BLOB',
  },
  {
    what: 'job.isolation',
    lies: { job: (v) => ({ ...v, isolation: 'bubblewrap' }) },
    check: 'attempt 1: receipt isolation',
    code: 'WRONG_ISOLATION',
  },
  {
    what: 'job.priceCeiling',
    lies: { job: (v) => ({ ...v, priceCeiling: '4' }) },
    check: 'attempt 1: lease terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.resources.fuel',
    lies: { job: (v) => ({ ...v, resources: { ...v.resources, fuel: 10 } }) },
    check: 'attempt 1: receipt limits',
    code: 'OVER_LIMIT',
  },
  {
    what: 'job.resources.outputBytes',
    lies: { job: (v) => ({ ...v, resources: { ...v.resources, outputBytes: 3 } }) },
    check: 'attempt 1: receipt limits',
    code: 'OVER_LIMIT',
  },
];

export const LEASE_LIES: readonly LieCase[] = [
  { what: 'lease signer', lies: { signers: { lease: 4 } }, check: 'attempt 1: lease signature', code: 'WRONG_SIGNER' },
  {
    what: 'lease.job',
    lies: { lease: (v) => ({ ...v, job: JobId(OTHER) }) },
    check: 'attempt 1: lease parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'lease.requester',
    lies: { lease: (v) => ({ ...v, requester: LIAR }) },
    check: 'attempt 1: lease parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'lease.network',
    lies: { lease: (v) => ({ ...v, network: 'other' }) },
    check: 'attempt 1: lease parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'lease.provider',
    lies: { lease: (v) => ({ ...v, provider: LIAR }) },
    check: 'attempt 1: receipt signature',
    code: 'WRONG_SIGNER',
  },
  {
    what: 'lease.provider is the requester',
    lies: {},
    check: 'attempt 1: lease parties',
    code: 'WRONG_PARTIES',
    build: { providers: [0, 2, 3] },
  },
  {
    what: 'lease.replica',
    lies: { lease: (v) => ({ ...v, replica: v.replica + 3 }) },
    check: 'attempt 1: lease terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'lease.replica twice',
    lies: { lease: (v) => ({ ...v, replica: 0 }) },
    check: 'replicas distinct',
    code: 'REPEATED',
  },
  {
    what: 'lease.replica left out',
    lies: { lease: (v) => ({ ...v, replica: 0 }) },
    check: 'replicas accounted for',
    code: 'NOT_ACCOUNTED',
  },
  {
    what: 'lease.price',
    lies: { lease: (v) => ({ ...v, price: '11' }) },
    check: 'attempt 1: lease terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'lease.renewalMs',
    lies: { lease: (v) => ({ ...v, renewalMs: 130_000 }) },
    check: 'attempt 1: lease terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'lease.durationMs',
    lies: {
      lease: (v) => ({ ...v, durationMs: 100, renewalMs: 50 }),
      acceptance: (v) => ({ ...v, acceptedAtMs: UnixMs(START_MS + 40_000) }),
    },
    check: 'attempt 1: acceptance times',
    code: 'WRONG_TIME',
  },
  {
    what: 'lease.commitReveal',
    lies: { lease: (v) => ({ ...v, commitReveal: false }) },
    check: 'attempt 1: lease terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'lease.deadlineMs',
    lies: { lease: (v) => ({ ...v, deadlineMs: LATE }) },
    check: 'attempt 1: lease times',
    code: 'WRONG_TIME',
  },
  {
    what: 'lease.issuedAtMs early',
    lies: { lease: (v) => ({ ...v, issuedAtMs: UnixMs(1) }) },
    check: 'attempt 1: acceptance times',
    code: 'WRONG_TIME',
  },
  {
    what: 'lease.issuedAtMs late',
    lies: { lease: (v) => ({ ...v, issuedAtMs: LATE }) },
    check: 'attempt 1: lease times',
    code: 'WRONG_TIME',
  },
  {
    what: 'acceptance signer',
    lies: { signers: { acceptance: 4 } },
    check: 'attempt 1: acceptance signature',
    code: 'WRONG_SIGNER',
  },
  {
    what: 'acceptance.lease',
    lies: { acceptance: (v) => ({ ...v, lease: LeaseId(OTHER) }) },
    check: 'attempt 1: acceptance parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'acceptance.provider',
    lies: { acceptance: (v) => ({ ...v, provider: LIAR }) },
    check: 'attempt 1: acceptance parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'acceptance.acceptedAtMs early',
    lies: { acceptance: (v) => ({ ...v, acceptedAtMs: EARLY }) },
    check: 'attempt 1: acceptance times',
    code: 'WRONG_TIME',
  },
  {
    what: 'acceptance.acceptedAtMs late',
    lies: { acceptance: (v) => ({ ...v, acceptedAtMs: UnixMs(START_MS + 200_000) }) },
    check: 'attempt 1: acceptance times',
    code: 'WRONG_TIME',
  },
];
