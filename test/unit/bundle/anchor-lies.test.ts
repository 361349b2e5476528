import { describe, expect, it } from 'vitest';
import type { AnchorReader, BundleVerification } from '../../../src/bundle/interface.ts';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import type { Anchor } from '../../../src/domain/anchor.ts';
import { ObjectId } from '../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import { findProgramAddress } from '../../../src/proofs/program-address.ts';
import { OWN_CHAIN } from '../../support/anchor-builder.ts';
import { buildBundle, packBundle, START_MS } from '../../support/bundle-builder.ts';
import { FakeAnchorReader } from '../../support/fake-anchor-reader.ts';

interface AnchorLie {
  readonly what: string;
  readonly lie: (anchor: Anchor) => Anchor;
  readonly check: string;
  readonly code: string;
}

const flip = (bytes: Uint8Array): Uint8Array => bytes.with(0, (bytes[0] ?? 0) ^ 1);
const OTHER = ObjectId(computeObjectCid(Uint8Array.of(1)).toString());

/** An owner who is another, with the log that is really that owner's. */
function moveLog(anchor: Anchor, change: Partial<Pick<Anchor, 'owner' | 'program'>>): Anchor {
  const moved = { ...anchor, ...change };
  return { ...moved, log: findProgramAddress([encodeUtf8('log'), moved.owner], moved.program).address };
}

