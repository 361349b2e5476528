import { TeeError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { TAG } from '../x509/constants.ts';
import { DerReader, readObjectIdentifier, readSmallInteger } from '../x509/der.ts';
import { MEASUREMENT_BYTES, OID_COMPOSITE_DEVICE_ID, OID_DICE_TCB_INFO, OID_SHA384 } from './constants.ts';

/** [6] of DiceTcbInfo: the list of firmware ids. */
const TAG_FIRMWARE_IDS = 0xa6;

/**
 * SHA-384 of the firmware whose key the certificate certifies (TCG DICE Attestation Architecture, section 6.1);
 * undefined if the certificate states none. The first of several counts, as for NVIDIA's verifier.
 * @throws TeeError TEE_MALFORMED
 */
export function readFirmwareId(certificate: Certificate): Uint8Array | undefined {
  const tcbInfo = certificate.findExtension(OID_DICE_TCB_INFO);
  if (tcbInfo !== undefined) return readTcbInfo(tcbInfo.value);
  const composite = certificate.findExtension(OID_COMPOSITE_DEVICE_ID);
  return composite === undefined ? undefined : readCompositeDeviceId(composite.value);
}

/** SEQUENCE { version, deviceID SubjectPublicKeyInfo, fwid SEQUENCE { hashAlg, digest } } */
function readCompositeDeviceId(value: Uint8Array): Uint8Array {
  const outer = new DerReader('the composite device id', value);
  const reader = outer.enter(TAG.sequence);
  outer.assertEnd();
  if (readSmallInteger(reader) !== 1) reader.fail('only version 1 is known here');
  reader.read(TAG.sequence);
  const digest = readDigest(reader.enter(TAG.sequence));
  reader.assertEnd();
  return digest;
}

function readTcbInfo(value: Uint8Array): Uint8Array {
  const outer = new DerReader('the DICE TCB info', value);
  const reader = outer.enter(TAG.sequence);
  outer.assertEnd();
  while (!reader.isAtEnd) {
    const field = reader.readAny();
    if (field.tag === TAG_FIRMWARE_IDS) return readDigest(reader.open(field).enter(TAG.sequence));
  }
  throw new TeeError({ code: 'TEE_MALFORMED', what: 'the DICE TCB info', offset: 0, reason: 'it has no firmware id' });
}

function readDigest(reader: DerReader): Uint8Array {
  if (readObjectIdentifier(reader) !== OID_SHA384) reader.fail('a firmware id that is no SHA-384 digest');
  const { content } = reader.read(TAG.octetString);
  reader.assertEnd();
  if (content.length !== MEASUREMENT_BYTES) reader.fail(`a firmware id of ${content.length} bytes`);
  return content;
}
