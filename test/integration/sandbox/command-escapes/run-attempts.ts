/** Runs the attempts of the request in its argument as commands, as whichever user starts it, and prints how they ended. */
import { readFileSync } from 'node:fs';
import tar from 'tar-stream';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import type { CommandWorkload } from '../../../../src/domain/job.ts';
import { SystemClock } from '../../../../src/lib/clock.ts';
import { CommandExecutor } from '../../../../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../../../../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../../../../src/sandbox/executors/command/probe-command.ts';
import type { ExecutionSink } from '../../../../src/sandbox/interface.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../../src/telemetry/noop-metrics.ts';
import type { Attempt, AttemptEnd, RunnerRequest } from './attempts.ts';

/** struct sock_filter: BPF_RET | BPF_K, SECCOMP_RET_ALLOW. */
const ALLOW_ALL = Uint8Array.of(0x06, 0, 0, 0, 0, 0, 0xff, 0x7f);
const MEBIBYTE = 2 ** 20;

async function packRoot(program: string): Promise<Uint8Array> {
  const bytes = readFileSync(program);
  const pack = tar.pack();
  pack.entry({ name: 'bin/escape', mode: 0o755 }, bytes);
  // As an archive of a real system has them: owned by root, with the bit.
  pack.entry({ name: 'bin/setuid-escape', mode: 0o4755, uid: 0, gid: 0 }, bytes);
  pack.finalize();
  const parts: Buffer[] = [];
  for await (const part of pack) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function runAttempt(executor: CommandExecutor, module: Uint8Array, attempt: Attempt): Promise<AttemptEnd> {
  const said: string[] = [];
  const sink: ExecutionSink = {
    log: (_stream, text) => {
      if (said.length < 4) said.push(text);
    },
    metric: () => {},
    progress: () => {},
    checkpoint: () => Promise.reject(new Error('a command makes no checkpoints')),
  };
  const workload: CommandWorkload = {
    kind: 'command',
    root: { kind: 'archive', blob: 'bafkreitest' as never, sizeBytes: module.length },
    program: '/bin/escape',
    arguments: [attempt.name, ...(attempt.argument === undefined ? [] : [attempt.argument])],
    environment: {},
    limits: { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE, ...attempt.limits },
  };
  const resources = {
    memoryBytes: 64 * MEBIBYTE,
    fuel: null,
    wallTimeMs: 20_000,
    outputBytes: MEBIBYTE,
    logBytes: 4096,
    ...attempt.resources,
  };
  const task = {
    requester: 'escape' as PeerKey,
    isolation: 'bubblewrap',
    workload,
    module,
    inputs: [],
    resources,
  } as const;
  const result = await executor.execute({ ...task, checkpoints: null, resume: null }, sink, {});
  const { outcome, outputs, usage } = result;
  return {
    name: attempt.name,
    label: attempt.label ?? attempt.name,
    end: outcome.kind === 'completed' ? 'completed' : outcome.code,
    detail: outcome.kind === 'completed' ? '' : outcome.detail,
    said: said.join('\n'),
    outputs: outputs.map(({ path, bytes }) => ({ path, text: Buffer.from(bytes).toString('latin1').slice(0, 200) })),
    wallTimeMs: usage.wallTimeMs,
  };
}

const request = JSON.parse(process.argv[2] ?? '{}') as RunnerRequest;
const clock = new SystemClock();
const probe = await probeCommand(clock);
if (probe.kind === 'fails') {
  console.log(JSON.stringify({ reason: probe.reason }));
} else {
  const { offer } = probe;
  await using executor = new CommandExecutor(
    { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
    {
      ...DEFAULT_COMMAND_OPTIONS,
      maxCpus: 1000,
      rootsFolder: request.rootsFolder,
      offer: request.isFiltered ? offer : { ...offer, filter: ALLOW_ALL },
    },
  );
  const module = await packRoot(request.program);
  const ends: AttemptEnd[] = [];
  for (const attempt of request.attempts) ends.push(await runAttempt(executor, module, attempt));
  console.log(JSON.stringify({ ends, controls: offer.controls }));
}
