/** Intel's extension of PCK certificates (SGX PCK Certificate and CRL Profile Specification, section 1.3.5). */
import { encodeHex } from '../../../lib/bytes.ts';
import { TeeError } from '../../errors.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { TAG } from '../../x509/constants.ts';
import { type DerElement, DerReader, readObjectIdentifier, readSmallInteger } from '../../x509/der.ts';
import { SVN_COMPONENTS } from '../constants.ts';

/** What Intel certifies of the platform whose PCK it is. */
export interface PlatformTcb {
  /** 6 bytes, hex: family, model, stepping and what else tells platforms apart. */
  readonly fmspc: string;
  readonly pceId: string;
  /** 16 numbers. */
  readonly components: readonly number[];
  readonly pceSvn: number;
}

const WHAT = "the PCK certificate's SGX extension";
const SGX = '1.2.840.113741.1.13.1';
const TCB = `${SGX}.2`;

/** @throws TeeError TEE_MALFORMED */
export function parsePckExtension(certificate: Certificate): PlatformTcb {
  const extension = certificate.findExtension(SGX);
  if (extension === undefined)
    throw new TeeError({ code: 'TEE_MALFORMED', what: WHAT, offset: 0, reason: 'there is none' });
  const reader = new DerReader(WHAT, extension.value);
  const fields = readFields(reader, reader);
  const tcb = readFields(reader, open(get(fields, TCB, reader)));
  return {
    fmspc: readHex(get(fields, `${SGX}.4`, reader), 6),
    pceId: readHex(get(fields, `${SGX}.3`, reader), 2),
    components: Array.from({ length: SVN_COMPONENTS }, (_, index) =>
      readSvn(get(tcb, `${TCB}.${index + 1}`, reader), 0xff),
    ),
    pceSvn: readSvn(get(tcb, `${TCB}.17`, reader), 0xffff),
  };
}

type Fields = ReadonlyMap<string, DerElement>;

/** SEQUENCE OF SEQUENCE { id, value }: each id once. */
function readFields(root: DerReader, reader: DerReader): Fields {
  const fields = new Map<string, DerElement>();
  const list = reader.enter(TAG.sequence);
  reader.assertEnd();
  while (!list.isAtEnd) {
    const entry = list.enter(TAG.sequence);
    const id = readObjectIdentifier(entry);
    const value = entry.readAny();
    entry.assertEnd();
    if (fields.has(id)) root.fail(`${id} comes twice`);
    fields.set(id, value);
  }
  return fields;
}

function get(fields: Fields, id: string, root: DerReader): DerElement {
  return fields.get(id) ?? root.fail(`${id} is missing`);
}

function open(element: DerElement): DerReader {
  return new DerReader(WHAT, element.whole, element.offset);
}

function readHex(element: DerElement, length: number): string {
  const reader = open(element);
  const { content } = reader.read(TAG.octetString);
  if (content.length !== length) reader.fail(`${content.length} bytes where ${length} are expected`, element.offset);
  return encodeHex(content);
}

function readSvn(element: DerElement, max: number): number {
  const reader = open(element);
  const svn = readSmallInteger(reader);
  return svn <= max ? svn : reader.fail(`a security version of ${svn}`, element.offset);
}
