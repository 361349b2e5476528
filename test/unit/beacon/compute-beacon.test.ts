import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { computeChainBeacon, computeFixedBeacon, computeTimeBeacon } from '../../../src/beacon/compute-beacon.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../../docs/beacon.md'), 'utf8');
const ROW = /^\| (chain|time) \| `([a-z0-9-]+)` \| (\d+) \| (?:`([0-9a-f]{64})`|-) \| `([0-9a-f]{64})` \|$/gm;
const VECTORS = [...DOCUMENT.matchAll(ROW)].map(([, kind = '', networkId = '', round = '', hash = '', value = '']) => ({
  kind,
  networkId,
  round: Number(round),
  hash,
  value,
}));

function compute({ kind, networkId, round, hash }: (typeof VECTORS)[number]): string {
  const of = { networkId, round };
  return encodeHex(kind === 'time' ? computeTimeBeacon(of) : computeChainBeacon(of, Buffer.from(hash, 'hex')));
}

describe('values of the beacon', () => {
  it('are those of docs/beacon.md, which were made with another program', () => {
    expect(VECTORS.filter(({ kind }) => kind === 'chain').length).toBeGreaterThanOrEqual(3);
    expect(VECTORS.filter(({ kind }) => kind === 'time').length).toBeGreaterThanOrEqual(3);
    for (const vector of VECTORS) expect(compute(vector), JSON.stringify(vector)).toBe(vector.value);
  });

  it('are what the formula says, field by field', () => {
    const networkIds = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);
    fc.assert(
      fc.property(
        networkIds,
        fc.maxSafeNat(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (networkId, round, hash) => {
          const u64 = Buffer.alloc(8);
          u64.writeBigUInt64BE(BigInt(round));
          const digest = (...parts: readonly (string | Uint8Array)[]): string => {
            const whole = createHash('sha256');
            for (const part of parts) whole.update(part);
            return whole.digest('hex');
          };
          const of = { networkId, round };
          expect(encodeHex(computeChainBeacon(of, hash))).toBe(digest('fogproof/beacon@1', networkId, u64, hash));
          expect(encodeHex(computeTimeBeacon(of))).toBe(digest('fogproof/beacon-time@1', networkId, u64));
          expect(encodeHex(computeFixedBeacon(of, hash))).toBe(digest('fogproof/beacon-fixed@1', networkId, u64, hash));
        },
      ),
    );
  });
});
