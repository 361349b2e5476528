import { JobId, LeaseId, ObjectId, UnixMs } from '../../../src/domain/ids.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import { party, START_MS } from '../../support/bundle-builder.ts';
import type { LieCase } from './lie-case.ts';

const OTHER = computeObjectCid(Uint8Array.of(1)).toString();
const LATE = UnixMs(START_MS + 700_000);
const EARLY = UnixMs(START_MS - 100_000);
const LIAR = party(4).peer;

const NOTHING_RUN = { items: 1, cachedItems: 1, calls: 0, largestBatchRows: 0 };

export const RECEIPT_LIES: readonly LieCase[] = [
  {
    what: 'receipt signer',
    lies: { signers: { receipt: 4 } },
    check: 'attempt 1: receipt signature',
    code: 'WRONG_SIGNER',
  },
  {
    what: 'receipt.job',
    lies: { receipt: (v) => ({ ...v, job: JobId(OTHER) }) },
    check: 'attempt 1: receipt parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'receipt.lease',
    lies: { receipt: (v) => ({ ...v, lease: LeaseId(OTHER) }) },
    check: 'attempt 1: receipt parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'receipt.requester',
    lies: { receipt: (v) => ({ ...v, requester: LIAR }) },
    check: 'attempt 1: receipt parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'receipt.provider',
    lies: { receipt: (v) => ({ ...v, provider: LIAR }) },
    check: 'attempt 1: receipt parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'receipt.network',
    lies: { receipt: (v) => ({ ...v, network: 'other' }) },
    check: 'attempt 1: receipt parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'receipt.outputRoot',
    lies: { receipt: (v) => ({ ...v, outputRoot: ObjectId(OTHER) }) },
    check: 'attempt 1: receipt result',
    code: 'WRONG_RESULT',
  },
  {
    what: 'receipt.sandbox.inference of a job without a model',
    lies: { receipt: (v) => ({ ...v, sandbox: { ...v.sandbox, inference: NOTHING_RUN } }) },
    check: 'attempt 1: receipt result',
    code: 'WRONG_RESULT',
  },
  {
    what: 'receipt.result.fuel',
    lies: { receipt: (v) => ({ ...v, result: { ...v.result, fuel: 1 } }) },
    check: 'attempt 1: receipt result',
    code: 'WRONG_RESULT',
  },
  {
    what: 'result.job',
    lies: { result: (v) => ({ ...v, job: JobId(OTHER) }) },
    check: 'attempt 1: receipt result',
    code: 'WRONG_RESULT',
  },
  {
    what: 'result.outputs order',
    lies: { result: (v) => ({ ...v, outputs: v.outputs.toReversed() }) },
    check: 'attempt 1: receipt result',
    code: 'WRONG_RESULT',
  },
  {
    what: 'result.outputs twice',
    lies: { result: (v) => ({ ...v, outputs: [...v.outputs.slice(0, 1), ...v.outputs.slice(0, 1)] }) },
    check: 'attempt 1: receipt result',
    code: 'WRONG_RESULT',
  },
  {
    what: 'result.outputs size',
    lies: { result: (v) => ({ ...v, outputs: v.outputs.map((file) => ({ ...file, sizeBytes: 1 })) }) },
    check: 'outputs in the file',
    code: 'WRONG_BLOB',
  },
  {
    what: 'result.instrumentedModule',
    lies: { result: (v) => ({ ...v, instrumentedModule: null }) },
    check: 'attempt 1: receipt result',
    code: 'WRONG_RESULT',
  },
  {
    what: 'result.fuel over the limit',
    lies: { result: (v) => ({ ...v, fuel: 1_000_001 }) },
    check: 'attempt 1: receipt limits',
    code: 'OVER_LIMIT',
  },
  {
    what: 'receipt.startedAtMs',
    lies: { receipt: (v) => ({ ...v, startedAtMs: EARLY }) },
    check: 'attempt 1: receipt times',
    code: 'WRONG_TIME',
  },
  {
    what: 'receipt.finishedAtMs before the start',
    lies: { receipt: (v) => ({ ...v, finishedAtMs: UnixMs(START_MS + 1_500) }) },
    check: 'attempt 1: receipt times',
    code: 'WRONG_TIME',
  },
  {
    what: 'receipt.finishedAtMs after the deadline',
    lies: { receipt: (v) => ({ ...v, finishedAtMs: LATE }) },
    check: 'attempt 1: receipt times',
    code: 'WRONG_TIME',
  },
  {
    what: 'receipt.salt',
    lies: { receipt: (v) => ({ ...v, salt: new Uint8Array(32) }) },
    check: 'attempt 1: commitment opens',
    code: 'WRONG_COMMITMENT',
  },
  {
    what: 'receipt.salt left out',
    lies: { receipt: (v) => ({ ...v, salt: null }) },
    check: 'attempt 1: commitment opens',
    code: 'WRONG_COMMITMENT',
  },
  {
    what: 'receipt.commitmentSet',
    lies: { receipt: (v) => ({ ...v, commitmentSet: ObjectId(OTHER) }) },
    check: 'attempt 1: commitment opens',
    code: 'WRONG_COMMITMENT',
  },
  {
    what: 'a result changed after the commitment',
    lies: { receipt: (v) => ({ ...v, salt: new Uint8Array(32).fill(101) }) },
    check: 'attempt 1: commitment opens',
    code: 'WRONG_COMMITMENT',
  },
  {
    what: 'progress signer',
    lies: { signers: { progress: 4 } },
    check: 'attempt 1: lease renewal',
    code: 'WRONG_SIGNER',
  },
  {
    what: 'progress.lease',
    lies: { progress: (v) => ({ ...v, lease: LeaseId(OTHER) }) },
    check: 'attempt 1: lease renewal',
    code: 'WRONG_TIME',
  },
  {
    what: 'progress.atMs',
    lies: { progress: (v) => ({ ...v, atMs: LATE }) },
    check: 'attempt 1: lease renewal',
    code: 'WRONG_TIME',
  },
  {
    what: 'progress.sequence',
    lies: {
      receipt: (v) => ({ ...v, finishedAtMs: UnixMs(START_MS + 590_000) }),
      progress: (v) => ({ ...v, atMs: UnixMs(START_MS + 580_000), sequence: 1 }),
    },
    check: 'attempt 1: lease renewal',
    code: 'WRONG_TIME',
  },
];

