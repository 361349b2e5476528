import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderAnchor, renderAnchors } from '../../../src/cli/anchor/render-anchors.ts';
import { renderTable } from '../../../src/cli/framework/text-table.ts';
import { renderStatus } from '../../../src/cli/node/status.ts';
import { formatSol, parseSol } from '../../../src/cli/sol-amount.ts';
import { renderWallet } from '../../../src/cli/wallet/show.ts';
import { toJsonForm } from '../../../src/rpc/json-form.ts';
import { exampleResult } from '../../support/fake-rpc-modules.ts';

const output = { table: renderTable };
const STATUS = toJsonForm(exampleResult('node.status'));
const WALLET = toJsonForm(exampleResult('wallet.show'));
const [ANCHOR] = toJsonForm(exampleResult('anchor.list')).anchors;

describe('amounts of SOL', () => {
  it('are exact both ways', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 9_999_999_999n * 10n ** 9n }), (lamports) => {
        expect(parseSol(formatSol(lamports).replace(/ SOL$/, ''))).toBe(lamports);
      }),
    );
    expect(formatSol(1_999_955_000n)).toBe('1.999955 SOL');
    expect(formatSol(0n)).toBe('0 SOL');
  });

  it.each(['', '-1', '1e3', '0.0000000001', '1.', '.5', 'one', '99999999999', '1 SOL', '0x10'])(
    '%j is none',
    (text) => {
      expect(parseSol(text)).toBeUndefined();
    },
  );

  it('of any text give lamports or nothing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const lamports = parseSol(text);
        if (lamports !== undefined) expect(lamports).toBeGreaterThanOrEqual(0n);
      }),
    );
  });
});

describe('node status', () => {
  const { chain } = STATUS;
  if (chain === null) throw new Error('the example has a chain');

  it('shows the chain, its endpoints, the wallet, what is anchored and the beacon', () => {
    const text = renderStatus(STATUS, output).join('\n');
    for (const part of [
      /chain +mainnet-beta/,
      /endpoint +https:\/\/rpc\.example: ok, slot 371000000, 41 ms/,
      /wallet +7YttL\w+, 1\.999955 SOL/,
      /anchoring +812 anchored, 3 waiting, 0 batches on the way/,
      /beacon +round 59666667 of 30 s, epoch 497222, from the chain; newest value: round 59666666/,
      /from the block of slot 371000000/,
    ]) {
      expect(text).toMatch(part);
    }
  });

  it('says why a chain is of no use, and that a beacon is predictable', () => {
    const problem = { code: 'CHAIN_UNREACHABLE', message: 'no RPC endpoint of the chain answers' };
    const text = renderStatus(
      {
        ...STATUS,
        chain: {
          ...chain,
          cluster: null,
          isReachable: false,
          endpoints: [
            { url: 'http://127.0.0.1:8899', state: 'failing', slot: null, latencyMs: null, problem: 'ECONNREFUSED' },
            { url: 'http://127.0.0.1:8898', state: 'untried', slot: null, latencyMs: null, problem: null },
          ],
          wallet: { ...chain.wallet, lamports: null, cluster: null },
          anchoring: { ...chain.anchoring, problem },
        },
        beacon: { ...STATUS.beacon, isPredictable: true, latestKnown: null, problem },
      },
      output,
    ).join('\n');
    for (const part of [
      /chain +genesis 5eykt4\w+: no endpoint answers/,
      /8899: failing: ECONNREFUSED/,
      /8898: not asked yet/,
      /balance unknown/,
      /from the chain, predictable; no value yet/,
    ]) {
      expect(text).toMatch(part);
    }
    expect(text.match(/CHAIN_UNREACHABLE: no RPC endpoint/g)).toHaveLength(2);
  });

  it('does not call an endpoint silent that is on another chain', () => {
    const refused = { url: 'http://a', state: 'refused' as const, slot: null, latencyMs: 3, problem: 'genesis X' };
    const failing = { ...refused, state: 'failing' as const };
    const show = (endpoints: readonly (typeof refused | typeof failing)[]): string =>
      renderStatus({ ...STATUS, chain: { ...chain, cluster: null, endpoints } }, output).join('\n');
    expect(show([refused])).toMatch(/genesis 5eykt4\w+: every endpoint is on another chain/);
    expect(show([refused, failing])).toMatch(/genesis 5eykt4\w+: no endpoint of this chain answers/);
    expect(show([failing])).toMatch(/genesis 5eykt4\w+: no endpoint answers/);
  });

  it('says that a network has no chain', () => {
    const beacon = { ...STATUS.beacon, source: 'time' as const, isPredictable: true };
    const text = renderStatus({ ...STATUS, chain: null, beacon }, output).join('\n');
    expect(text).toMatch(/chain +none/);
    expect(text).toMatch(/from the time alone, predictable/);
    expect(text).not.toMatch(/wallet/);
  });
});

