import { TeeError } from '../errors.ts';

/**
 * What NVIDIA puts into the opaque data of a measurement response: records of u16 type, u16 size and value,
 * little-endian. The numbers are those of NVIDIA's attestation SDK (gpu_opaque_data_parser.hpp and
 * switch_opaque_data_parser.hpp); 22 and 26 mean other things on a GPU and on a switch.
 */
export const OPAQUE_TYPE = {
  driverVersion: 3,
  vbiosVersion: 6,
  nvdec0Status: 11,
  chipSku: 15,
  project: 17,
  projectSku: 18,
  firmwareId: 20,
  protectedPcie: 21,
  opaqueVersion: 34,
  chipInfo: 35,
  featureFlag: 36,
} as const;

export type OpaqueData = ReadonlyMap<number, Uint8Array>;

const HEADER_BYTES = 4;
const MAX_TYPE = 36;

/** `baseOffset` is where these bytes lie in the report: for the error. A type that is unknown or comes twice is refused. */
export function parseOpaqueData(bytes: Uint8Array, baseOffset: number): OpaqueData {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = new Map<number, Uint8Array>();
  let offset = 0;
  while (offset < bytes.length) {
    const refuse = (reason: string): TeeError =>
      new TeeError({ code: 'TEE_MALFORMED', what: 'the opaque data', offset: baseOffset + offset, reason });
    if (bytes.length - offset < HEADER_BYTES) throw refuse('the header of a record is cut off');
    const type = view.getUint16(offset, true);
    const end = offset + HEADER_BYTES + view.getUint16(offset + 2, true);
    if (end > bytes.length) throw refuse('a record is cut off');
    if (type === 0 || type > MAX_TYPE) throw refuse(`record type ${type} is not known`);
    if (fields.has(type)) throw refuse(`record type ${type} is there twice`);
    fields.set(type, bytes.subarray(offset + HEADER_BYTES, end));
    offset = end;
  }
  return fields;
}

const PRINTABLE = /^[\x20-\x7e]*$/;

/** Text that may end in zero bytes; undefined if the record is absent. */
export function readOpaqueText(fields: OpaqueData, type: number): string | undefined {
  const bytes = fields.get(type);
  if (bytes === undefined) return undefined;
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte))
    .join('')
    .replace(/\0+$/, '');
  if (!PRINTABLE.test(text)) throw refuseValue(type, 'it is no printable text');
  return text;
}

/** A little-endian number of at most four bytes; undefined if the record is absent. */
export function readOpaqueNumber(fields: OpaqueData, type: number): number | undefined {
  const bytes = fields.get(type);
  if (bytes === undefined) return undefined;
  if (bytes.length === 0 || bytes.length > 4) throw refuseValue(type, `it has ${bytes.length} bytes`);
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

export function refuseValue(type: number, reason: string): TeeError {
  return new TeeError({ code: 'TEE_MALFORMED', what: `record ${type} of the opaque data`, offset: 0, reason });
}
