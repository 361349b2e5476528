/**
 * SIMULATED evidence, for tests: no hardware made it. A report is canonical dag-cbor, then 64 bytes: the Ed25519
 * signature (RFC 8032) of the test network's simulated root over "fogproof/simulated-report@1" ‖ 0x00 ‖ those bytes.
 */
import { z } from 'zod';
import { bytesSchema, unixMsSchema } from '../../domain/ids.ts';
import { decodeObject, encodeObject, type ObjectType } from '../../domain/object-type.ts';
import { concatBytes, encodeUtf8 } from '../../lib/bytes.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { TeeError } from '../errors.ts';

const WHAT = 'the simulated report';
const TYPE = 'fogproof/simulated-report@1';
const SIGNATURE_BYTES = 64;
export const MAX_SIMULATED_REPORT_BYTES = 512;
export const SIMULATED_MEASUREMENT_BYTES = 48;
export const SIMULATED_REPORT_DATA_BYTES = 64;
export const SIMULATED_ROOT_BYTES = 32;

const statementSchema = z.strictObject({
  type: z.literal(TYPE),
  measurement: bytesSchema(SIMULATED_MEASUREMENT_BYTES),
  reportData: bytesSchema(SIMULATED_REPORT_DATA_BYTES),
  signedAtMs: unixMsSchema,
});
export type SimulatedStatement = z.output<typeof statementSchema>;

const STATEMENT: ObjectType<SimulatedStatement> = {
  type: TYPE,
  schema: statementSchema,
  maxBytes: MAX_SIMULATED_REPORT_BYTES - SIGNATURE_BYTES,
};

export interface SimulatedReport {
  readonly statement: SimulatedStatement;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

export function encodeSimulatedReport(
  statement: SimulatedStatement,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const body = encodeObject(STATEMENT, statement);
  return concatBytes(body, sign(computeSigned(body)));
}

/** @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function parseSimulatedReport(bytes: Uint8Array): SimulatedReport {
  if (bytes.length > MAX_SIMULATED_REPORT_BYTES) {
    const [sizeBytes, limitBytes] = [bytes.length, MAX_SIMULATED_REPORT_BYTES];
    throw new TeeError({ code: 'TEE_TOO_LARGE', what: WHAT, sizeBytes, limitBytes });
  }
  const body = bytes.subarray(0, Math.max(0, bytes.length - SIGNATURE_BYTES));
  try {
    const statement = decodeObject(STATEMENT, body);
    return { statement, signed: computeSigned(body), signature: bytes.subarray(body.length) };
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    throw new TeeError({ code: 'TEE_MALFORMED', what: WHAT, offset: 0, reason: error.message }, { cause: error });
  }
}

function computeSigned(body: Uint8Array): Uint8Array {
  return concatBytes(encodeUtf8(TYPE), Uint8Array.of(0), body);
}
