import type { ScenarioReport } from '../interface.ts';

export type WrittenReport = Omit<ScenarioReport, 'charts'>;

const SIGNS = { 'at-least': '≥', 'at-most': '≤' } as const;
const VERDICTS = { held: 'held', missed: '**missed**', 'left-out': 'too few nodes' } as const;

/** docs/simulation/README.md: what was asked, what came out, and what it does not say. */
export function renderIndex(reports: readonly WrittenReport[]): string {
  return `${INTRODUCTION}
${renderNodes(reports)}
${reports.map(renderReport).join('\n')}
${LIMITS}`;
}

/** What a figure is a figure of: not all scenarios have as many nodes as fit. */
function renderNodes(reports: readonly WrittenReport[]): string {
  const sizes = [...new Set(reports.map(({ nodes }) => nodes))].toSorted((a, b) => b - a);
  const rows = sizes.map((size) => {
    const names = reports.flatMap(({ nodes, scenario }) => (nodes === size ? [scenario] : []));
    return `| ${size.toLocaleString('en')} | ${names.join(', ')} |`;
  });
  return `| nodes | scenarios |\n|---|---|\n${rows.join('\n')}\n`;
}

function renderReport({ scenario, question, nodes, seed, vrf, checks, production, models }: WrittenReport): string {
  const rows = checks.map(
    ({ meaning, measure, value, rule, appliedBound, verdict }) =>
      `| ${meaning} (\`${measure}\`) | ${shorten(value)} | ${SIGNS[rule]} ${shorten(appliedBound)} | ${VERDICTS[verdict]} |`,
  );
  return `## ${scenario}

${question} ${nodes} nodes, seed \`${seed}\`, ${vrf} VRF. [All figures](${scenario}.json) · [charts](${scenario}.svg)

| what | measured | threshold | |
|---|---|---|---|
${rows.join('\n')}

Production code: ${production.join('; ')}.
Models: ${models.join('; ')}.
`;
}

/** A JSON file has what is no number as text. */
function shorten(value: number | string): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(4))) : value;
}

const INTRODUCTION = `# Simulations

Written by \`npm run sim -- --write docs/simulation\`; do not edit. The same seed gives the same files.

- \`npm run sim\` runs all scenarios and exits with 1 if one misses a threshold. \`npm run sim -- --help\` has the rest.
- \`npm run sim -- sybil --nodes 1000 --fresh\` takes a seed of its own, and prints it. For such a seed a chance (p) has to be
  above 0.0001 only: one below 0.01 comes once in a hundred runs.
- Scenarios with their thresholds stand in \`src/sim/scenarios/\`; why it is built like this in
  [decision 0017](../decisions/0017-simulator.md).
`;

const LIMITS = `## What this does not say

- libp2p is not in it: dialling, streams, DHT, the mesh of gossipsub and its scores are models, or are left out.
- Everybody knows everybody: records spread without loss, and one table of candidates serves all honest nodes. That an
  attacker hides honest nodes from a victim before it has neighbours is not simulated.
- A newcomer that reaches 10,000 false records before any true one is not simulated either.
- Observations of attempts reach all at once. In a real network reputation follows later, and a requester has only its own
  experience for longer.
- Latencies are those between data centres, with a made-up access line added. No figure here is a promise of speed.
`;
