import { describe, expect, it } from 'vitest';
import { renderTable } from '../../../src/cli/framework/text-table.ts';
import { renderNeighbours } from '../../../src/cli/neighbours/list.ts';
import { renderNeighbourSummary } from '../../../src/cli/neighbours/render-summary.ts';
import { renderNeighbourChecks } from '../../../src/cli/neighbours/verify.ts';
import { renderStatus } from '../../../src/cli/node/status.ts';
import { toJsonForm } from '../../../src/rpc/json-form.ts';
import { exampleResult, PEER } from '../../support/fake-rpc-modules.ts';

const output = { table: renderTable };
const LIST = toJsonForm(exampleResult('neighbours.list'));
const NOW_MS = 1_790_000_060_000;

describe('fogproof neighbours', () => {
  const show = (change: Partial<typeof LIST> = {}, refusals = false): string =>
    renderNeighbours({ ...LIST, ...change }, { output, refusals, full: false, nowMs: NOW_MS }).join('\n');

  it('shows direction, rank as a share of the bound, epochs, since when, why and the group', () => {
    const text = show();
    expect(text).toMatch(/outbound +2\.32 % +497222 to 497223 +1 m ago +ranked +address 203\.0\.113\.0\/24/);
    expect(text).toContain('1 of 8 neighbours; neighbour of 0, of at most 32');
    expect(text).toContain('37 of 39 known peers may be chosen; about 40 nodes in the network');
    expect(text).toContain('epoch 497222, chosen at 497222, by a predictable beacon');
  });

  it('shows who refused when asked', () => {
    expect(show()).not.toContain('full');
    expect(show({}, true)).toMatch(/full +32 lower ranks hold all slots/);
    expect(show({ refusals: [] }, true)).toContain('nobody refused');
  });

  it('says that an older choice stands, and why', () => {
    const problem = { code: 'BEACON_UNAVAILABLE', message: 'the chain gives no value' };
    expect(show({ problem, chosenAtEpoch: 497_220 })).toContain(
      'the choice of 497220 stands, by a predictable beacon: BEACON_UNAVAILABLE: the chain gives no value',
    );
    expect(show({ problem, chosenAtEpoch: null, neighbours: [] })).toContain('no choice yet: BEACON_UNAVAILABLE');
    expect(renderNeighbourSummary({ ...LIST, chosenAtEpoch: null }).join()).toContain('about to be made');
    expect(show({ isGenesis: true })).toContain('genesis: not up for two epochs');
  });
});

describe('fogproof neighbours verify', () => {
  it('shows each check, and the verdict of all', () => {
    const checks = toJsonForm(exampleResult('neighbours.verify')).checks;
    const text = renderNeighbourChecks(checks, output).join('\n');
    expect(text).toMatch(/inbound: NOT valid/);
    expect(text).toMatch(/key +failed +another VRF key/);
  });

  it('says that a stranger is none', () => {
    const [{ peer } = { peer: PEER }] = toJsonForm(exampleResult('neighbours.verify')).checks;
    expect(renderNeighbourChecks([{ peer, direction: null, isValid: false, steps: [] }], output)).toEqual([
      `${peer} is no neighbour of this node`,
    ]);
  });
});

it('node status says how many neighbours there are and by which beacon', () => {
  const text = renderStatus(toJsonForm(exampleResult('node.status')), output).join('\n');
  expect(text).toMatch(/neighbours +1 of 8 neighbours/);
  expect(text).toContain('predictable beacon');
});
