import { z } from 'zod';
import type { PeerKey } from '../../domain/ids.ts';
import { NODE_RECORD, type NodeRecord } from '../../domain/node-record.ts';
import { type Signed, type SignedWire, signedWireSchema } from '../../domain/signed.ts';
import { decodeCanonical, encodeCanonical } from '../../lib/canonical-cbor.ts';
import { DaemonError } from '../../lib/errors.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import type { Codec } from '../../storage/interface.ts';
import { MAX_GOSSIP_BYTES } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { RecordRuleCode } from './record-rules.ts';

/** Room for the envelope and an inclusion path around a record. */
export const MAX_RECORD_WIRE_BYTES = NODE_RECORD.maxBytes + 8 * 1024;

/** Bytes of a signed record in gossip, in the DHT and in the database. */
export function encodeRecordWire(wire: SignedWire): Uint8Array {
  return encodeCanonical(wire);
}

/** @throws NetworkError NETWORK_BAD_MESSAGE, CborError */
export function decodeRecordWire(bytes: Uint8Array): SignedWire {
  const result = signedWireSchema.safeParse(decodeCanonical(bytes, { maxBytes: MAX_GOSSIP_BYTES }));
  if (result.success) return result.data;
  throw new NetworkError(
    { code: 'NETWORK_BAD_MESSAGE', protocol: 'records', path: '', reason: z.prettifyError(result.error) },
    { cause: result.error },
  );
}

export const RECORD_WIRE_CODEC: Codec<SignedWire> = { encode: encodeRecordWire, decode: decodeRecordWire };

export type OpenedRecord =
  | { readonly kind: 'opened'; readonly record: Signed<NodeRecord> }
  | { readonly kind: 'refused'; readonly code: RecordRuleCode };

/** Verifies the signature and the form of a record; what it says is judged by `judgeRecord`. */
export async function openRecord(wire: SignedWire, expected?: PeerKey): Promise<OpenedRecord> {
  const size = wire.kind === 'envelope' ? wire.envelope.length : wire.payload.length + wire.root.length;
  if (size > MAX_RECORD_WIRE_BYTES) return { kind: 'refused', code: 'NETWORK_RECORD_TOO_LARGE' };
  try {
    return { kind: 'opened', record: await openSigned(NODE_RECORD, wire, expected) };
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    const code = error.code === 'PROOFS_WRONG_SIGNER' ? 'NETWORK_RECORD_WRONG_SIGNER' : 'NETWORK_RECORD_MALFORMED';
    return { kind: 'refused', code };
  }
}
