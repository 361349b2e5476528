import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { FuzzTarget } from '../../scripts/fuzz-evidence/interface.ts';
import { FUZZ_KINDS } from '../../scripts/fuzz-evidence/kinds.ts';
import { MemoCrypto } from '../../scripts/fuzz-evidence/memo-crypto.ts';
import { fuzz } from '../../scripts/fuzz-evidence/run.ts';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';

/** Of each piece of evidence, another sample each time; all of them: npm run fuzz:evidence. */
const BITS = 100;

const targets = Object.entries(FUZZ_KINDS).flatMap(([kind, list]) =>
  list().map((target) => [target.name, kind, target] as const),
);

function sample(target: FuzzTarget, at: { readonly stride: number; readonly start: number }) {
  const crypto = new MemoCrypto({ crypto: new NodeEvidenceCrypto() });
  return fuzz(target, { ...at, crypto, onProgress: () => undefined });
}

describe('evidence with a bit flipped, or cut', () => {
  it.each(targets)('%s is not accepted', async (_, kind, target) => {
    const stride = Math.floor((target.evidence.length * 8) / BITS);
    const start = randomInt(stride);
    const { bits, lengths, faults } = await sample(target, { stride, start });
    expect(faults, `npm run fuzz:evidence -- ${kind} --sample ${stride} --seed ${start}`).toEqual([]);
    expect(bits).toBeGreaterThanOrEqual(BITS);
    expect(lengths).toBeGreaterThanOrEqual(Math.floor(BITS / 8));
  });

  it('would be seen to be accepted: outside of bytes that nobody signed, and by an exception', async () => {
    const verification = { kind: 'sgx', verdict: 'valid', evaluatedAtMs: 0, checks: [], claims: null } as const;
    const gullible: FuzzTarget = {
      name: 'gullible',
      evidence: new Uint8Array(4),
      unsigned: [[1, 2]],
      paddingFrom: 3,
      verify: async () => verification,
    };
    const accepting = await sample(gullible, { stride: 1, start: 0 });
    expect(accepting).toMatchObject({ bits: 32, lengths: 4, harmless: 9 });
    expect(accepting.faults).toHaveLength(24 + 3);
    expect(accepting.faults).toContain('byte 0, bit 0: accepted');
    expect(accepting.faults).toContain('cut to 2 bytes: accepted');
    const verify = async (evidence: Uint8Array) => {
      if (evidence.length === 2) throw new RangeError('too short');
      const checks = evidence.some((byte) => byte !== 0) || evidence.length < 3;
      return { ...verification, checks: checks ? [{ name: 'format', verdict: 'failed', detail: '' } as const] : [] };
    };
    const throwing = await sample({ ...gullible, verify }, { stride: 1, start: 0 });
    expect(throwing.faults).toEqual(['cut to 2 bytes: RangeError: too short']);
  });
});
