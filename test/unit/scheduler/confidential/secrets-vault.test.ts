import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JobId } from '../../../../src/domain/ids.ts';
import { computeObjectCid } from '../../../../src/lib/cid.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import { SecretsVault } from '../../../../src/scheduler/requester/confidential/secrets-vault.ts';

const random = new SystemRandom();
const vault = new SecretsVault({ random }, { storeKey: new Uint8Array(32).fill(1) });
const jobOf = (byte: number) => JobId(computeObjectCid(Uint8Array.of(byte)).toString());
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const secrets = fc.record({ contentKey: bytes32, salts: fc.array(bytes32, { maxLength: 4 }) });

describe('secrets of confidential jobs on disk', () => {
  it('open for their job to what they were, and are never the same twice', () => {
    fc.assert(
      fc.property(secrets, (given) => {
        const sealed = vault.seal(jobOf(1), given);
        expect(vault.open(jobOf(1), sealed)).toEqual(given);
        expect(vault.seal(jobOf(1), given)).not.toEqual(sealed);
        expect(Buffer.from(sealed).includes(Buffer.from(given.contentKey))).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  it('do not open for another job, with another key, damaged, cut or made up', () => {
    const sealed = vault.seal(jobOf(1), { contentKey: new Uint8Array(32), salts: [] });
    const other = new SecretsVault({ random }, { storeKey: new Uint8Array(32).fill(2) });
    const corrupt = expect.objectContaining({ code: 'SCHEDULER_STORE_CORRUPT' });
    const refuse = (open: () => unknown): void => {
      let thrown: unknown;
      try {
        open();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toEqual(corrupt);
    };
    refuse(() => vault.open(jobOf(2), sealed));
    refuse(() => other.open(jobOf(1), sealed));
    for (let length = 0; length < sealed.length; length += 1) {
      refuse(() => vault.open(jobOf(1), sealed.subarray(0, length)));
      refuse(() =>
        vault.open(
          jobOf(1),
          sealed.map((byte, index) => (index === length ? byte ^ 1 : byte)),
        ),
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => refuse(() => vault.open(jobOf(1), garbage))),
      { numRuns: 50 },
    );
  });
});
