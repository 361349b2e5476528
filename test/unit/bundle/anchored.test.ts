import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_CHAIN_TIMEOUT_MS } from '../../../src/bundle/constants.ts';
import type { BundleVerification } from '../../../src/bundle/interface.ts';
import { assessEvidence, type VerifyOptions, verifyBundle } from '../../../src/bundle/verify.ts';
import { type Anchor, MAX_ANCHOR_PATH } from '../../../src/domain/anchor.ts';
import type { AssuranceReport } from '../../../src/domain/assurance.ts';
import { encodeBase58 } from '../../../src/domain/chain.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { buildAnchors, DEVNET, OWN_CHAIN } from '../../support/anchor-builder.ts';
import { type BuildOptions, buildBundle, encodeRoot, packBundle, START_MS } from '../../support/bundle-builder.ts';
import { FakeAnchorReader, type FakeAnchorReaderOptions } from '../../support/fake-anchor-reader.ts';

const BLOCK_TIME_MS = START_MS + 60_000;

/** Verifies with a reader of the chain that holds the bundle's anchors, or those given. */
async function verifyOnline(
  build: BuildOptions,
  reader: FakeAnchorReaderOptions & { readonly written?: readonly Anchor[] } = {},
  options: VerifyOptions = {},
) {
  const { bundle } = await buildBundle(build);
  const anchorReader = new FakeAnchorReader(reader.written ?? bundle.anchors ?? [], {
    blockTimeMs: BLOCK_TIME_MS,
    ...reader,
  });
  const verification = await verifyBundle(await packBundle(bundle), { anchorReader, ...options });
  return { verification, report: reportOf(verification), anchors: bundle.anchors ?? [], asked: anchorReader.asked };
}

async function verifyOffline(build: BuildOptions): Promise<BundleVerification> {
  return await verifyBundle(await packBundle((await buildBundle(build)).bundle));
}

function reportOf(verification: BundleVerification): AssuranceReport {
  const found = verification.assurances.find(({ assurance }) => assurance === 'anchored');
  if (found === undefined) throw new Error('no anchored');
  return found;
}

const whenOf = ({ notProven }: BundleVerification): string =>
  notProven.find((text) => text.startsWith('When it happened')) ?? '';

describe('a bundle without anchors', () => {
  it('does not claim the assurance, and its bytes are as before there were any', async () => {
    const { bundle } = await buildBundle({});
    expect(bundle).not.toHaveProperty('anchors');
    expect(Buffer.from(encodeRoot(bundle)).includes('anchors')).toBe(false);
    const verification = await verifyBundle(await packBundle(bundle));
    expect(verification.assurances.map(({ assurance }) => assurance)).toEqual(['signed']);
    expect(whenOf(verification)).toContain('nothing here is anchored');
  });

  it('does not claim it with an empty list either', async () => {
    const { bundle } = await buildBundle({});
    const { verification } = await assessEvidence({ ...bundle, anchors: [] });
    expect(verification.assurances).toHaveLength(1);
  });
});

describe('offline', () => {
  it('is unchecked beyond inclusion, and says what completes it', async () => {
    const verification = await verifyOffline({ anchors: [{}] });
    expect(verification.verdict).toBe('unchecked');
    const { verdict, checks, statement } = reportOf(verification);
    expect(verdict).toEqual({
      kind: 'unchecked',
      missing: 'a Solana RPC endpoint: fogproof bundle verify FILE --rpc-url URL',
    });
    expect(checks.find(({ name }) => name === 'anchor 1: inclusion in the batch')?.verdict.kind).toBe('valid');
    expect(statement).toContain('The file says, unchecked, that');
    expect(whenOf(verification)).toContain('was not checked');
  });

  it('is invalid by what the file alone refutes, though other anchors are good', async () => {
    const lies: BuildOptions['lies'] = { anchor: (anchor, at) => (at === 1 ? { ...anchor, leafIndex: 0 } : anchor) };
    const verification = await verifyOffline({ replicas: 3, anchors: [{}], lies });
    expect(reportOf(verification).verdict).toMatchObject({ kind: 'invalid', code: 'NOT_IN_BATCH' });
    expect(reportOf(verification).statement).toMatch(/Of the accepted result receipt b\w+ .* is not anchored/);
    expect(whenOf(verification)).toContain('nothing here is anchored');
  });
});

