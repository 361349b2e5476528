import { describe, expect, it } from 'vitest';
import { formatNetwork, LOCAL_NETWORK, parseNetwork } from '../../../src/config/network-store.ts';

const simulatedTee = 'ab'.repeat(32);

describe('networkDefinitionSchema', () => {
  it.each(['local', 'development'] as const)('lets a network of the preset %s name a simulated TEE', (preset) => {
    const network = { ...LOCAL_NETWORK, preset, simulatedTee };
    expect(parseNetwork(formatNetwork(network), 'here')).toEqual(network);
  });

  it('lets none of the preset production', () => {
    const production = { ...LOCAL_NETWORK, preset: 'production' as const };
    expect(parseNetwork(formatNetwork(production), 'here')).toEqual(production);
    const text = JSON.stringify({ ...production, simulatedTee });
    expect(() => parseNetwork(text, 'here')).toThrow(/simulatedTee: a network of the preset production/u);
  });

  it.each(['', 'AB'.repeat(32), 'ab'.repeat(31), null])('refuses %j as the key of a simulated TEE', (value) => {
    expect(() => parseNetwork(JSON.stringify({ ...LOCAL_NETWORK, simulatedTee: value }), 'here')).toThrow(
      /simulatedTee/u,
    );
  });
});