/** Refuted by the file alone. */
const IN_FILE: readonly AnchorLie[] = [
  { what: 'receipt', lie: (v) => ({ ...v, receipt: OTHER }), check: 'receipt', code: 'WRONG_RECEIPT' },
  {
    what: 'leafIndex',
    lie: (v) => ({ ...v, leafIndex: v.leafIndex + 1 }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  },
  {
    what: 'leafIndex beyond the batch',
    lie: (v) => ({ ...v, leafIndex: v.batchSize }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  },
  {
    what: 'batchSize of another height',
    lie: (v) => ({ ...v, batchSize: 2 * v.batchSize }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  },
  {
    what: 'batchRoot',
    lie: (v) => ({ ...v, batchRoot: flip(v.batchRoot) }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  },
  ...[0, 1, 2, 3].map((index) => ({
    what: `path.${index}`,
    lie: (v: Anchor) => ({ ...v, path: v.path.map((hash, at) => (at === index ? flip(hash) : hash)) }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  })),
  {
    what: 'path cut',
    lie: (v) => ({ ...v, path: v.path.slice(0, -1) }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  },
  {
    what: 'path with one more',
    lie: (v) => ({ ...v, path: [...v.path, new Uint8Array(32)] }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  },
  {
    what: 'path of the longest',
    lie: (v) => ({ ...v, batchSize: 2 ** 32, path: new Array<Uint8Array>(32).fill(new Uint8Array(32)) }),
    check: 'inclusion in the batch',
    code: 'NOT_IN_BATCH',
  },
  {
    what: 'program',
    lie: (v) => ({ ...v, program: flip(v.program) }),
    check: 'log address',
    code: 'WRONG_LOG',
  },
  { what: 'log', lie: (v) => ({ ...v, log: flip(v.log) }), check: 'log address', code: 'WRONG_LOG' },
  { what: 'owner', lie: (v) => ({ ...v, owner: flip(v.owner) }), check: 'log address', code: 'WRONG_LOG' },
  {
    what: 'generation after the slot',
    lie: (v) => ({ ...v, generation: v.slot + 1 }),
    check: 'slots',
    code: 'WRONG_TIME',
  },
];

/** Refuted by the chain alone. */
const ON_CHAIN: readonly AnchorLie[] = [
  { what: 'genesis', lie: (v) => ({ ...v, genesis: OWN_CHAIN }), check: 'genesis on the chain', code: 'NOT_ON_CHAIN' },
  {
    what: 'batchSize of the same height',
    lie: (v) => ({ ...v, batchSize: v.batchSize + 1 }),
    check: 'root on the chain',
    code: 'NOT_ON_CHAIN',
  },
  {
    what: 'owner and log',
    lie: (v) => moveLog(v, { owner: flip(v.owner) }),
    check: 'log on the chain',
    code: 'NOT_ON_CHAIN',
  },
  {
    what: 'program and log',
    lie: (v) => moveLog(v, { program: flip(v.program) }),
    check: 'log on the chain',
    code: 'NOT_ON_CHAIN',
  },
  {
    what: 'generation',
    lie: (v) => ({ ...v, generation: v.generation + 1 }),
    check: 'entry on the chain',
    code: 'NOT_ON_CHAIN',
  },
  { what: 'entry', lie: (v) => ({ ...v, entry: v.entry + 1 }), check: 'entry on the chain', code: 'NOT_ON_CHAIN' },
  {
    what: 'transaction',
    lie: (v) => ({ ...v, transaction: flip(v.transaction) }),
    check: 'transaction on the chain',
    code: 'NOT_ON_CHAIN',
  },
  { what: 'slot', lie: (v) => ({ ...v, slot: v.slot - 1 }), check: 'slot on the chain', code: 'NOT_ON_CHAIN' },
];

/** Two receipts in one batch: only the anchor of the second is lied about. */
const { bundle: pair } = await buildBundle({ replicas: 2, anchors: [{}] });
const honest = (await buildBundle({ anchors: [{}] })).bundle;
const written = honest.anchors ?? [];

async function verifyWith(lie: (anchor: Anchor) => Anchor, anchorReader?: AnchorReader): Promise<BundleVerification> {
  const bytes = await packBundle({ ...honest, anchors: written.map(lie) });
  return await verifyBundle(bytes, anchorReader === undefined ? {} : { anchorReader });
}

function verdictOf(verification: BundleVerification, check: string, place = 1) {
  const checks = verification.assurances.flatMap((assurance) => assurance.checks);
  return checks.find(({ name }) => name === `anchor ${place}: ${check}`)?.verdict;
}

it('starts from anchors that are valid', async () => {
  const reader = new FakeAnchorReader(written, { blockTimeMs: START_MS + 60_000 });
  expect(await verifyWith((anchor) => anchor, reader)).toMatchObject({ verdict: 'valid' });
});

it('has a lie about every field', () => {
  const fields = [...IN_FILE, ...ON_CHAIN].flatMap(({ what }) => what.split(/[ .]/)[0] ?? '');
  expect(new Set(fields)).toEqual(new Set(Object.keys(written[0] ?? {})));
});

describe('a lie about an anchor that the file refutes', () => {
  it.each(IN_FILE)('$what: $check is invalid, and no chain is asked', async ({ lie, check, code }) => {
    const reader = new FakeAnchorReader(written);
    for (const verification of [await verifyWith(lie), await verifyWith(lie, reader)]) {
      expect(verification.verdict).toBe('invalid');
      expect(verdictOf(verification, check)).toMatchObject({ kind: 'invalid', code });
    }
    expect(reader.asked).toBe(0);
  });
});

describe('a lie about an anchor that only the chain refutes', () => {
  it.each(ON_CHAIN)('$what: unchecked offline, and $check is invalid', async ({ lie, check, code }) => {
    expect((await verifyWith(lie)).verdict).toBe('unchecked');
    const verification = await verifyWith(lie, new FakeAnchorReader(written));
    expect(verification.verdict).toBe('invalid');
    expect(verdictOf(verification, check)).toMatchObject({ kind: 'invalid', code });
  });
});

describe('a lie about one of two anchors of a batch', () => {
  it.each(ON_CHAIN)('$what: the chain is asked about it, and it alone is invalid', async ({ lie, check, code }) => {
    const anchors = (pair.anchors ?? []).map((anchor, at) => (at === 1 ? lie(anchor) : anchor));
    const reader = new FakeAnchorReader(pair.anchors ?? []);
    const verification = await verifyBundle(await packBundle({ ...pair, anchors }), { anchorReader: reader });
    expect(verdictOf(verification, check, 1)).toEqual({ kind: 'valid' });
    expect(verdictOf(verification, check, 2)).toMatchObject({ kind: 'invalid', code });
    expect(reader.asked).toBe(2);
  });
});
