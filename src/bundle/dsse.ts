/**
 * DSSE, Dead Simple Signing Envelope (secure-systems-lab/dsse, protocol.md and envelope.md, v1.0.2):
 *   PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, LEN in ASCII decimal bytes
 *   signature = Sign(PAE(UTF-8(payloadType), payload)); payload and signatures in base64, standard or URL-safe
 */
import { base64 } from 'multiformats/bases/base64';
import { z } from 'zod';
import { concatBytes, decodeUtf8, encodeUtf8 } from '../lib/bytes.ts';
import { describeError } from '../lib/errors.ts';
import { MAX_DSSE_BYTES } from './constants.ts';
import { BundleError } from './errors.ts';

export interface DsseSignature {
  readonly keyId: string | undefined;
  readonly signature: Uint8Array;
}

export interface DsseEnvelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly DsseSignature[];
}

/** Bytes that are signed. */
export function computePae(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = encodeUtf8(payloadType);
  return concatBytes(encodeUtf8(`DSSEv1 ${type.length} `), type, encodeUtf8(` ${payload.length} `), payload);
}

const base64Text = z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'expected base64');
/** Unknown fields are ignored, as envelope.md asks. */
const envelopeSchema = z.object({
  payload: base64Text,
  payloadType: z.string().max(256),
  signatures: z.array(z.object({ keyid: z.string().max(256).optional(), sig: base64Text })).max(64),
});

/** @throws BundleError BUNDLE_TOO_LARGE, BUNDLE_NOT_A_BUNDLE */
export function parseDsse(bytes: Uint8Array): DsseEnvelope {
  if (bytes.length > MAX_DSSE_BYTES) {
    const sizeBytes = bytes.length;
    throw new BundleError({ code: 'BUNDLE_TOO_LARGE', part: 'DSSE envelope', sizeBytes, maxBytes: MAX_DSSE_BYTES });
  }
  try {
    const wire = envelopeSchema.parse(JSON.parse(decodeUtf8(bytes)));
    return {
      payloadType: wire.payloadType,
      payload: decodeBase64(wire.payload),
      signatures: wire.signatures.map(({ keyid, sig }) => ({ keyId: keyid, signature: decodeBase64(sig) })),
    };
  } catch (error) {
    const reason = `it is no DSSE envelope: ${error instanceof z.ZodError ? z.prettifyError(error) : describeError(error)}`;
    throw new BundleError({ code: 'BUNDLE_NOT_A_BUNDLE', reason }, { cause: error });
  }
}

export function encodeDsse({ payloadType, payload, signatures }: DsseEnvelope): string {
  const envelope = {
    payloadType,
    payload: encodeBase64(payload),
    signatures: signatures.map(({ keyId, signature }) => ({
      ...(keyId === undefined ? {} : { keyid: keyId }),
      sig: encodeBase64(signature),
    })),
  };
  return `${JSON.stringify(envelope, null, 2)}\n`;
}

/** The signatures of an envelope that `verify` accepts. None is not a valid envelope. */
export async function verifyDsse(
  envelope: DsseEnvelope,
  verify: (signature: DsseSignature, message: Uint8Array) => Promise<boolean>,
): Promise<readonly DsseSignature[]> {
  const message = computePae(envelope.payloadType, envelope.payload);
  const accepted: DsseSignature[] = [];
  for (const signature of envelope.signatures) {
    if (await verify(signature, message)) accepted.push(signature);
  }
  return accepted;
}

function decodeBase64(text: string): Uint8Array {
  return base64.baseDecode(text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, ''));
}

function encodeBase64(bytes: Uint8Array): string {
  const text = base64.baseEncode(bytes);
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}
