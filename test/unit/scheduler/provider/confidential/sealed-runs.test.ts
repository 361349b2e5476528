import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { RELEASE } from '../../../../../src/domain/confidential.ts';
import type { Job } from '../../../../../src/domain/job.ts';
import type { Receipt } from '../../../../../src/domain/receipt.ts';
import { decodeUtf8, encodeUtf8 } from '../../../../../src/lib/bytes.ts';
import { verifyAttestedStatement } from '../../../../../src/proofs/attested-statement.ts';
import { computeOutputRoot } from '../../../../../src/proofs/commitment.ts';
import { openSigned, signObject } from '../../../../../src/proofs/signed-object.ts';
import { SandboxError } from '../../../../../src/sandbox/errors.ts';
import {
  type ConfidentialLease,
  type PlainInput,
  readReceipt,
  type SealedJob,
  startConfidential,
} from '../../../../support/confidential-work.ts';
import { RecordingLogger } from '../../../../support/network.ts';
import type { Behaviour, HeldExecution } from '../../../../support/provider-executor.ts';
import { blobIdOf, ProviderRig, type ProviderRigOptions } from '../../../../support/provider-rig.ts';

const INPUTS: readonly PlainInput[] = [
  { path: '/a', bytes: encodeUtf8('the first secret') },
  { path: '/b', bytes: new Uint8Array(200_000).fill(7) },
];

interface Told {
  readonly behaviour: Behaviour;
  readonly options?: ProviderRigOptions;
  readonly change?: Partial<Job>;
  readonly tamper?: (job: SealedJob) => SealedJob;
}

async function run({ behaviour, options = {}, change = {}, tamper = (job) => job }: Told) {
  const scene = await startConfidential(options);
  const executed = Promise.withResolvers<HeldExecution>();
  scene.rig.executor.behaviour = (execution) => {
    executed.resolve(execution);
    behaviour(execution);
  };
  const job = tamper(await scene.side.sealJob(INPUTS, change));
  const leased = await scene.side.lease(job);
  const evidence = await leased.unlock();
  return { ...scene, job, leased, evidence, executed: executed.promise };
}

/** As it was when the program had it, since it is zeroed later. */
function copyInputs({ task }: HeldExecution): PlainInput[] {
  return task.inputs.map(({ path, bytes }) => ({ path, bytes: bytes.slice() }));
}

async function isAttested(leased: ConfidentialLease, receipt: Receipt, evidence: Uint8Array): Promise<boolean> {
  const { runtimeData } = await leased.judge(evidence);
  const { attestation, job, lease, outputRoot } = receipt;
  if (runtimeData === null || attestation === undefined) return false;
  const { commitments } = leased.job.signed.value.confidential ?? { commitments: [] };
  const { nonce, signingKey } = runtimeData;
  const { signature } = attestation;
  return verifyAttestedStatement({ job, lease, nonce, commitments, outputRoot }, { signingKey, signature });
}

