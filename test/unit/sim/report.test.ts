import { describe, expect, it } from 'vitest';
import type { Chart, ScenarioReport, Threshold } from '../../../src/sim/interface.ts';
import { renderJson } from '../../../src/sim/report/render-json.ts';
import { renderSvg } from '../../../src/sim/report/render-svg.ts';
import { renderText } from '../../../src/sim/report/render-text.ts';
import { checkThreshold } from '../../../src/sim/run-scenario.ts';
import { SCENARIOS } from '../../../src/sim/scenarios/table.ts';

const threshold: Threshold = { measure: 'p', rule: 'at-least', bound: 0.01, freshBound: 0.0001, meaning: 'a chance' };
const fixed = { seedKind: 'fixed', nodes: 300 } as const;

describe('threshold', () => {
  it('is held, or missed', () => {
    expect(checkThreshold(threshold, { p: 0.01 }, fixed).verdict).toBe('held');
    expect(checkThreshold(threshold, { p: 0.009 }, fixed).verdict).toBe('missed');
    const most = { ...threshold, rule: 'at-most' } as const;
    expect(checkThreshold(most, { p: 0.01 }, fixed).verdict).toBe('held');
    expect(checkThreshold(most, { p: 0.011 }, fixed).verdict).toBe('missed');
  });

  it('has its own bound for a fresh seed', () => {
    const fresh = { seedKind: 'fresh', nodes: 300 } as const;
    expect(checkThreshold(threshold, { p: 0.001 }, fresh)).toMatchObject({ verdict: 'held', appliedBound: 0.0001 });
    expect(checkThreshold(threshold, { p: 0.00009 }, fresh).verdict).toBe('missed');
  });

  it('is missed by what is not there, and by what is no number', () => {
    expect(checkThreshold(threshold, {}, fixed).verdict).toBe('missed');
    expect(checkThreshold({ ...threshold, rule: 'at-most' }, { p: Number.NaN }, fixed).verdict).toBe('missed');
  });

  it('is left out where there are too few nodes for it', () => {
    expect(checkThreshold({ ...threshold, leastNodes: 1_000 }, { p: 0 }, fixed).verdict).toBe('left-out');
  });
});

const chart: Chart = {
  kind: 'bars',
  title: 'a < b & c',
  xLabel: 'x',
  yLabel: 'y',
  series: [
    {
      name: 'one',
      points: [
        [0, 0.25],
        [1, 0.75],
      ],
    },
  ],
};

const report: ScenarioReport = {
  scenario: 'none',
  question: 'is it so?',
  seed: 'fixed',
  seedKind: 'fixed',
  nodes: 300,
  vrf: 'ideal',
  parameters: { share: 1 / 3 },
  checks: [checkThreshold(threshold, { p: 0.001 }, fixed)],
  measures: { p: 0.001, other: Number.POSITIVE_INFINITY },
  charts: [chart],
  production: ['a'],
  models: ['b'],
};

describe('report', () => {
  it('as JSON has six digits, no charts, and names what is no number', () => {
    const parsed = JSON.parse(renderJson(report)) as Record<string, unknown>;
    expect(parsed).toMatchObject({ parameters: { share: 0.333333 }, measures: { p: 0.001, other: 'Infinity' } });
    expect(parsed).not.toHaveProperty('charts');
  });

  it('as text says what was missed', () => {
    expect(renderText(report)).toContain('MISSED  p 0.001 >= 0.01: a chance');
  });

  it('as SVG escapes text, and draws a bar for each point', () => {
    const svg = renderSvg([chart, { ...chart, kind: 'lines' }]);
    expect(svg).toContain('a &lt; b &amp; c');
    expect(svg.match(/<polyline /g)).toHaveLength(1);
    expect(svg).not.toMatch(/NaN|Infinity/);
    expect(renderSvg([chart])).toBe(renderSvg([chart]));
  });
});

describe('scenarios', () => {
  it('have names of their own, thresholds, and a number of nodes within their bounds', () => {
    expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
    for (const { nodes, thresholds } of SCENARIOS) {
      expect(thresholds.length).toBeGreaterThan(0);
      expect(nodes.usual).toBeGreaterThanOrEqual(nodes.least);
      expect(nodes.usual).toBeLessThanOrEqual(nodes.most);
    }
  });
});