describe('with an endpoint', () => {
  it('is valid, and names receipt, root, wallet, transaction, slot, time, endpoint and what is assumed', async () => {
    const { verification, report, anchors } = await verifyOnline({ anchors: [{}] });
    expect(verification.verdict).toBe('valid');
    const [anchor] = anchors;
    if (anchor === undefined) throw new TypeError('there is an anchor');
    for (const part of [
      anchor.receipt,
      `(leaf ${anchor.leafIndex})`,
      `root ${encodeHex(anchor.batchRoot)} of ${anchor.batchSize} leaves`,
      encodeBase58(anchor.transaction),
      `slot ${anchor.slot} (${new Date(BLOCK_TIME_MS).toISOString()}) of Solana mainnet-beta`,
      'Asked: http://127.0.0.1:8899.',
    ]) {
      expect(report.statement).toContain(part);
    }
    expect(report.statement).not.toContain('unchecked');
    expect(report.by).toEqual([encodeBase58(anchor.owner)]);
    expect(report.assumes.join(' ')).toMatch(
      /finality of Solana mainnet-beta.*127\.0\.0\.1:8899 answered.*proof-anchor/,
    );
    expect(report.doesNotClaim.join(' ')).toContain('that a receipt is true');
    expect(whenOf(verification)).toContain(`at the latest at slot ${anchor.slot} of Solana mainnet-beta`);
    expect(whenOf(verification)).toContain(new Date(BLOCK_TIME_MS).toISOString());
  });

  it('asks once for all receipts of a batch, and once for each batch', async () => {
    const { asked, anchors, report } = await verifyOnline({ replicas: 3, anchors: [{}, { owner: 50, slot: 6_000 }] });
    expect(anchors).toHaveLength(6);
    expect(asked).toBe(2);
    expect(report.statement.match(/This root was written/g)).toHaveLength(2);
  });

  it('reports anchors of one receipt by different owners', async () => {
    const { verification, report, anchors } = await verifyOnline({ anchors: [{}, { owner: 50 }] });
    expect(verification.verdict).toBe('valid');
    expect(report.by).toEqual(anchors.map(({ owner }) => encodeBase58(owner)));
    expect(new Set(report.by).size).toBe(2);
  });

  it('dates the result by the earliest anchor', async () => {
    const anchors = [{ slot: 9_000 }, { owner: 50, slot: 7_000 }, { owner: 51, slot: 8_000 }];
    expect(whenOf((await verifyOnline({ anchors })).verification)).toContain('at the latest at slot 7000 ');
  });

  it('takes the slot where the endpoint tells no time, or none that is one', async () => {
    for (const blockTimeMs of [null, Number.NaN, 1e300, -1]) {
      const { verification } = await verifyOnline({ anchors: [{}] }, { blockTimeMs });
      expect(verification.verdict).toBe('valid');
      expect(whenOf(verification)).toMatch(/at slot 5004 of Solana mainnet-beta\. Else/);
    }
  });

  it('says of a test cluster that nothing of value stands behind it', async () => {
    const { verification, report } = await verifyOnline({ anchors: [{ genesis: DEVNET }] });
    expect(verification.verdict).toBe('valid');
    expect(report.assumes.join(' ')).toContain('devnet, a test cluster');
    expect(whenOf(verification)).toContain('of Solana devnet');
  });

  it('says of an unknown genesis that whoever runs the chain can write anything, and dates nothing by it', async () => {
    const { verification, report } = await verifyOnline({ anchors: [{ genesis: OWN_CHAIN }] });
    expect(verification.verdict).toBe('valid');
    expect(report.statement).toContain(
      `a chain with genesis ${encodeBase58(OWN_CHAIN)}, which is no public Solana cluster: whoever runs it can write anything`,
    );
    expect(report.assumes.join(' ')).toContain(`whoever runs the chain with genesis ${encodeBase58(OWN_CHAIN)}`);
    expect(whenOf(verification)).toContain('nothing here is anchored in a public chain');
  });

  it('is invalid where the receipt says that it finished long after the block that holds it', async () => {
    const lies: BuildOptions['lies'] = {
      receipt: (receipt) => ({ ...receipt, finishedAtMs: UnixMs(START_MS + 100_000) }),
    };
    const late = { blockTimeMs: START_MS + 100_000 - 3_600_001 };
    const { report } = await verifyOnline({ anchors: [{}], lies }, late);
    expect(report.verdict).toMatchObject({ kind: 'invalid', code: 'WRONG_TIME' });
    const tolerated = { blockTimeMs: START_MS + 100_000 - 3_600_000 };
    expect((await verifyOnline({ anchors: [{}], lies }, tolerated)).report.verdict.kind).toBe('valid');
    const own = await verifyOnline({ anchors: [{ genesis: OWN_CHAIN }], lies }, late);
    expect(own.report.verdict.kind).toBe('valid');
  });
});

