import { describe, expect, it } from 'vitest';
import { computeDefaults } from '../../../src/config/defaults.ts';
import { nodeConfigSchema } from '../../../src/config/schema.ts';
import { BlockHash, identifyCluster, Lamports, SolanaAddress } from '../../../src/domain/chain.ts';
import { type ChainFacts, collectRemarks } from '../../../src/node/remarks.ts';

const ADDRESS = SolanaAddress('7YttLkHDoNj9wyDur5pM1ejNaAvT9X4eqaYcHQqtj2G5');
const MAINNET = BlockHash('5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d');
const HOST = { cpus: 2, memoryBytes: 2 ** 33, diskBytes: 2 ** 40 };
const config = nodeConfigSchema.parse({ ...computeDefaults('/home', HOST), home: '/home', socket: '/s' });

const NONE = { halted: 0, corrupt: 0 };
const collect = (chain: ChainFacts | null, anchor = config.chain.anchor, unlisted = NONE): readonly string[] =>
  collectRemarks({
    config: { ...config, chain: { anchor } },
    network: { isDegraded: false, bootstrap: [] },
    isolation: ['bubblewrap'],
    chain,
    unlisted,
    teeKind: null,
  });

const endpoint = (state: 'ok' | 'failing' | 'refused') =>
  ({ url: 'http://127.0.0.1:8899', state, slot: null, latencyMs: null, problem: null }) as const;
const facts = (lamports: bigint | null): ChainFacts => ({
  isReachable: lamports !== null,
  cluster: null,
  endpoints: [endpoint(lamports === null ? 'failing' : 'ok')],
  wallet: { address: ADDRESS, lamports: lamports === null ? null : Lamports(lamports) },
});

describe('remarks about the chain', () => {
  it('say that it does not answer, or that there is nothing to pay with', () => {
    expect(collect(facts(null))).toEqual(['The chain does not answer; receipts wait.']);
    const [empty] = collect(facts(0n));
    expect(empty).toBe(
      `Nothing is anchored while the wallet ${ADDRESS} has no SOL: \`fogproof wallet airdrop\`, or send it some.`,
    );
    expect(collect({ ...facts(0n), cluster: identifyCluster(MAINNET) })[0]).not.toContain('airdrop');
  });

  it('say that it is another chain, and what to do where it was begun anew', () => {
    const other = { ...facts(null), endpoints: [endpoint('refused'), endpoint('refused')] };
    expect(collect(other)).toEqual([expect.stringMatching(/on another chain.*network create .*--replace/)]);
    const [mixed] = collect({ ...other, endpoints: [endpoint('refused'), endpoint('failing')] });
    expect(mixed).toBe('The chain does not answer; receipts wait.');
  });

  it('are none where all is well, there is no chain, or nothing is to be anchored', () => {
    expect(collect(facts(1n))).toEqual([]);
    expect(collect(null)).toEqual([]);
    expect(collect(facts(0n), { ...config.chain.anchor, received: false, provided: false })).toEqual([]);
    expect(collect(facts(0n), { ...config.chain.anchor, received: false, provided: true })).toHaveLength(1);
  });
});

it('own jobs that are not listed are counted', () => {
  expect(collect(null)).toEqual([]);
  const remarks = collect(null, config.chain.anchor, { halted: 2, corrupt: 3 });
  expect(remarks).toEqual([
    expect.stringMatching(/cannot be written: 2\./),
    expect.stringMatching(/cannot be read.*: 3;/),
  ]);
});
