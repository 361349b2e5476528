import type { Chart, Outcome, RunOptions, Scenario, Threshold } from '../interface.ts';
import { type EpochCount, type JobResult, JobSimulation, type JobSimulationOptions } from '../jobs/job-simulation.ts';
import { SeededRandom } from '../random/seeded-random.ts';

/** What scenarios about jobs have in common. */

export type JobParameters = Omit<JobSimulationOptions, 'nodes' | 'adversaries'> & { readonly adversaries: number };

export const JOB_DEFAULTS = {
  adversaries: 1 / 3,
  isWhitewashing: false,
  isColluding: false,
  prices: { honest: '10', adversary: '10' },
  epochs: 12,
  jobsPerEpoch: 6,
} as const satisfies Omit<JobParameters, 'behaviour'>;

export const DONE_THRESHOLD: Threshold = {
  measure: 'doneShare',
  rule: 'at-least',
  bound: 0.99,
  meaning: 'jobs of honest requesters that are done with the default of three retries, the first epochs included',
};

const PRODUCTION = [
  'src/scheduler/requester/candidates.ts, provider-standings.ts, explore-newcomers.ts (whom a requester asks first; after a failure those that served it, as first-asked.ts)',
  'src/reputation/beta-model.ts, observation-ledger.ts, standing-book.ts, promised-places.ts, credible-bound.ts',
  'src/vrf/selection.ts (neighbours by rank)',
];
const MODELS = [
  'requesters know all providers; observations reach everybody at once, with valid evidence, unpaid and not anchored',
  'VRF outputs are random bytes; a neighbour is connected, others are not',
  'attempts: how long they take, and how each kind of provider ends them; one replica, three retries',
  'adversaries answer offers at once; latency by region',
];

export interface JobScenarioDescription {
  readonly name: string;
  readonly question: string;
  readonly parameters: JobParameters;
  readonly thresholds?: readonly Threshold[];
  /** A second run whose share of done jobs is told, without a threshold. */
  readonly alsoTold?: { readonly measure: string; readonly changes: Partial<JobParameters> };
}

export function createJobScenario(description: JobScenarioDescription): Scenario {
  const { name, question, parameters, thresholds = [], alsoTold } = description;
  return {
    name,
    question,
    nodes: { usual: 90, least: 60, most: 1_000 },
    parameters: { ...parameters, ...(alsoTold === undefined ? {} : { alsoTold }) },
    thresholds: [DONE_THRESHOLD, ...thresholds],
    run: (run) => runJobs(run, description),
  };
}

async function runJobs(run: RunOptions, { parameters, alsoTold }: JobScenarioDescription): Promise<Outcome> {
  const simulate = (changes: Partial<JobParameters>): Promise<JobResult> => {
    const options = { ...parameters, ...changes };
    const adversaries = Math.floor(run.nodes * options.adversaries);
    return JobSimulation.run(new SeededRandom(run.seed), { ...options, nodes: run.nodes, adversaries });
  };
  const result = await simulate({});
  const measures: Record<string, number> = measureJobs(result);
  if (alsoTold !== undefined) {
    run.onProgress(alsoTold.measure);
    measures[alsoTold.measure] = computeDoneShare((await simulate(alsoTold.changes)).epochs);
  }
  return { measures, charts: [chartJobs(result.epochs)], production: PRODUCTION, models: MODELS };
}

function measureJobs({ epochs, honestBound, adversaryBound, refused }: JobResult) {
  const half = epochs.slice(Math.floor(epochs.length / 2));
  return {
    doneShare: computeDoneShare(epochs),
    doneShareWorstEpoch: Math.min(...epochs.map((epoch) => computeDoneShare([epoch]))),
    doneShareSecondHalf: computeDoneShare(half),
    attemptsPerJob: sum(epochs, 'attempts') / sum(epochs, 'submitted'),
    capturedShare: sum(epochs, 'captured') / sum(epochs, 'attempts'),
    capturedShareSecondHalf: sum(half, 'captured') / sum(half, 'attempts'),
    honestLowerBound: honestBound,
    adversaryLowerBound: adversaryBound,
    observationsRefused: refused,
  };
}

function computeDoneShare(epochs: readonly EpochCount[]): number {
  return sum(epochs, 'done') / sum(epochs, 'submitted');
}

function sum(epochs: readonly EpochCount[], field: keyof EpochCount): number {
  return epochs.reduce((total, epoch) => total + epoch[field], 0);
}

function chartJobs(epochs: readonly EpochCount[]): Chart {
  return {
    kind: 'lines',
    title: 'Jobs of honest requesters',
    xLabel: 'epoch (hours)',
    yLabel: 'share',
    series: [
      { name: 'done', points: epochs.map((epoch, index) => [index, epoch.done / epoch.submitted] as const) },
      {
        name: 'attempts at adversaries',
        points: epochs.map((epoch, index) => [index, epoch.captured / epoch.attempts] as const),
      },
    ],
  };
}