describe('an endpoint that does not tell', () => {
  it('leaves the anchor unchecked where it cannot be reached', async () => {
    const { verification, report } = await verifyOnline({ anchors: [{}] }, { mode: 'dead' });
    expect(verification.verdict).toBe('unchecked');
    expect(report.verdict).toEqual({ kind: 'unchecked', missing: 'an answer of http://127.0.0.1:8899' });
  });

  it('leaves the anchor unchecked where nothing was checked', async () => {
    const { report } = await verifyOnline({ anchors: [{}] }, { mode: 'mute' });
    expect(report.verdict.kind).toBe('unchecked');
  });

  it('leaves all anchors unchecked at the deadline, even if the reader ignores its signal', async () => {
    const anchors = [{}, { owner: 50 }];
    const { report, asked } = await verifyOnline({ anchors }, { mode: 'stalls' }, { chainTimeoutMs: 20 });
    expect(report.verdict).toMatchObject({ kind: 'unchecked', missing: expect.stringContaining('within 0.02 s') });
    expect(asked).toBe(1);
  });

  it('has a deadline of its own', () => {
    expect(DEFAULT_CHAIN_TIMEOUT_MS).toBe(30_000);
  });

  it('stops with the reason of the caller', async () => {
    const controller = new AbortController();
    const reason = new DOMException('enough', 'AbortError');
    const verifying = verifyOnline({ anchors: [{}] }, { mode: 'stalls' }, { signal: controller.signal });
    controller.abort(reason);
    await expect(verifying).rejects.toBe(reason);
  });

  it('does not hide a defect of the reader', async () => {
    await expect(verifyOnline({ anchors: [{}] }, { mode: 'broken' })).rejects.toThrow('a defect');
  });
});

describe('anchors of some receipts only', () => {
  it('is valid for those, and names the others', async () => {
    const { verification, report, anchors } = await verifyOnline({ replicas: 3, anchors: [{ attempts: [1] }] });
    expect(verification.verdict).toBe('valid');
    expect(anchors).toHaveLength(1);
    expect(report.statement).toMatch(/Of the accepted result receipt b\w+ .* and receipt b\w+ .* are not anchored/);
    expect(report.statement.match(/not anchored/g)).toHaveLength(1);
    expect(report.statement.split('not anchored')[0]?.split('Of the accepted')[1]).not.toContain(anchors[0]?.receipt);
  });

  it('is unchecked where only a dissenter is anchored, and dates nothing', async () => {
    const lies: BuildOptions['lies'] = {
      result: (result, replica) => (replica === 2 ? { ...result, fuel: 499_999 } : result),
    };
    const { verification, report } = await verifyOnline({ replicas: 3, lies, anchors: [{ attempts: [2] }] });
    expect(report.verdict).toEqual({ kind: 'unchecked', missing: 'an anchor of a receipt of the accepted result' });
    expect(whenOf(verification)).toContain('nothing here is anchored');
  });

  it('does not take an anchor of a receipt that is not sound', async () => {
    const lies: BuildOptions['lies'] = {
      receipt: (receipt, replica) => (replica === 0 ? { ...receipt, finishedAtMs: UnixMs(START_MS) } : receipt),
    };
    const { report } = await verifyOnline({ replicas: 3, lies, anchors: [{}] });
    const first = report.checks.find(({ name }) => name === 'anchor 1: receipt');
    expect(first?.verdict).toMatchObject({ kind: 'invalid', code: 'WRONG_RECEIPT' });
  });

  it('does not take an anchor of another receipt of this bundle', async () => {
    const { bundle } = await buildBundle({ replicas: 2, anchors: [{}] });
    const [first, second] = bundle.anchors ?? [];
    if (first === undefined || second === undefined) throw new TypeError('there are two anchors');
    const swapped = [{ ...first, receipt: second.receipt }];
    const { verification } = await assessEvidence({ ...bundle, anchors: swapped });
    expect(reportOf(verification).verdict).toMatchObject({ kind: 'invalid', code: 'NOT_IN_BATCH' });
  });
});