describe('the wallet', () => {
  it('shows balance and cluster, and what to do about an empty one', () => {
    const show = (more: Partial<typeof WALLET>): string => renderWallet({ ...WALLET, ...more }).join('\n');
    expect(show({})).toContain('1.999955 SOL (1999955000 lamports)');
    expect(show({})).not.toContain('next');
    expect(show({ lamports: '0' })).toContain(`send SOL to ${WALLET.address}`);
    const local = { genesis: STATUS.chain?.expectedGenesis as never, name: null };
    expect(show({ lamports: '0', cluster: local })).toContain('fogproof wallet airdrop');
    expect(show({ lamports: null, cluster: null })).toContain('fogproof node status');
  });
});

describe('anchors', () => {
  it('are a table with what each receipt cost', () => {
    if (ANCHOR === undefined) throw new Error('the example has an anchor');
    const open = { ...ANCHOR, batch: 8, state: 'open' as const, batchRoot: null, transaction: null, entry: null };
    const waiting = { code: 'CHAIN_INSUFFICIENT_FUNDS', message: 'the wallet is empty' };
    const rows = [{ ...open, slot: null, feeLamports: null, computeUnits: null, problem: waiting }, ANCHOR];
    const lines = renderAnchors(rows, { output, isFull: false });
    expect(lines[0]).toMatch(/BATCH .*STATE .*RECEIPTS .*CU .*LAMPORTS .*A RECEIPT/);
    expect(lines[2]).toMatch(/7 +finalized +812 .*b94d27b9934d3e08 .*3100 +5000 +6\.16$/);
    expect(lines.at(-1)).toBe('batch 8 waits: CHAIN_INSUFFICIENT_FUNDS: the wallet is empty');
    expect(renderAnchors([], { output, isFull: false })).toHaveLength(1);
    expect(renderAnchors([ANCHOR], { output, isFull: true }).join('\n')).toContain(ANCHOR.transaction);
    expect(renderAnchor(ANCHOR).join('\n')).not.toContain(ANCHOR.genesis);
    expect(renderAnchor(ANCHOR).join('\n')).toMatch(/fee +5000 lamports \(0\.000005 SOL\)/);
  });

  it('of another chain are called so, with its genesis once', () => {
    if (ANCHOR === undefined) throw new Error('the example has an anchor');
    const other = { ...ANCHOR, isOtherChain: true, genesis: 'OtherGenesis' as typeof ANCHOR.genesis };
    const text = renderAnchors([ANCHOR, other, other], { output, isFull: false }).join('\n');
    expect(text.match(/7 +finalized/g)).toHaveLength(1);
    expect(text.match(/7 +other chain/g)).toHaveLength(2);
    expect(text.match(/genesis OtherGenesis/g)).toHaveLength(1);
    expect(renderAnchor(other).join('\n')).toContain('genesis OtherGenesis');
  });
});
