import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { JobView } from '../../../src/scheduler/interface.ts';
import { describeLiveDraft, knowsProviders, type LiveNode, startLiveNode } from '../../support/live-node.ts';
import { type HeldExecution, ScriptedExecutor } from '../../support/provider-executor.ts';
import { TcpGate } from '../../support/tcp-gate.ts';

const SOON_MS = 20_000;

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endsAtMs = performance.now() + SOON_MS;
  while (!(await holds())) {
    if (performance.now() > endsAtMs) throw new Error(`it never held: ${holds}`);
    await sleep(20);
  }
}

/** Runs until it is told to end, and shows life all the while. */
function livelyExecutor() {
  const held: HeldExecution[] = [];
  const executor = new ScriptedExecutor(['process'], (execution) => {
    held.push(execution);
    const timer = setInterval(() => execution.sink.progress({ fuel: 1, step: 1, cpuTimeMs: 1 }), 100);
    execution.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    timer.unref();
  });
  return { executor, held };
}

interface Link {
  readonly requester: LiveNode;
  readonly gate: TcpGate;
  readonly held: HeldExecution[];
}

/** A requester, and a provider that reaches it only through a gate and that nobody can dial. */
async function startLink(stack: AsyncDisposableStack, leaseDurationMs: number): Promise<Link> {
  const parameters = { leaseDurationMs, leaseRenewalMs: leaseDurationMs / 4 };
  const requester = stack.use(await startLiveNode({ parameters }));
  const [, port = '', id = ''] = /tcp\/(\d+)\/p2p\/(\w+)/.exec(requester.address()) ?? [];
  const gate = stack.use(await TcpGate.before(Number(port)));
  const bootstrap = [`/ip4/127.0.0.1/tcp/${gate.port}/p2p/${id}`];
  const { executor, held } = livelyExecutor();
  stack.use(await startLiveNode({ executor, bootstrap, listen: [], parameters }));
  await knowsProviders(requester, 1);
  return { requester, gate, held };
}

async function submit({ requester, held }: Link): Promise<JobView['job']> {
  const { job } = await requester.requester.submit(await describeLiveDraft(requester));
  await eventually(() => held.length === 1);
  await eventually(async () => (await requester.requester.show(job)).attempts[0]?.state === 'running');
  return job;
}

describe('a cable that is pulled, over real sockets', () => {
  it.each(['shut', 'freeze'] as const)('for less than a lease costs nothing (%s)', async (how) => {
    await using stack = new AsyncDisposableStack();
    const link = await startLink(stack, 16_000);
    const job = await submit(link);
    link.gate[how]();
    await sleep(1_000);
    link.held[0]?.finish();
    await sleep(500);
    link.gate.open();
    const view = await link.requester.requester.wait(job, { signal: AbortSignal.timeout(SOON_MS) });
    expect(view).toMatchObject({ state: 'completed', attempts: [{ attempt: 0, state: 'revealed' }] });
    expect(view.attempts).toHaveLength(1);
    expect(link.held).toHaveLength(1);
  });
});

describe('a requester that goes away, over real sockets', () => {
  it('finds the result of a run that outlasted its lease several times', async () => {
    await using stack = new AsyncDisposableStack();
    const link = await startLink(stack, 800);
    const job = await submit(link);
    await link.requester.stopRequester();
    await sleep(3_000);
    link.held[0]?.finish();
    await sleep(1_500);
    await link.requester.startRequester();
    const view = await link.requester.requester.wait(job, { signal: AbortSignal.timeout(SOON_MS) });
    expect(view).toMatchObject({ state: 'completed', attempts: [{ attempt: 0, state: 'revealed' }] });
    expect(view.attempts[0]?.resultsKeptForMs).toBe(3_600_000);
    expect(link.held).toHaveLength(1);
    const [attempt] = (await link.requester.requester.evidence(job)).attempts;
    expect(attempt?.lastProgress).toBeDefined();
  });
});