describe('a confidential attempt', () => {
  it('gives its program the plain inputs, and seals all that comes out of it', async () => {
    let seen: readonly PlainInput[] = [];
    const { leased, rig, evidence, side, job } = await run({
      behaviour: (execution) => {
        seen = copyInputs(execution);
        execution.sink.log('stdout', 'a line', 1);
        execution.sink.metric('loss', '0.5', 3, 2);
        execution.sink.log('stderr', 'another', 3);
        execution.finish({ outputs: [{ path: '/out', bytes: encodeUtf8('the result') }] });
      },
    });
    const receipt = await leased.readReceipt();
    expect(seen).toEqual(INPUTS);
    expect(rig.executor.held[0]?.task.isConfidential).toBe(true);
    const kinds = ['fetching', 'running', 'sealed', 'sealed', 'sealed', 'finished', 'receipt'];
    expect(leased.log.kinds).toEqual(kinds);
    expect(await leased.openEvents()).toEqual([
      { kind: 'log', stream: 'stdout', text: 'a line' },
      { kind: 'metric', name: 'loss', value: '0.5', step: 3 },
      { kind: 'log', stream: 'stderr', text: 'another' },
    ]);
    const outputs = await leased.openOutputs(receipt);
    expect([...outputs].map(([path, bytes]) => [path, decodeUtf8(bytes)])).toEqual([['/out', 'the result']]);
    const { contentKey } = job.secrets;
    const keyed = await side.confidentiality.keyMetricsHash(contentKey, new Uint8Array(32).fill(1));
    expect(receipt.result.metricsHash).toEqual(keyed);
    expect(receipt.outputRoot).toBe(computeOutputRoot(receipt.result));
    expect(receipt.attestation).toMatchObject({ evidence: blobIdOf(evidence), evidenceSizeBytes: evidence.length });
    expect(await isAttested(leased, receipt, evidence)).toBe(true);
  });

  it('names the release that it was given', async () => {
    const { rig, side } = await startConfidential();
    rig.executor.behaviour = (execution) => execution.finish();
    const leased = await side.lease(await side.sealJob([]));
    const release = await leased.describeRelease(await leased.showEvidence());
    const { wire, id } = await signObject(RELEASE, release, side.requester.identity);
    await leased.sendRelease(wire);
    expect((await leased.readReceipt()).attestation?.release).toBe(id);
    expect((await openSigned(RELEASE, wire)).id).toBe(id);
  });

  it('puts outputs that do not ride with the receipt into the store sealed', async () => {
    const plain = new Uint8Array(100_000).map((_, index) => index % 251);
    const { leased, rig } = await run({
      behaviour: (execution) => execution.finish({ outputs: [{ path: '/big', bytes: plain.slice() }] }),
    });
    const receipt = await leased.readReceipt();
    const [output] = receipt.result.outputs;
    const sealed = output && rig.blobs.blobs.get(output.blob);
    if (sealed === undefined) throw new TypeError('it is not in the store');
    expect(sealed.length).toBe(output?.sizeBytes);
    expect(await leased.openOutput('/big', sealed)).toEqual(plain);
    expect(rig.blobs.blobs.has(blobIdOf(plain))).toBe(false);
  });

  it('says of how its program failed the code alone, and the attested key stands behind it', async () => {
    const { leased, evidence } = await run({
      behaviour: (execution) =>
        execution.finish({ outcome: { kind: 'program-failed', code: 'TRAP', detail: 'the secret was 42' } }),
    });
    const receipt = await leased.readReceipt();
    expect(receipt.result.outcome).toEqual({ kind: 'program-failed', code: 'TRAP', detail: '' });
    expect(await isAttested(leased, receipt, evidence)).toBe(true);
  });

  it('says nothing of what a crash or an error quotes, in the receipt or in the log', async () => {
    const logger = new RecordingLogger();
    const crash = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'it read the secret' } as const;
    const ends: readonly [Behaviour, object][] = [
      [(execution) => execution.finish({ outcome: crash }), { code: 'EXECUTOR_CRASHED', detail: '' }],
      [
        (execution) => execution.crash(new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'it read the secret' })),
        { code: 'EXECUTOR_UNAVAILABLE', detail: 'SANDBOX_PROTOCOL' },
      ],
      [
        (execution) => execution.crash(new TypeError('it read the secret')),
        { code: 'INTERNAL', detail: 'an unexpected error of the provider' },
      ],
    ];
    for (const [behaviour, outcome] of ends) {
      const { leased } = await run({ behaviour, options: { logger } });
      const receipt = await leased.readReceipt();
      expect(receipt.result.outcome).toEqual({ kind: 'attempt-failed', ...outcome });
      expect(receipt.attestation).toBeUndefined();
    }
    expect(logger.lines.length).toBeGreaterThan(0);
    expect(inspect(logger.lines, { depth: 10 })).not.toContain('secret');
  });

  it('ends where an input is not the one that was committed to, or was altered', async () => {
    const behaviour: Behaviour = (execution) => execution.finish();
    const swapped = await run({
      behaviour,
      tamper: (job) => ({ ...job, secrets: { ...job.secrets, salts: [...job.secrets.salts].reverse() } }),
    });
    expect((await swapped.leased.readReceipt()).result.outcome).toMatchObject({
      code: 'INPUT_UNAVAILABLE',
      detail: expect.stringContaining('TEE_COMMITMENT_MISMATCH'),
    });
    const otherKey = await run({
      behaviour,
      tamper: (job) => ({ ...job, secrets: { ...job.secrets, contentKey: new Uint8Array(32).fill(9) } }),
    });
    expect((await otherKey.leased.readReceipt()).result.outcome).toMatchObject({
      code: 'INPUT_UNAVAILABLE',
      detail: expect.stringContaining('TEE_NOT_OPENED'),
    });
    expect([...swapped.rig.executor.held, ...otherKey.rig.executor.held]).toEqual([]);
  });

  it('keeps inputs in its caches sealed only', async () => {
    const { leased, rig, job } = await run({ behaviour: (execution) => execution.finish() });
    await leased.log.done;
    const stored = [...rig.blobs.blobs.values()].map((bytes) => decodeUtf8(bytes.slice(0, 20)));
    expect(stored.filter((text) => text.includes('the first secret'))).toEqual([]);
    const again = await leased.side.lease(job);
    await again.unlock();
    expect((await again.readReceipt()).result.outcome.kind).toBe('completed');
  });

  it('zeroes plaintext and secrets when it ends', async () => {
    const output = encodeUtf8('the result');
    const { leased, rig, side } = await run({
      behaviour: (execution) => execution.finish({ outputs: [{ path: '/out', bytes: output }] }),
    });
    await leased.readReceipt();
    const inputs = rig.executor.held[0]?.task.inputs ?? [];
    expect(inputs.map(({ path }) => path)).toEqual(['/a', '/b']);
    for (const { bytes } of [...inputs, { bytes: output }]) expect(bytes.every((byte) => byte === 0)).toBe(true);
    const challenge = { op: 'challenge' as const, nonce: new Uint8Array(32), requesterKey: new Uint8Array(32) };
    const gone = await side.requester.attest({ ...challenge, lease: leased.id });
    expect(gone).toMatchObject({ kind: 'refused', refusal: { code: 'LEASE_MISMATCH' } });
  });

  it('zeroes them when it is cancelled, running or not', async () => {
    const { leased, side, executed } = await run({ behaviour: () => undefined });
    const execution = await executed;
    expect(execution.task.inputs[0]?.bytes).toEqual(INPUTS[0]?.bytes);
    await side.requester.sendOne({ op: 'cancel', leases: [leased.id], reason: 'enough' });
    expect((await leased.readReceipt()).result.outcome).toMatchObject({ code: 'CANCELLED' });
    expect(execution.task.inputs.every(({ bytes }) => bytes.every((byte) => byte === 0))).toBe(true);
  });

  it('splits lines that no sealed event holds', async () => {
    const text = '€'.repeat(50_000);
    const { leased } = await run({
      behaviour: (execution) => {
        execution.sink.log('log', text, 1);
        execution.finish();
      },
    });
    await leased.readReceipt();
    const events = await leased.openEvents();
    expect(events.length).toBe(3);
    expect(events.map((event) => (event.kind === 'log' ? event.text : '')).join('')).toBe(text);
  });

  it('numbers its events, and says of dropped ones nothing but by their numbers', async () => {
    const { rig, side } = await startConfidential();
    const line = 'x'.repeat(20_000);
    rig.executor.behaviour = ({ sink, finish }) => {
      for (let ordinal = 1; ordinal <= 100; ordinal += 1) sink.log('log', line, ordinal);
      finish();
    };
    const leased = await side.lease(await side.sealJob([]));
    leased.log.drop();
    await leased.unlock();
    await rig.provider.drain({ signal: AbortSignal.timeout(10_000) });
    const log = side.requester.send({ op: 'attach', leases: [{ lease: leased.id, fromSequence: 0 }] });
    await log.done;
    expect(new Set(log.kinds)).toEqual(new Set(['fetching', 'running', 'sealed', 'finished', 'receipt']));
    const numbers = log.events.flatMap(({ event }) => (event.kind === 'sealed' ? [event.index] : []));
    expect(numbers.at(-1)).toBe(100);
    expect(numbers.length).toBeLessThan(100);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  });

  it('is not gone on with after a restart: its keys are gone', async () => {
    const { leased, rig, side, tee, executed } = await run({ behaviour: () => undefined });
    await executed;
    const waiting = await side.lease(await side.sealJob([]));
    const { clock, switchboard } = rig;
    const confidential = { confidentiality: tee.createConfidentiality(), producer: tee };
    const next = await ProviderRig.start({ database: rig.database.clone(), clock, switchboard, confidential });
    for (const { id } of [leased, waiting]) {
      const log = side.requester.send({ op: 'attach', leases: [{ lease: id, fromSequence: 0 }] });
      await log.done;
      const receipt = await readReceipt(log);
      expect(receipt.result.outcome).toEqual({
        kind: 'attempt-failed',
        code: 'NOT_RELEASED',
        detail: 'provider restarted, and the keys of the attempt were in memory only',
      });
    }
    expect(next.executor.held).toEqual([]);
    expect(await leased.challenge()).toMatchObject({ refusal: { code: 'LEASE_MISMATCH' } });
  });
});
