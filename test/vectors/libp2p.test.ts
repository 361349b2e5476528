import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { describe, expect, it } from 'vitest';
import { NODE_RECORD } from '../../src/domain/node-record.ts';
import { openSigned } from '../../src/proofs/signed-object.ts';

interface EnvelopeCase {
  readonly name: string;
  readonly domain: string;
  readonly payloadType?: string;
  readonly payload?: string;
  readonly envelope: string;
  readonly valid: boolean;
}
interface PeerRecordCase {
  readonly name: string;
  readonly peerRecord: string;
  readonly peerId: string;
  readonly seq: string;
  readonly addresses: readonly string[];
}

const folder = join(import.meta.dirname, 'libp2p');
const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'));
const envelopes = (read('envelopes.json') as { cases: EnvelopeCase[] }).cases;
const peerRecords = (read('peer-records.json') as { cases: PeerRecordCase[] }).cases;
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const PEER_RECORD_DOMAIN = 'libp2p-peer-record';

/** Opens an envelope as RFC 0002 has it; a peer record must besides be of its signer (RFC 0003). */
async function open(bytes: Uint8Array, domain: string): Promise<RecordEnvelope> {
  const envelope = await RecordEnvelope.openAndCertify(bytes, domain);
  if (domain === PEER_RECORD_DOMAIN) {
    const record = PeerRecord.createFromProtobuf(envelope.payload);
    if (!record.peerId.equals(peerIdFromPublicKey(envelope.publicKey))) throw new TypeError('not of its signer');
  }
  return envelope;
}

describe('libp2p signed envelopes (RFC 0002)', () => {
  it('has all of its cases', () => {
    expect(envelopes).toHaveLength(11);
    expect(envelopes.filter(({ valid }) => valid)).toHaveLength(4);
  });

  it.each(envelopes.filter(({ valid }) => valid))('$name is opened', async (vector) => {
    const envelope = await open(bytesOf(vector.envelope), vector.domain);
    if (vector.payloadType !== undefined) expect(envelope.payloadType).toEqual(bytesOf(vector.payloadType));
    if (vector.payload !== undefined) expect(envelope.payload).toEqual(bytesOf(vector.payload));
  });

  it.each(envelopes.filter(({ valid }) => !valid))('$name is refused', async (vector) => {
    await expect(open(bytesOf(vector.envelope), vector.domain)).rejects.toThrow();
  });

  it.each(envelopes)('$name is no object of ours, whatever its signature says', async (vector) => {
    const wire = { kind: 'envelope', envelope: bytesOf(vector.envelope) } as const;
    await expect(openSigned(NODE_RECORD, wire)).rejects.toMatchObject({ code: 'PROOFS_BAD_ENVELOPE' });
  });

  it.each(['go-signed-peer-record.bin', 'js-signed-peer-record.bin', 'js-signed-peer-record-2.bin'])(
    '%s of another implementation is opened',
    async (file) => {
      const envelope = await open(new Uint8Array(readFileSync(join(folder, file))), PEER_RECORD_DOMAIN);
      expect(PeerRecord.createFromProtobuf(envelope.payload).multiaddrs.length).toBeGreaterThan(0);
      await expect(RecordEnvelope.openAndCertify(envelope.marshal(), 'another-domain')).rejects.toThrow();
    },
  );

  it.each(peerRecords)('$name decodes to its values', (vector) => {
    const record = PeerRecord.createFromProtobuf(bytesOf(vector.peerRecord));
    expect(record.peerId.toString()).toBe(vector.peerId);
    expect(record.seqNumber).toBe(BigInt(vector.seq));
    expect(record.multiaddrs.map((address) => address.toString())).toEqual(vector.addresses);
    expect(record.marshal()).toEqual(bytesOf(vector.peerRecord));
  });
});
