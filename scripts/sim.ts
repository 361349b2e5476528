/**
 * npm run sim: the daemon's own code for neighbours, gossip, reputation and choice of providers, on a virtual clock, with
 * adversaries. Exit code 1 if a scenario misses a threshold, 2 for a bad option.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isDaemonError } from '../src/lib/errors.ts';
import { SimulationError } from '../src/sim/errors.ts';
import type { Scenario, ScenarioReport } from '../src/sim/interface.ts';
import { renderIndex, type WrittenReport } from '../src/sim/report/render-index.ts';
import { renderJson } from '../src/sim/report/render-json.ts';
import { renderSvg } from '../src/sim/report/render-svg.ts';
import { renderText } from '../src/sim/report/render-text.ts';
import { runScenario } from '../src/sim/run-scenario.ts';
import { SCENARIOS } from '../src/sim/scenarios/table.ts';

const HELP = `Usage: npm run sim [-- SCENARIO... OPTION...]

Runs scenarios (all, unless some are named) and checks their thresholds. Exit code 1 if one is missed.

  --list          the scenarios, each with its question
  --seed S        any text; "fixed" by default, for which the stricter thresholds hold
  --fresh         a seed chosen anew, printed
  --nodes N       instead of the scenario's own number
  --vrf KIND      ideal (default): a hash that the verifier looks up; real: ECVRF, for up to 1,000 nodes
  --json          the reports as JSON on standard output
  --write FOLDER  also writes SCENARIO.json and SCENARIO.svg there, and README.md
  --help

Examples:
  npm run sim -- sybil --nodes 10000
  npm run sim -- --fresh
  npm run sim -- --write docs/simulation`;

const FIXED_SEED = 'fixed';
const MOST_REAL_NODES = 1_000;

function readArguments() {
  return parseArgs({
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      seed: { type: 'string', default: FIXED_SEED },
      fresh: { type: 'boolean', default: false },
      nodes: { type: 'string' },
      vrf: { type: 'string', default: 'ideal' },
      json: { type: 'boolean', default: false },
      write: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
}
type Arguments = ReturnType<typeof readArguments>;

function pickScenarios(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return SCENARIOS;
  return names.map((name) => {
    const scenario = SCENARIOS.find((known) => known.name === name);
    if (scenario !== undefined) return scenario;
    throw new SimulationError({ code: 'SIM_UNKNOWN_SCENARIO', name, known: SCENARIOS.map((known) => known.name) });
  });
}

function readNodes({ nodes }: Arguments['values'], scenario: Scenario): number {
  if (nodes === undefined) return scenario.nodes.usual;
  const count = Number(nodes);
  const { least, most } = scenario.nodes;
  if (Number.isInteger(count) && count >= least && count <= most) return count;
  const expected = `for ${scenario.name} a whole number from ${least} to ${most}`;
  throw new SimulationError({ code: 'SIM_BAD_OPTION', option: '--nodes', value: nodes, expected });
}

function readVrf({ vrf }: Arguments['values'], nodes: number): 'ideal' | 'real' {
  if (vrf === 'ideal' || (vrf === 'real' && nodes <= MOST_REAL_NODES)) return vrf;
  const expected = `ideal, or real for at most ${MOST_REAL_NODES} nodes`;
  throw new SimulationError({ code: 'SIM_BAD_OPTION', option: '--vrf', value: vrf, expected });
}

async function writeReport(folder: string, report: ScenarioReport): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${report.scenario}.json`), renderJson(report));
  await writeFile(join(folder, `${report.scenario}.svg`), renderSvg(report.charts));
  await writeFile(join(folder, 'README.md'), renderIndex(await readReports(folder)));
}

/** Those of this run and of earlier ones, in the order of the table. */
async function readReports(folder: string): Promise<readonly WrittenReport[]> {
  const reports: WrittenReport[] = [];
  for (const { name } of SCENARIOS) {
    const text = await readFile(join(folder, `${name}.json`), 'utf8').catch(() => null);
    // This script's own file, in the form that it writes.
    if (text !== null) reports.push(JSON.parse(text) as WrittenReport);
  }
  return reports;
}

function tellTime(started: NodeJS.CpuUsage): string {
  const { user, system } = process.cpuUsage(started);
  const rss = Math.round(process.resourceUsage().maxRSS / 1024);
  return `  ${((user + system) / 1e6).toFixed(1)} s of CPU time, at most ${rss} MiB so far\n`;
}

async function runAll({ values, positionals }: Arguments): Promise<boolean> {
  const scenarios = pickScenarios(positionals);
  const seed = values.fresh ? randomBytes(8).toString('hex') : values.seed;
  const seedKind = seed === FIXED_SEED ? 'fixed' : 'fresh';
  const reports: ScenarioReport[] = [];
  for (const scenario of scenarios) {
    const nodes = readNodes(values, scenario);
    const started = process.cpuUsage();
    process.stderr.write(`${scenario.name}: ${nodes} nodes, seed ${seed}\n`);
    const onProgress = (text: string): void => void process.stderr.write(`  … ${text}\n`);
    const report = await runScenario(scenario, { seed, seedKind, nodes, vrf: readVrf(values, nodes), onProgress });
    reports.push(report);
    if (!values.json) process.stdout.write(renderText(report));
    process.stderr.write(tellTime(started));
    if (values.write !== undefined) await writeReport(values.write, report);
  }
  if (values.json) process.stdout.write(`[${reports.map(renderJson).join(',')}]\n`);
  const missed = reports.flatMap(({ scenario, checks }) =>
    checks.filter(({ verdict }) => verdict === 'missed').map(({ measure }) => `${scenario}: ${measure}`),
  );
  if (missed.length > 0) process.stderr.write(`missed with seed ${seed}: ${missed.join('; ')}\n`);
  return missed.length === 0;
}

async function main(): Promise<void> {
  let options: Arguments;
  try {
    options = readArguments();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}\n`);
    process.exitCode = 2;
    return;
  }
  if (options.values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  if (options.values.list) {
    for (const { name, question } of SCENARIOS) process.stdout.write(`${name.padEnd(26)}${question}\n`);
    return;
  }
  try {
    if (!(await runAll(options))) process.exitCode = 1;
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    process.stderr.write(`${error.message}\n${error.hint}\n`);
    process.exitCode = 2;
  }
}

await main();
