import { describe, expect, it } from 'vitest';
import { LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import { LEASE } from '../../../src/domain/lease.ts';
import type { AttemptEvent, JobRequest, JobResponse } from '../../../src/domain/messages.ts';
import { openMany } from '../../../src/proofs/signed-object.ts';
import {
  HONEST_RESULT,
  type JobAttack,
  joinRogues,
  type Mesh,
  type RogueProvider,
  type RogueSetup,
  replicas,
  runJob,
  startHonestMesh,
} from '../../support/adversary.ts';

const SHORT_LEASES = { leaseDurationMs: 800, leaseRenewalMs: 200 };
const MAX_FRAME_EVENTS = 1_000;

/** The rogues are gone: what is left of the network must work as if nothing had been. */
async function expectHealthy(mesh: Mesh, rogues: readonly RogueProvider[]): Promise<void> {
  for (const rogue of rogues) await rogue[Symbol.asyncDispose]();
  const view = await runJob(mesh.requester);
  expect(view.state).toBe('completed');
  expect(mesh.honest.map(({ peer }) => peer)).toContain(view.attempts.at(-1)?.provider);
}

/** Leases one attempt as it should, then sends frames of events as fast as they are taken. */
async function* flood(
  { request, rogue, honest }: JobAttack,
  createEvent: (sequence: number) => Promise<AttemptEvent>,
): AsyncGenerator<JobResponse> {
  if (request.op !== 'lease') return yield* honest();
  for await (const response of honest()) {
    yield response;
    if (response.kind === 'leased') break;
  }
  const [lease] = await openMany(LEASE, request.leases);
  if (lease === undefined) return;
  for (let frame = 0; frame < 12; frame += 1) {
    const numbers = Array.from({ length: MAX_FRAME_EVENTS }, (_, index) => frame * MAX_FRAME_EVENTS + index + 1);
    const events = [];
    for (const sequence of numbers) {
      events.push({
        lease: LeaseId(lease.id),
        sequence,
        atMs: UnixMs(Date.now()),
        event: await createEvent(sequence),
      });
    }
    yield { kind: 'events', events };
  }
  await rogue.provider.finish(rogue.provider.only);
}

const isLease = ({ op }: JobRequest): boolean => op === 'lease';

/** Writes these bytes on the stream of the job once the lease is accepted. */
function garble(bytes: Uint8Array): RogueSetup {
  return {
    holds: true,
    answerJob: async function* ({ request, rogue, honest }) {
      for await (const response of honest()) {
        yield response;
        if (isLease(request)) setTimeout(() => rogue.jobStreams.at(-1)?.send(bytes), 20);
      }
    },
  };
}

describe('one replica, leased first to a provider that', () => {
  const attacks: readonly (readonly [name: string, setup: RogueSetup, code: string])[] = [
    ['signs its receipt with another key', { forge: ['fogproof/receipt@1'] }, 'BAD_RECEIPT'],
    ['accepts with another key', { forge: ['fogproof/lease-acceptance@1'] }, 'BAD_ACCEPTANCE'],
    ['withholds its output', { handsOutOutputs: 'never' }, 'OUTPUT_UNAVAILABLE'],
    [
      'answers a lease with what belongs elsewhere',
      {
        answerJob: async function* ({ request, honest }) {
          if (isLease(request)) yield { kind: 'revealed', receipt: envelope(), inlineBlobs: [] };
          else yield* honest();
        },
      },
      'UNEXPECTED_ANSWER',
    ],
    [
      'changes phases for ever',
      { answerJob: (attack) => flood(attack, async (n) => ({ kind: 'phase', phase: n % 2 ? 'queued' : 'running' })) },
      'EVENT_FLOOD',
    ],
  ];

  it.each(attacks)('%s is left for an honest one', async (_, setup, code) => {
    await using stack = new AsyncDisposableStack();
    const mesh = await startHonestMesh(stack, 1);
    const rogues = await joinRogues(stack, mesh, [setup]);
    const view = await runJob(mesh.requester);
    expect(view.attempts[0]).toMatchObject({ state: 'failed', reason: expect.stringContaining(code) });
    expect(view).toMatchObject({ state: 'completed', attempts: [{ provider: rogues[0]?.identity.peer }, {}] });
    expect(view.attempts).toHaveLength(2);
    if (code !== 'OUTPUT_UNAVAILABLE') {
      expect(mesh.requester.metrics.read('fogproof_requester_peer_faults_total', { code })).toBe(1);
    }
    await expectHealthy(mesh, rogues);
  });

  it.each<[string, Uint8Array, string]>([
    ['oversize', Uint8Array.of(0x7f, 0, 0, 0), 'oversize'],
    ['garbage', Uint8Array.of(0, 0, 0, 3, 1, 2, 3), 'malformed'],
    ['an answer to nothing', Uint8Array.of(0, 0, 0, 5, 0x83, 4, 0x18, 0xfa, 0xf6), 'unknown-id'],
  ])(
    'writes %s into the stream of a running job is cut off, and replaced when its lease ends',
    async (_, bytes, violation) => {
      await using stack = new AsyncDisposableStack();
      const mesh = await startHonestMesh(stack, 1, { parameters: SHORT_LEASES });
      const rogues = await joinRogues(stack, mesh, [garble(bytes)]);
      const view = await runJob(mesh.requester);
      expect(view).toMatchObject({ state: 'completed', attempts: [{ state: 'lost' }, { state: 'revealed' }] });
      expect(mesh.requester.metrics.read('fogproof_network_violations_total', { violation })).toBeGreaterThan(0);
      await expectHealthy(mesh, rogues);
    },
  );

  it.each<[string, RogueSetup]>([
    ['never accepts', { silentOn: ['lease'] }],
    ['accepts and falls silent', { holds: true }],
    ['begins a frame and never ends it', garble(Uint8Array.of(0, 0, 1, 0, 0x83))],
  ])('%s loses its lease in time', async (_, setup) => {
    await using stack = new AsyncDisposableStack();
    const mesh = await startHonestMesh(stack, 1, { parameters: SHORT_LEASES });
    const rogues = await joinRogues(stack, mesh, [setup]);
    const view = await runJob(mesh.requester);
    expect(view).toMatchObject({ state: 'completed', attempts: [{ state: 'lost' }, { state: 'revealed' }] });
    await expectHealthy(mesh, rogues);
  });
});

describe('three replicas, one of them by a provider that', () => {
  const honest = { result: HONEST_RESULT };
  const salt = new Uint8Array(32).fill(9);
  const attacks: readonly (readonly [name: string, setup: RogueSetup, code: string])[] = [
    ['opens another commitment than it made', { ...honest, receipt: { salt } }, 'BAD_OPENING'],
    ['commits with another key', { ...honest, forge: ['fogproof/commitment@1'] }, 'BAD_COMMITMENT'],
    ['signs the set with another key', { ...honest, forge: ['fogproof/commitment-set@1'] }, 'BAD_SET_SIGNATURE'],
    ['signs the set and never reveals', { ...honest, silentOn: ['reveal'] }, 'UNREACHABLE'],
  ];

  it.each(attacks)('%s does not count, and the others agree', async (_, setup, code) => {
    await using stack = new AsyncDisposableStack();
    const mesh = await startHonestMesh(stack, 3, { requester: { roundTimeoutMs: 800, revealGraceMs: 1_000 } });
    const rogues = await joinRogues(stack, mesh, [setup]);
    const view = await runJob(mesh.requester, replicas(3, 2));
    const rogue = view.attempts.find(({ provider }) => provider === rogues[0]?.identity.peer);
    expect(rogue).toMatchObject({ state: 'failed', reason: expect.stringContaining(code) });
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing.length).toBeGreaterThanOrEqual(2);
    expect(view.result?.agreeing).not.toContain(rogue?.lease);
    expect(mesh.requester.metrics.read('fogproof_requester_peer_faults_total', { code })).toBe(1);
    await expectHealthy(mesh, rogues);
  });

  it('agrees, reveals and withholds its files: they come from the others', async () => {
    await using stack = new AsyncDisposableStack();
    const mesh = await startHonestMesh(stack, 2);
    const rogues = await joinRogues(stack, mesh, [{ ...honest, handsOutOutputs: 'never' }]);
    const view = await runJob(mesh.requester, replicas(3, 3));
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 3 } } });
    const [output] = view.result?.outputs ?? [];
    expect(output && (await mesh.requester.blobs.stat(output.blob))).toBeDefined();
    await expectHealthy(mesh, rogues);
  });
});

it('liars in the majority, who disagree, give no result; what each of them signed is kept', async () => {
  await using stack = new AsyncDisposableStack();
  const mesh = await startHonestMesh(stack, 1);
  const lies = ['a lie', 'another lie'].map((output) => ({ output, result: HONEST_RESULT }));
  const rogues = await joinRogues(stack, mesh, lies);
  const view = await runJob(mesh.requester, replicas(3, 2));
  expect(view).toMatchObject({ state: 'failed', result: null, failure: { code: 'SCHEDULER_REPLICAS_DISAGREE' } });
  const evidence = await mesh.requester.requester.evidence(view.job);
  expect(evidence.attempts).toHaveLength(3);
  expect(evidence.commitmentSet?.commitments).toHaveLength(3);
  await expectHealthy(mesh, rogues);
});

function envelope() {
  return { kind: 'envelope' as const, envelope: new Uint8Array(8) };
}