export const COMMITMENT_LIES: readonly LieCase[] = [
  {
    what: 'commitment signer',
    lies: { signers: { commitment: 4 } },
    check: 'attempt 1: commitment signature',
    code: 'WRONG_SIGNER',
  },
  {
    what: 'commitment.job',
    lies: { commitment: (v) => ({ ...v, job: JobId(OTHER) }) },
    check: 'attempt 1: commitment parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'commitment.lease',
    lies: { commitment: (v) => ({ ...v, lease: LeaseId(OTHER) }) },
    check: 'attempt 1: commitment parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'commitment.provider',
    lies: { commitment: (v) => ({ ...v, provider: LIAR }) },
    check: 'attempt 1: commitment parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'commitment.digest',
    lies: { commitment: (v) => ({ ...v, digest: new Uint8Array(32) }) },
    check: 'attempt 1: commitment opens',
    code: 'WRONG_COMMITMENT',
  },
  {
    what: 'commitment.committedAtMs before the lease',
    lies: { commitment: (v) => ({ ...v, committedAtMs: EARLY }) },
    check: 'attempt 1: commitment times',
    code: 'WRONG_TIME',
  },
  {
    what: 'commitment.committedAtMs after the deadline',
    lies: { commitment: (v) => ({ ...v, committedAtMs: LATE }) },
    check: 'attempt 1: commitment times',
    code: 'WRONG_TIME',
  },
  {
    what: 'commitment.committedAtMs before the end of the run',
    lies: { receipt: (v) => ({ ...v, finishedAtMs: UnixMs(START_MS + 60_000) }) },
    check: 'attempt 1: committed after the run',
    code: 'WRONG_TIME',
    build: { withProgress: false },
  },
  { what: 'set.job', lies: { set: (v) => ({ ...v, job: JobId(OTHER) }) }, check: 'set form', code: 'WRONG_SET' },
  {
    what: 'set.commitments order',
    lies: { set: (v) => ({ ...v, commitments: v.commitments.toReversed() }) },
    check: 'set form',
    code: 'WRONG_SET',
  },
  {
    what: 'set.commitments twice',
    lies: { set: (v) => ({ ...v, commitments: [...v.commitments.slice(0, 2), ...v.commitments.slice(0, 2)] }) },
    check: 'set form',
    code: 'WRONG_SET',
  },
  {
    what: 'set.commitments replaced',
    lies: { set: (v) => ({ ...v, commitments: [ObjectId(OTHER)] }) },
    check: 'attempt 1: commitment in the set',
    code: 'WRONG_SET',
  },
  {
    what: 'set signer',
    lies: { signers: { setSignature: 4 } },
    check: 'attempt 1: set signature',
    code: 'WRONG_SIGNER',
  },
  {
    what: 'a set of its own',
    lies: { setSignature: (v) => ({ ...v, commitments: v.commitments.slice(0, 1) }) },
    check: 'attempt 1: set signature',
    code: 'WRONG_SET',
  },
  {
    what: 'one provider for two replicas',
    lies: {},
    check: 'diversity',
    code: 'NOT_DIVERSE',
    build: { providers: [1, 2, 1] },
  },
  {
    what: 'set left out',
    lies: { bundle: (v) => ({ ...v, commitmentSet: null }) },
    check: 'set of commitments',
    code: 'NO_COMMITMENT',
  },
  {
    what: 'set of another job',
    lies: { bundle: (v) => ({ ...v, commitmentSet: v.commitmentSet && { ...v.commitmentSet, job: JobId(OTHER) } }) },
    check: 'attempt 1: set signature',
    code: 'WRONG_SET',
  },
  {
    what: 'attempts left out',
    lies: { bundle: (v) => ({ ...v, attempts: v.attempts.slice(0, 1) }) },
    check: 'quorum',
    code: 'NO_QUORUM',
  },
  {
    what: 'attempt left out unexplained',
    lies: { bundle: (v) => ({ ...v, attempts: v.attempts.slice(0, 2) }) },
    check: 'replicas accounted for',
    code: 'NOT_ACCOUNTED',
  },
  {
    what: 'attempts repeated',
    lies: { bundle: (v) => ({ ...v, attempts: [...v.attempts, ...v.attempts] }) },
    check: 'attempts distinct',
    code: 'REPEATED',
  },
  {
    what: 'missing replica that was never asked for',
    lies: { bundle: (v) => ({ ...v, missingReplicas: [{ replica: 9, reason: '' }] }) },
    check: 'replicas accounted for',
    code: 'NOT_ACCOUNTED',
  },
  {
    what: 'withheld replica: lease signer',
    lies: { signers: { lease: 4 } },
    check: 'unrevealed 1: lease signature',
    code: 'WRONG_SIGNER',
    build: { withheld: [2] },
  },
  {
    what: 'withheld replica: commitment signer',
    lies: { signers: { commitment: 4 } },
    check: 'unrevealed 1: commitment signature',
    code: 'WRONG_SIGNER',
    build: { withheld: [2] },
  },
  {
    what: 'withheld replica: set signer',
    lies: { signers: { setSignature: 4 } },
    check: 'unrevealed 1: set signature',
    code: 'WRONG_SIGNER',
    build: { withheld: [2] },
  },
];
