import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decryptAge, encryptAge } from '../../../src/identity/age-file.ts';

/** A cheap cost: the format is the same. */
const LOG_N = 4;

describe('age files', () => {
  it("opens with age's own library, and opens what that wrote", async () => {
    const ours = await encryptAge('secret text', { passphrase: 'correct horse', logN: LOG_N });
    const decrypter = new Decrypter();
    decrypter.addPassphrase('correct horse');
    expect(await decrypter.decrypt(ours, 'text')).toBe('secret text');

    const encrypter = new Encrypter();
    encrypter.setPassphrase('correct horse');
    encrypter.setScryptWorkFactor(LOG_N);
    const theirs = await encrypter.encrypt('other text');
    expect(await decryptAge(theirs, 'correct horse')).toEqual({ kind: 'opened', plaintext: 'other text' });
  });

  it('tells a wrong passphrase from a damaged file', async () => {
    const bytes = await encryptAge('secret text', { passphrase: 'correct horse', logN: LOG_N });
    expect(await decryptAge(bytes, 'battery staple')).toEqual({ kind: 'wrong-passphrase' });
    const cut = bytes.subarray(0, bytes.length - 3);
    expect(await decryptAge(cut, 'correct horse')).toMatchObject({ kind: 'malformed' });
  });

  it('refuses a work factor that would take all memory, and files for other recipients', async () => {
    const bytes = await encryptAge('x', { passphrase: 'correct horse', logN: LOG_N });
    const text = Buffer.from(bytes).toString('latin1');
    const costly = Buffer.from(text.replace(/(-> scrypt \S+) 4\n/, '$1 40\n'), 'latin1');
    expect(await decryptAge(costly, 'correct horse')).toMatchObject({
      kind: 'malformed',
      reason: expect.stringContaining('work factor'),
    });
    const encrypter = new Encrypter();
    encrypter.addRecipient(await identityToRecipient(await generateX25519Identity()));
    expect(await decryptAge(await encrypter.encrypt('x'), 'correct horse')).toMatchObject({ kind: 'malformed' });
  });

  it('never throws and never opens on altered or random bytes', async () => {
    const bytes = await encryptAge('secret text', { passphrase: 'correct horse', logN: LOG_N });
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const altered = bytes.slice();
        altered[at] = (altered[at] ?? 0) ^ change;
        expect((await decryptAge(altered, 'correct horse')).kind).not.toBe('opened');
      }),
      { numRuns: 150 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (garbage) => {
        expect((await decryptAge(garbage, 'correct horse')).kind).toBe('malformed');
      }),
    );
  });
});