describe('anchors that contradict each other', () => {
  const contradictions: readonly [string, RegExp, (anchor: Anchor, at: number) => Anchor][] = [
    ['an anchor twice', /twice/, (anchor) => anchor],
    ['one entry in two transactions', /two batches/, (v, at) => ({ ...v, transaction: v.transaction.with(0, at) })],
    ['one entry in two slots', /two batches/, (v, at) => ({ ...v, slot: v.slot + at })],
    [
      'a later entry at an earlier slot',
      /earlier slot/,
      (v, at) => ({ ...v, entry: v.entry + at, slot: v.slot - at, transaction: v.transaction.with(0, at) }),
    ],
    ['one transaction in two slots', /two slots/, (v, at) => ({ ...v, entry: v.entry + at, slot: v.slot + at })],
  ];

  it.each(contradictions)('%s is invalid offline', async (_, expected, anchor) => {
    const verification = await verifyOffline({ anchors: [{}, {}], lies: { anchor } });
    const { verdict, checks } = reportOf(verification);
    expect(verdict.kind).toBe('invalid');
    const reasons = checks.map((check) => (check.verdict.kind === 'invalid' ? check.verdict.reason : ''));
    expect(reasons.join()).toMatch(expected);
  });

  it('is not seen where a receipt was anchored again in a later batch', async () => {
    const { verification } = await verifyOnline({ anchors: [{}, { entry: 5, batchSize: 3 }] });
    expect(verification.verdict).toBe('valid');
  });
});

describe('anchors that are too large', () => {
  it('are refused when the file is read', async () => {
    const { bundle } = await buildBundle({ anchors: [{}] });
    const [anchor] = bundle.anchors ?? [];
    if (anchor === undefined) throw new TypeError('there is an anchor');
    const path = new Array<Uint8Array>(MAX_ANCHOR_PATH + 1).fill(new Uint8Array(32));
    expect(() => encodeRoot({ ...bundle, anchors: [{ ...anchor, path }] })).toThrow();
    expect(() => encodeRoot({ ...bundle, anchors: new Array<Anchor>(33).fill(anchor) })).toThrow();
    expect(() => encodeRoot({ ...bundle, anchors: [{ ...anchor, batchRoot: new Uint8Array(31) }] })).toThrow();
  });
});

describe('any batch', () => {
  it('is valid as it is, and never with a byte of its proof changed', async () => {
    const { bundle } = await buildBundle({ replicas: 2 });
    const { receipts } = await assessEvidence(bundle);
    const plans = fc.record({ batchSize: fc.integer({ min: 1, max: 300 }), owner: fc.integer({ min: 0, max: 255 }) });
    const hits = fc.record({ hash: fc.nat(), byte: fc.nat({ max: 31 }), bit: fc.nat({ max: 7 }) });
    await fc.assert(
      fc.asyncProperty(plans, hits, async (plan, { hash, byte, bit }) => {
        const [anchor] = buildAnchors([receipts[0]?.id as never], plan);
        if (anchor === undefined) throw new TypeError('there is an anchor');
        const anchorReader = new FakeAnchorReader([anchor]);
        const judge = async (changed: Anchor) =>
          (await assessEvidence({ ...bundle, anchors: [changed] }, { anchorReader })).verification.verdict;
        expect(await judge(anchor)).toBe('valid');
        const alter = (bytes: Uint8Array): Uint8Array => bytes.with(byte, (bytes[byte] ?? 0) ^ (1 << bit));
        const at = hash % (anchor.path.length + 1);
        const changed =
          at === anchor.path.length
            ? { ...anchor, batchRoot: alter(anchor.batchRoot) }
            : { ...anchor, path: anchor.path.with(at, alter(anchor.path[at] as Uint8Array)) };
        expect(await judge(changed)).toBe('invalid');
      }),
      { numRuns: 40 },
    );
  });

  it('gets a verdict and no exception whatever its fields are', async () => {
    const { bundle } = await buildBundle({});
    const { receipts } = await assessEvidence(bundle);
    const receipt = receipts[0]?.id as never;
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    const garbage = fc.record({
      receipt: fc.constant(receipt),
      leafIndex: fc.nat({ max: 2 ** 32 - 1 }),
      batchSize: fc.integer({ min: 1, max: 2 ** 32 }),
      batchRoot: hash,
      path: fc.array(hash, { maxLength: MAX_ANCHOR_PATH }),
      genesis: hash,
      program: hash,
      log: hash,
      owner: hash,
      generation: whole,
      entry: whole,
      transaction: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      slot: whole,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(garbage, { minLength: 1, maxLength: 4 }), async (anchors) => {
        const { verification } = await assessEvidence({ ...bundle, anchors });
        expect(verification.verdict).toBe('invalid');
        expect(encodeCanonical(reportOf(verification).statement).length).toBeGreaterThan(0);
      }),
      { numRuns: 50 },
    );
  });
});
