import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { GpuRequest } from '../../../src/domain/gpu.ts';
import { RECEIPT } from '../../../src/domain/receipt.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { CommandExecutor } from '../../../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../../../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../../../src/sandbox/executors/command/probe-command.ts';
import { GpuInventory } from '../../../src/sandbox/gpu/gpu-inventory.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { DRIVER, GpuTree } from '../../support/gpu-tree.ts';
import { describeLiveDraft, knowsProviders, startLiveNode } from '../../support/live-node.ts';
import { describeIf } from '../../support/needs.ts';
import { h100 } from '../../support/smi-log.ts';

const clock = new SystemClock();
const probe = await probeCommand(clock);
const offer = probe.kind === 'works' && probe.offer.cgroups !== null ? probe.offer : null;
const NEED = { isMet: offer !== null, kind: 'host', reason: 'bubblewrap and control groups' } as const;
const MEBIBYTE = 2 ** 20;
const ONE: GpuRequest = { count: 1, minMemoryBytes: 40 * 2 ** 30, models: ['h100'], mig: null };

/** Over real connections, with real sandboxes and a faked device tree. */
async function openSides(stack: AsyncDisposableStack) {
  const rootsFolder = mkdtempSync(join(tmpdir(), 'fogproof-roots-'));
  stack.defer(() => rmSync(rootsFolder, { recursive: true, force: true }));
  chmodSync(rootsFolder, 0o711);
  const tree = stack.use(new GpuTree({ gpus: [h100(0, { processes: [{ pid: 77 }] }), h100(1)] }));
  const modules = { clock, logger: new NoopLogger() };
  const source = stack.use(
    new GpuInventory({ ...modules, places: tree.places }, { sharedWithDesktop: false, only: [] }),
  );
  const options = { ...DEFAULT_COMMAND_OPTIONS, maxCpus: 2000, hostRoot: true, rootsFolder, offer };
  const executor = stack.use(new CommandExecutor({ ...modules, metrics: new NoopMetricsRegistry() }, options));
  const claims = [0, 1].map(() => ({ model: 'NVIDIA H100 80GB HBM3', memoryBytes: 80 * 2 ** 30, driver: DRIVER }));
  const requester = stack.use(await startLiveNode());
  const bootstrap = [requester.address()];
  const provider = stack.use(await startLiveNode({ executor, bootstrap, gpus: { source, claims } }));
  await knowsProviders(requester, 1);
  const submit = async (request: GpuRequest) => {
    const draft = await describeLiveDraft(requester, {
      capabilityClass: 'gpu-datacentre',
      isolation: 'bubblewrap',
      workload: {
        kind: 'command',
        root: { kind: 'host' },
        program: '/bin/sh',
        arguments: ['-c', 'ls -d /dev/nvidia* > /output/nodes; echo $CUDA_VISIBLE_DEVICES >> /output/nodes'],
        environment: {},
        limits: { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE },
      },
      resources: {
        memoryBytes: 64 * MEBIBYTE,
        fuel: null,
        wallTimeMs: 20_000,
        outputBytes: MEBIBYTE,
        logBytes: 1000,
        gpus: request,
      },
    });
    return (await requester.requester.submit(draft)).job;
  };
  return { requester, provider, tree, submit };
}

describeIf(NEED, 'a job with a GPU, between two nodes', () => {
  it('has the one that nobody uses, and the receipt names it', async () => {
    await using stack = new AsyncDisposableStack();
    const { requester, provider, submit } = await openSides(stack);
    const job = await submit(ONE);
    const view = await requester.requester.wait(job, { signal: AbortSignal.timeout(30_000) });
    expect(view).toMatchObject({ state: 'completed', failure: null, result: { outcome: { kind: 'completed' } } });
    const [output] = view.result?.outputs ?? [];
    const bytes = output === undefined ? undefined : await requester.blobs.get(output.blob, 10_000);
    expect(new TextDecoder().decode(bytes)).toBe(`/dev/nvidia-uvm\n/dev/nvidia1\n/dev/nvidiactl\n${h100(1).uuid}\n`);
    const [attempt] = (await requester.requester.evidence(job)).attempts;
    if (attempt?.receipt === undefined || attempt.receipt === null) throw new TypeError('there is a receipt');
    const receipt = await openSigned(RECEIPT, attempt.receipt, provider.peer);
    expect(receipt.value.sandbox.gpus).toEqual([
      { uuid: h100(1).uuid, model: 'NVIDIA H100 80GB HBM3', memoryBytes: 81_559 * MEBIBYTE, mig: null },
    ]);
  });

  it('waits with a reason where none is free', async () => {
    await using stack = new AsyncDisposableStack();
    const { requester, submit } = await openSides(stack);
    const job = await submit({ ...ONE, count: 2 });
    const signal = AbortSignal.timeout(20_000);
    for (;;) {
      const asked = requester.requester.explain(job);
      const text = JSON.stringify(await asked);
      if (text.includes('GPU_UNAVAILABLE')) {
        expect(text).toContain('process 77 computes on it');
        break;
      }
      signal.throwIfAborted();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await requester.requester.cancel(job);
  });
});
