import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { encodeHex } from '../../src/lib/bytes.ts';
import { openHpke, sealHpke } from '../../src/tee/release/hpke.ts';
import { importX25519 } from '../support/x25519-keys.ts';

interface Context {
  readonly info: string;
  readonly skRm: string;
  readonly enc: string;
}

interface Message {
  readonly aad: string;
  readonly ct: string;
  readonly pt: string;
}

interface Vector extends Context {
  readonly pkRm: string;
  readonly skEm: string;
  readonly encryptions: readonly Message[];
}

interface NegativeCase extends Context, Message {
  readonly name: string;
}

const decode = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

async function readJson(name: string): Promise<unknown> {
  return JSON.parse(await readFile(new URL(`rfc9180-hpke/${name}.json`, import.meta.url), 'utf8'));
}

async function open(context: Context, message: Message): Promise<string> {
  const plain = await openHpke(
    await importX25519(decode(context.skRm)),
    { encapsulatedKey: decode(context.enc), sealed: decode(message.ct) },
    { info: decode(context.info), associatedData: decode(message.aad) },
  );
  return encodeHex(plain);
}

const vectors = (await readJson('vectors')) as readonly Vector[];
const { cases } = (await readJson('negative')) as { readonly cases: readonly NegativeCase[] };

describe('HPKE of RFC 9180, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM', () => {
  it('opens the messages of the vectors', async () => {
    const opened = await Promise.all(
      vectors.flatMap((vector) => vector.encryptions.map((message) => open(vector, message))),
    );
    expect(opened).toEqual(vectors.flatMap(({ encryptions }) => encryptions.map(({ pt }) => pt)));
    expect(opened).toHaveLength(1);
  });

  it('seals to the same bytes with the ephemeral key of the vectors', async () => {
    for (const { info, pkRm, skEm, enc, encryptions } of vectors) {
      for (const { aad, ct, pt } of encryptions) {
        const { encapsulatedKey, sealed } = await sealHpke({
          recipientKey: decode(pkRm),
          info: decode(info),
          associatedData: decode(aad),
          plain: decode(pt),
          ephemeralKeys: await importX25519(decode(skEm)),
        });
        expect([encodeHex(encapsulatedKey), encodeHex(sealed)]).toEqual([enc, ct]);
      }
    }
  });

  it('takes a fresh ephemeral key by itself', async () => {
    const sealing = {
      recipientKey: decode(vectors[0]?.pkRm ?? ''),
      info: new Uint8Array(),
      associatedData: new Uint8Array(),
      plain: new Uint8Array(32),
    };
    const [first, second] = await Promise.all([sealHpke(sealing), sealHpke(sealing)]);
    expect(encodeHex(first.encapsulatedKey)).not.toBe(encodeHex(second.encapsulatedKey));
    expect(encodeHex(first.sealed)).not.toBe(encodeHex(second.sealed));
  });

  it.each(cases)('refuses: $name', async (negative) => {
    await expect(open(negative, negative)).rejects.toThrow();
  });

  it('has all negative cases', () => {
    expect(cases).toHaveLength(11);
  });
});
