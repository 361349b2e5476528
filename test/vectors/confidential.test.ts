import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { JobId, LeaseId } from '../../src/domain/ids.ts';
import { encodeHex } from '../../src/lib/bytes.ts';
import type { PlainEvent } from '../../src/tee/interface.ts';
import { openSecrets } from '../../src/tee/release/released-secrets.ts';
import { EventOpener } from '../../src/tee/sealing/events.ts';
import { openInput } from '../../src/tee/sealing/inputs.ts';
import { openOutput } from '../../src/tee/sealing/outputs.ts';
import { collectStream, streamBytes } from '../support/byte-streams.ts';
import { buildConfidentialVectors } from '../support/confidential-vectors.ts';
import { importX25519 } from '../support/x25519-keys.ts';

interface SealedCase {
  readonly sizeBytes: number;
  readonly sealed?: string;
}

interface Vectors {
  readonly contentKey: string;
  readonly job: string;
  readonly lease: string;
  readonly inputs: readonly (SealedCase & { index: number; salt: string; commitment: string })[];
  readonly outputs: readonly (SealedCase & { path: string })[];
  readonly events: readonly { index: number; event: PlainEvent; sealed: string }[];
  readonly release: {
    readonly evidence: string;
    readonly salts: readonly string[];
    readonly recipientPrivateKey: string;
    readonly encapsulatedKey: string;
    readonly sealedSecrets: string;
  };
}

const text = readFileSync(new URL('confidential/vectors.json', import.meta.url), 'utf8');
const vectors = JSON.parse(text) as Vectors;
const decode = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const contentKey = decode(vectors.contentKey);
const plainOf = (sizeBytes: number): string =>
  encodeHex(Uint8Array.from({ length: sizeBytes }, (_, index) => index % 251));

describe('the vectors of docs/confidential.md', () => {
  it('are what is written today; check.py works them out again without any of this code', async () => {
    expect(vectors).toEqual(JSON.parse(JSON.stringify(await buildConfidentialVectors())));
  });

  it('open', async () => {
    const salts = vectors.inputs.map(({ salt }) => decode(salt));
    for (const { index, sealed, commitment, sizeBytes } of vectors.inputs) {
      if (sealed === undefined) continue;
      const opening = { secrets: { contentKey, salts }, index, commitment: decode(commitment), maxBytes: sizeBytes };
      expect(encodeHex(await openInput(streamBytes(decode(sealed), 10), opening))).toBe(plainOf(sizeBytes));
    }
    for (const { path, sealed, sizeBytes } of vectors.outputs) {
      if (sealed === undefined) continue;
      const opened = await collectStream(openOutput(streamBytes(decode(sealed), 10), { contentKey, path }));
      expect(encodeHex(opened)).toBe(plainOf(sizeBytes));
    }
    const opener = new EventOpener();
    for (const { index, event, sealed } of vectors.events) {
      const key = { contentKey, lease: LeaseId(vectors.lease) };
      expect(await opener.open({ kind: 'sealed', index, bytes: decode(sealed) }, key)).toEqual(event);
    }
    const { evidence, salts: released, recipientPrivateKey, encapsulatedKey, sealedSecrets } = vectors.release;
    const opened = await openSecrets(await importX25519(decode(recipientPrivateKey)), {
      job: JobId(vectors.job),
      evidence: decode(evidence),
      release: { encapsulatedKey: decode(encapsulatedKey), sealedSecrets: decode(sealedSecrets) },
    });
    expect(opened).toEqual({ contentKey, salts: released.map(decode) });
  });
});
