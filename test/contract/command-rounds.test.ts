import { SystemClock } from '../../src/lib/clock.ts';
import { CommandExecutor } from '../../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../../src/sandbox/executors/command/probe-command.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { describeRounds } from '../support/rounds-contract.ts';
import { ALICE } from '../support/sandbox.ts';

const clock = new SystemClock();
const probe = await probeCommand(clock);
const MEBIBYTE = 2 ** 20;

describeRounds({
  name: 'commands',
  need: { isMet: probe.kind === 'works', kind: 'host', reason: 'bubblewrap and user namespaces' },
  open: () =>
    new CommandExecutor(
      { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
      {
        ...DEFAULT_COMMAND_OPTIONS,
        maxCpus: 2000,
        hostRoot: true,
        // Nothing is unpacked: its programs are those of this host.
        rootsFolder: '/nonexistent',
        offer: probe.kind === 'works' ? probe.offer : null,
      },
    ),
  createTask: (script, parts) => ({
    requester: ALICE,
    isolation: 'bubblewrap',
    workload: {
      kind: 'command',
      root: { kind: 'host' },
      program: '/bin/sh',
      arguments: ['-c', script],
      environment: { FOGPROOF_ROUND: 'a job cannot say it' },
      limits: { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE },
    },
    module: null,
    inputs: [],
    resources: {
      memoryBytes: 64 * MEBIBYTE,
      fuel: null,
      wallTimeMs: 30_000,
      outputBytes: MEBIBYTE,
      logBytes: 100_000,
    },
    checkpoints: null,
    resume: null,
    ...parts,
  }),
});
