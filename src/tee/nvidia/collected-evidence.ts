import { z } from 'zod';
import { decodeUtf8 } from '../../lib/bytes.ts';
import { TeeError } from '../errors.ts';
import { decodeBase64 } from '../x509/pem.ts';
import { MAX_REPORT_BYTES } from './constants.ts';
import type { NvidiaEvidence } from './interface.ts';

/** Devices of one machine: a DGX has eight GPUs and four switches. */
const MAX_DEVICES = 64;
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_CERTIFICATES_LENGTH = 256 * 1024;

const base64 = (maxBytes: number) => z.string().max(Math.ceil((maxBytes * 4) / 3) + 4);

/** What `nvattest collect-evidence` writes for each device; the nonce and architecture in it prove nothing. */
const deviceSchema = z.object({ evidence: base64(MAX_REPORT_BYTES), certificate: base64(MAX_CERTIFICATES_LENGTH) });
const listSchema = z.array(deviceSchema).min(1).max(MAX_DEVICES);
const fileSchema = z.union([listSchema, z.object({ evidences: listSchema }).transform(({ evidences }) => evidences)]);

export type CollectedEvidence = Pick<NvidiaEvidence, 'report' | 'certificates'>;

/** True for what cannot be a report: SPDM 1.1 starts with 0x11. */
export function isCollectedEvidence(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte > 0x20);
  return first === 0x5b || first === 0x7b;
}

/**
 * The evidence of each device in a file of NVIDIA's attestation CLI, or of its SDK: JSON with base64 of the report and of
 * the PEM certificates.
 * @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE
 */
export function parseCollectedEvidence(bytes: Uint8Array): readonly CollectedEvidence[] {
  const what = 'the file of collected evidence';
  if (bytes.length > MAX_FILE_BYTES) {
    throw new TeeError({ code: 'TEE_TOO_LARGE', what, sizeBytes: bytes.length, limitBytes: MAX_FILE_BYTES });
  }
  const refuse = (reason: string, cause?: unknown): TeeError =>
    new TeeError({ code: 'TEE_MALFORMED', what, offset: 0, reason }, { cause });
  const parsed = fileSchema.safeParse(parseJson(bytes, refuse));
  if (!parsed.success) throw refuse('it is no list of evidence and certificates', parsed.error);
  return parsed.data.map(({ evidence, certificate }) => {
    const [report, pem] = [decodeBase64(evidence), decodeBase64(certificate)];
    if (report === undefined || pem === undefined) throw refuse('evidence or certificates are not base64');
    return { report, certificates: new TextDecoder().decode(pem) };
  });
}

function parseJson(bytes: Uint8Array, refuse: (reason: string, cause: unknown) => TeeError): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes));
  } catch (error) {
    throw refuse('it is no JSON', error);
  }
}
