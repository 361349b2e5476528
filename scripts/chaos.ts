/**
 * npm run chaos: real daemons under faults, scenario after scenario, each from a seed. Every job that was acknowledged has
 * to end, with the right result, and the histories of all nodes have to agree. Exit code 1 if something is not so.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { findExcess } from './chaos/excuses.ts';
import { type Plan, PROFILES, type Profile } from './chaos/plan.ts';
import { listProblems, renderMarkdown, renderText } from './chaos/report.ts';
import { type ChaosOptions, runChaos } from './chaos/run.ts';
import { Tally } from './chaos/tally.ts';

const HELP = `Usage: npm run chaos [-- OPTION...]

  --minutes M     goes on until so many minutes have passed; 4 if nothing else is asked for
  --kills N       goes on until daemons were killed so often
  --points all    goes on until each side of each crash point was died at --times times
  --points P,...  of these points alone, as the report names them
  --times N       5 by default
  --scenarios N   so many scenarios
  --profile P     mixed, kills or points; several separated by commas take turns
  --at-once N     scenarios at a time, 1 by default
  --seed S        of the first scenario, the next ones count on; chosen anew by default
  --replay FILE   the plan of one scenario, as a failed one leaves it
  --ci            4 minutes: one fixed seed and a fresh one, at the same time
  --from WHAT     dist (default) or src
  --state FILE    goes on from what this file says was done, and writes it anew after each scenario
  --report FILE   also writes the result as Markdown`;

const CI_SEED = 20_261_121;
const MINUTES = 4;
/** Four minutes, mostly. */
const CI_SHARE = { mostFaults: 15, replicasLastMs: 90_000 };
const MOST_SEED = 1_000_000_000;

class UsageProblem extends Error {}

function readArguments() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      kills: { type: 'string' },
      points: { type: 'string' },
      times: { type: 'string', default: '5' },
      scenarios: { type: 'string' },
      profile: { type: 'string' },
      'at-once': { type: 'string', default: '1' },
      seed: { type: 'string' },
      replay: { type: 'string' },
      ci: { type: 'boolean', default: false },
      from: { type: 'string', default: 'dist' },
      state: { type: 'string' },
      report: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}
type Arguments = ReturnType<typeof readArguments>;

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new UsageProblem(`--${name} ${text}: expected a number`);
  return value;
}

function* countFrom(seed: number): Generator<number> {
  for (let next = seed; ; next += 1) yield next;
}

function* fixedThenFresh(fresh: number): Generator<number> {
  yield CI_SEED;
  yield fresh;
}

function readProfiles({ profile, points, kills }: Arguments): readonly Profile[] {
  if (profile !== undefined) {
    return profile.split(',').map((name) => {
      const known = PROFILES.find((candidate) => candidate === name);
      if (known === undefined) throw new UsageProblem(`--profile ${name}: expected ${PROFILES.join(', ')}`);
      return known;
    });
  }
  if (points !== undefined && kills !== undefined) return ['points', 'kills', 'mixed'];
  if (points !== undefined) return ['points'];
  return kills === undefined ? ['mixed'] : ['kills', 'mixed'];
}

function readUntil(given: Arguments): ChaosOptions['until'] {
  const { minutes, kills, scenarios, points, times, ci } = given;
  const until = {
    ...(minutes === undefined ? {} : { minutes: readNumber('minutes', minutes) }),
    ...(kills === undefined ? {} : { kills: readNumber('kills', kills) }),
    ...(scenarios === undefined ? {} : { scenarios: readNumber('scenarios', scenarios) }),
    ...(points === undefined ? {} : { timesEachPoint: readNumber('times', times) }),
    ...(points === undefined || points === 'all' ? {} : { onlyPoints: points.split(',') }),
  };
  if (ci) return { ...until, scenarios: 2 };
  return Object.keys(until).length === 0 ? { minutes: MINUTES } : until;
}

async function readOptions(given: Arguments, signal: AbortSignal): Promise<ChaosOptions> {
  if (given.from !== 'dist' && given.from !== 'src')
    throw new UsageProblem(`--from ${given.from}: expected dist or src`);
  const fresh = given.seed === undefined ? Date.now() % MOST_SEED : readNumber('seed', given.seed);
  return {
    from: given.from,
    seeds: given.ci ? fixedThenFresh(fresh) : countFrom(fresh),
    profiles: readProfiles(given),
    until: readUntil(given),
    ...(given.ci ? { share: CI_SHARE } : {}),
    atOnce: given.ci ? 2 : Math.max(1, Math.floor(readNumber('at-once', given['at-once']))),
    ...(given.replay === undefined ? {} : { replay: JSON.parse(await readFile(given.replay, 'utf8')) as Plan }),
    ...(given.state === undefined ? {} : await followState(given.state)),
    say: (line) => console.log(line),
    signal,
  };
}

async function followState(path: string): Promise<Pick<ChaosOptions, 'before' | 'onProgress'>> {
  const onProgress = async (tally: Tally): Promise<void> => {
    await writeFile(`${path}.new`, JSON.stringify(tally.toRecord()));
    await rename(`${path}.new`, path);
  };
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? { onProgress } : { before: Tally.from(JSON.parse(text)), onProgress };
}

/** The first asks for the end, which takes what was started with it; the second ends at once. */
function listenForSignals(): AbortSignal {
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(130);
      interruption.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
    });
  }
  return interruption.signal;
}

async function main(): Promise<number> {
  const given = readArguments();
  if (given.help) {
    console.log(HELP);
    return 0;
  }
  const signal = listenForSignals();
  const tally = await runChaos(await readOptions(given, signal));
  const facts = {
    command: `npm run chaos -- ${process.argv.slice(2).join(' ')}`,
    date: new Date().toISOString().slice(0, 10),
    isCampaign: given.points === 'all',
  };
  console.log(renderText(tally, facts));
  const problems = [...listProblems(tally, facts), findExcess('run', tally) ?? []].flat();
  for (const problem of problems) console.error(problem);
  if (given.report !== undefined) await writeFile(given.report, renderMarkdown(tally, facts));
  return problems.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageProblem || (error instanceof TypeError && error.message.startsWith('Unknown option'))) {
    console.error(`${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  } else if (error instanceof Error && error.name === 'AbortError') process.exitCode = 130;
  else throw error;
}
