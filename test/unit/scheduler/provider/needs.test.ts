import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CommandWorkload } from '../../../../src/domain/job.ts';
import type { JobTerms } from '../../../../src/domain/offer.ts';
import { coversNeeds, findNeeds, type ProgramNeeds } from '../../../../src/domain/program-needs.ts';
import { CommandExecutor } from '../../../../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../../../../src/sandbox/executors/command/options.ts';
import { Admission } from '../../../../src/scheduler/provider/offers/admission.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../src/scheduler/provider/options.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../../src/telemetry/noop-metrics.ts';
import { programNeeds } from '../../../support/domain-arbitraries.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { PARAMETERS } from '../../../support/provider-rig.ts';
import { ALICE, BOB } from '../../../support/sandbox.ts';

const NEEDS: ProgramNeeds = { cpus: 2000, processes: 64, scratchBytes: 65_536 };

function judge(needs: ProgramNeeds | undefined, hostRoot = false) {
  const clock = new ManualClock();
  const executor = new CommandExecutor(
    { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
    {
      ...DEFAULT_COMMAND_OPTIONS,
      maxCpus: 2000,
      hostRoot,
      rootsFolder: '/nonexistent',
      offer: {
        tools: { shell: '/bin/sh', bubblewrap: '/bin/false', prlimit: null },
        networkFilter: new Uint8Array(),
        filter: new Uint8Array(8),
        cgroups: null,
        controls: [],
        engine: 'none',
      },
    },
  );
  const poison = { isQuarantined: () => false, crashes: () => 0 };
  const policy = { judgeOffer: () => ({ kind: 'admission' as const }) };
  const admission = new Admission(
    { self: BOB, executors: [executor], poison, policy, clock } as unknown as ConstructorParameters<
      typeof Admission
    >[0],
    { ...JOB_PROVIDER_DEFAULTS, networkId: 'test', parameters: PARAMETERS },
  );
  const terms: JobTerms = {
    workloadKind: 'command',
    resources: { memoryBytes: 65_536, fuel: null, wallTimeMs: 1000, outputBytes: 0, logBytes: 0 },
    isolation: 'bubblewrap',
    deadlineMs: (clock.nowMs() + 3_600_000) as JobTerms['deadlineMs'],
    priceCeiling: '0',
    commitReveal: false,
    ...(needs === undefined ? {} : { needs }),
  };
  return admission.judge(ALICE, { op: 'ask', subject: 'subject' as never, terms, attempts: 1 });
}

describe('the needs of a command', () => {
  it('are judged before anything is offered', () => {
    expect(judge(NEEDS)).toMatchObject({ kind: 'admitted' });
    expect(judge({ ...NEEDS, hostRoot: true }, true)).toMatchObject({ kind: 'admitted' });
  });

  it.each<[string, Partial<ProgramNeeds>, string]>([
    ['RESOURCES_TOO_LARGE', { cpus: 2001 }, '2001 thousandths of a processor'],
    ['RESOURCES_TOO_LARGE', { processes: 4097 }, '4097 processes'],
    ['IMAGE_NOT_ALLOWED', { hostRoot: true }, 'system folders'],
  ])('are refused with %s where the host does not give %j', (code, more, detail) => {
    const refusal = { code, detail: expect.stringContaining(detail) };
    expect(judge({ ...NEEDS, ...more })).toMatchObject({ kind: 'refused', refusal });
  });

  it('may be less than what was said, and never more', () => {
    fc.assert(
      fc.property(programNeeds, programNeeds, (said, needed) => {
        const isLess =
          needed.cpus <= said.cpus &&
          needed.processes <= said.processes &&
          needed.scratchBytes <= said.scratchBytes &&
          (needed.hostRoot === undefined || said.hostRoot === true);
        expect(coversNeeds(said, needed)).toBe(isLess);
        expect(coversNeeds(said, said)).toBe(true);
        expect(coversNeeds(undefined, needed)).toBe(false);
        expect(coversNeeds(undefined, null)).toBe(true);
      }),
    );
  });

  it('are those of the workload', () => {
    const limits = { cpus: 500, processes: 2, scratchBytes: 4096 };
    const host: CommandWorkload = {
      kind: 'command',
      root: { kind: 'host' },
      program: '/bin/true',
      arguments: [],
      environment: {},
      limits,
    };
    expect(findNeeds(host)).toEqual({ ...limits, hostRoot: true });
    expect(findNeeds({ ...host, root: { kind: 'archive', blob: 'b' as never, sizeBytes: 1 } })).toEqual(limits);
  });
});
