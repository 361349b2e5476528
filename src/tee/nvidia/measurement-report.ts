import { concatBytes } from '../../lib/bytes.ts';
import { TeeError } from '../errors.ts';
import { MAX_PADDING_BYTES, MAX_REPORT_BYTES, MEASUREMENT_BYTES, NONCE_BYTES, SIGNATURE_BYTES } from './constants.ts';
import { type OpaqueData, parseOpaqueData } from './opaque-data.ts';

/**
 * An SPDM 1.1 GET_MEASUREMENTS request with its MEASUREMENTS response (DMTF DSP0274 1.1, section 10.11):
 *
 *   request   11 e0 01 ff, nonce[32], slot                       37 bytes: all measurements, signed
 *   response  11 60 00 slot, u8 blocks, u24 length, blocks[length], nonce[32], u16 length, opaque[length]
 *   signature r || s, 96 bytes, over everything before it
 *
 * A block is u8 index (from 1), u8 1 (DMTF), u16 size, u8 type, u16 size of the value, value.
 */
export interface MeasurementReport {
  readonly requesterNonce: Uint8Array;
  readonly responderNonce: Uint8Array;
  /** By index, counted from 0 as NVIDIA's reference manifests count. */
  readonly measurements: ReadonlyMap<number, Uint8Array>;
  readonly opaque: OpaqueData;
  /** Everything before the signature. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

const SPDM_1_1 = 0x11;
const GET_MEASUREMENTS = 0xe0;
const MEASUREMENTS = 0x60;
const SIGNATURE_REQUESTED = 0x01;
const ALL_MEASUREMENTS = 0xff;
const DMTF = 0x01;
/** Bit 7 of the type: the value is a raw bit stream, no digest. */
const RAW_BIT_STREAM = 0x80;
/** Type and size of the value, before it. */
const VALUE_HEADER_BYTES = 3;

export function parseMeasurementReport(bytes: Uint8Array): MeasurementReport {
  if (bytes.length > MAX_REPORT_BYTES) {
    const sizes = { sizeBytes: bytes.length, limitBytes: MAX_REPORT_BYTES };
    throw new TeeError({ code: 'TEE_TOO_LARGE', what: 'the report', ...sizes });
  }
  const reader = new ReportReader(bytes);
  const requesterNonce = readRequest(reader);
  reader.expect([SPDM_1_1, MEASUREMENTS, 0, 0], 'an SPDM 1.1 MEASUREMENTS response of slot 0');
  const measurements = readMeasurements(reader);
  const responderNonce = reader.take(NONCE_BYTES);
  const opaqueLength = reader.takeNumber(2);
  const opaqueOffset = reader.offset;
  const opaque = parseOpaqueData(reader.take(opaqueLength), opaqueOffset);
  const signed = concatBytes(bytes.subarray(0, reader.offset));
  const signature = reader.take(SIGNATURE_BYTES);
  assertPadding(reader);
  return { requesterNonce, responderNonce, measurements, opaque, signed, signature };
}

function readRequest(reader: ReportReader): Uint8Array {
  const wanted = [SPDM_1_1, GET_MEASUREMENTS, SIGNATURE_REQUESTED, ALL_MEASUREMENTS];
  reader.expect(wanted, 'an SPDM 1.1 request for all measurements, signed');
  const nonce = reader.take(NONCE_BYTES);
  reader.expect([0], 'slot 0');
  return nonce;
}

function readMeasurements(reader: ReportReader): ReadonlyMap<number, Uint8Array> {
  const count = reader.takeNumber(1);
  const end = reader.takeNumber(3) + reader.offset;
  if (count === 0) throw reader.refuse('it has no measurements');
  const measurements = new Map<number, Uint8Array>();
  for (let block = 0; block < count; block++) {
    const index = reader.takeNumber(1);
    if (index === 0 || measurements.has(index - 1)) throw reader.refuse(`index ${index} is zero or there twice`);
    measurements.set(index - 1, readBlock(reader));
  }
  if (reader.offset !== end) throw reader.refuse(`the measurements end here and not at byte ${end}`);
  return measurements;
}

function readBlock(reader: ReportReader): Uint8Array {
  reader.expect([DMTF], 'a measurement as DMTF has it');
  const size = reader.takeNumber(2);
  const type = reader.takeNumber(1);
  const valueSize = reader.takeNumber(2);
  if ((type & RAW_BIT_STREAM) !== 0 || valueSize !== MEASUREMENT_BYTES || size !== valueSize + VALUE_HEADER_BYTES) {
    throw reader.refuse('a measurement is no SHA-384 digest');
  }
  return reader.take(valueSize);
}

function assertPadding(reader: ReportReader): void {
  const padding = reader.takeRest();
  if (padding.length > MAX_PADDING_BYTES || padding.some((byte) => byte !== 0)) {
    throw reader.refuse(`${padding.length} bytes follow the signature`);
  }
}

/** Reads forward and never past the end. Numbers are little-endian. */
class ReportReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get offset(): number {
    return this.#offset;
  }

  take(length: number): Uint8Array {
    if (this.#bytes.length - this.#offset < length) throw this.refuse(`it is cut off: ${length} more bytes are needed`);
    const part = this.#bytes.slice(this.#offset, this.#offset + length);
    this.#offset += length;
    return part;
  }

  takeRest(): Uint8Array {
    return this.take(this.#bytes.length - this.#offset);
  }

  takeNumber(length: number): number {
    return this.take(length).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  expect(wanted: readonly number[], what: string): void {
    const offset = this.#offset;
    const found = this.take(wanted.length);
    if (found.some((byte, index) => byte !== wanted[index])) throw this.#malformed(offset, `it is not ${what}`);
  }

  refuse(reason: string): TeeError {
    return this.#malformed(this.#offset, reason);
  }

  #malformed(offset: number, reason: string): TeeError {
    return new TeeError({ code: 'TEE_MALFORMED', what: 'the report', offset, reason });
  }
}
