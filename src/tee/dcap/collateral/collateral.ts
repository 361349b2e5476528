/** What has to be known besides a quote, as the JSON bundle of a provisioning certificate caching service (PCCS). */
import { z } from 'zod';
import { decodeUtf8 } from '../../../lib/bytes.ts';
import { describeError } from '../../../lib/errors.ts';
import { TeeError } from '../../errors.ts';
import { splitPem } from '../../x509/pem.ts';
import { parseRevocationList, type RevocationList } from '../../x509/revocation-list.ts';
import { MAX_COLLATERAL_BYTES } from '../constants.ts';
import { decodeHex } from '../hex.ts';

const MAX_TEXT = 1024 * 1024;

const pemSchema = z.string().max(MAX_TEXT);
/** r || s. */
const signatureSchema = z.string().regex(/^[0-9A-Fa-f]{128}$/u);

const collateralSchema = z.object({
  tcb_info_issuer_chain: pemSchema,
  /** JSON text, exactly as Intel signed it. */
  tcb_info: z.string().max(MAX_TEXT),
  tcb_info_signature: signatureSchema,
  qe_identity_issuer_chain: pemSchema,
  qe_identity: z.string().max(MAX_TEXT),
  qe_identity_signature: signatureSchema,
  /** DER in hex, or PEM. Empty or absent: none was given. */
  root_ca_crl: z.string().max(MAX_COLLATERAL_BYTES).default(''),
  pck_crl: z.string().max(MAX_COLLATERAL_BYTES).default(''),
});

/** Parsed for its form only: nothing in it has been verified. */
export type Collateral = z.infer<typeof collateralSchema>;

/** @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function parseCollateral(bytes: Uint8Array): Collateral {
  const what = 'the collateral';
  if (bytes.length > MAX_COLLATERAL_BYTES) {
    throw new TeeError({ code: 'TEE_TOO_LARGE', what, sizeBytes: bytes.length, limitBytes: MAX_COLLATERAL_BYTES });
  }
  return parseJson(what, bytes, collateralSchema);
}

/** JSON of a schema. @throws TeeError TEE_MALFORMED */
export function parseJson<Schema extends z.ZodType>(what: string, bytes: Uint8Array, schema: Schema): z.output<Schema> {
  const fail = (reason: string, cause?: unknown): never => {
    throw new TeeError({ code: 'TEE_MALFORMED', what, offset: 0, reason }, { cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(bytes));
  } catch (error) {
    fail(`it is not JSON (${describeError(error).slice(0, 100)})`, error);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return fail(`${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'not of the expected form'}`, parsed.error);
}

/** @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function parseRevocationListText(text: string): RevocationList {
  if (!text.startsWith('-----BEGIN')) return parseRevocationList(decodeHex('a revocation list', text));
  const [list, ...others] = splitPem(text, 'X509 CRL');
  if (list === undefined || others.length > 0) {
    throw new TeeError({ code: 'TEE_MALFORMED', what: 'a revocation list', offset: 0, reason: 'more than one block' });
  }
  return parseRevocationList(list);
}
