import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHex, encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { OID_COMPOSITE_DEVICE_ID, OID_DICE_TCB_INFO } from '../../../../src/tee/nvidia/constants.ts';
import { readDeviceClaims } from '../../../../src/tee/nvidia/device-claims.ts';
import { readFirmwareId } from '../../../../src/tee/nvidia/firmware-id.ts';
import { parseMeasurementReport } from '../../../../src/tee/nvidia/measurement-report.ts';
import { OPAQUE_TYPE } from '../../../../src/tee/nvidia/opaque-data.ts';
import { type Certificate, parseCertificate } from '../../../../src/tee/x509/certificate.ts';
import { splitPem } from '../../../../src/tee/x509/pem.ts';
import { readNvidiaFile, readNvidiaText } from '../../../support/nvidia-vectors.ts';

function readLeaf(stem: string): Certificate {
  const [der = new Uint8Array()] = splitPem(readNvidiaText(`${stem}.chain.pem`), 'CERTIFICATE');
  return parseCertificate(der);
}

const REPORT = parseMeasurementReport(readNvidiaFile('hopper-evidence-0.report.bin'));
const LEAF = readLeaf('hopper-evidence-0');

function readWith(type: number, value: Uint8Array | undefined) {
  const opaque = new Map(REPORT.opaque);
  opaque.delete(type);
  if (value !== undefined) opaque.set(type, value);
  return readDeviceClaims({ ...REPORT, opaque }, LEAF);
}

describe('what a GPU says of itself', () => {
  it.each([
    ['without a driver', OPAQUE_TYPE.driverVersion, undefined],
    ['with an empty driver', OPAQUE_TYPE.driverVersion, new Uint8Array(4)],
    ['with a driver that is no text', OPAQUE_TYPE.driverVersion, new Uint8Array([1, 2])],
    ['without a VBIOS', OPAQUE_TYPE.vbiosVersion, undefined],
    ['with a VBIOS of another form', OPAQUE_TYPE.vbiosVersion, encodeUtf8('96.00.9F.00.01')],
    ['with more in its VBIOS version', OPAQUE_TYPE.vbiosVersion, new Uint8Array([0, 0, 0, 0x96, 1, 1, 0, 0])],
    ['without a board', OPAQUE_TYPE.project, undefined],
    ['with a newer layout', OPAQUE_TYPE.opaqueVersion, new Uint8Array([2, 0])],
    ['with a layout of many bytes', OPAQUE_TYPE.opaqueVersion, new Uint8Array(5)],
    ['with a mode that is not known', OPAQUE_TYPE.featureFlag, new Uint8Array([3, 0])],
    ['without a state of NVDEC0', OPAQUE_TYPE.nvdec0Status, undefined],
    ['with a state of NVDEC0 that is neither', OPAQUE_TYPE.nvdec0Status, new Uint8Array([0])],
  ])('%s is refused', (_, type, value) => {
    expect(() => readWith(type, value)).toThrow(TeeError);
  });

  it('is read where a record may be absent', () => {
    expect(readWith(OPAQUE_TYPE.featureFlag, undefined).mode).toBeNull();
    expect(readWith(OPAQUE_TYPE.firmwareId, undefined).firmwareId).toBeNull();
    expect(readWith(OPAQUE_TYPE.nvdec0Status, new Uint8Array([0xaa])).isNvdec0Enabled).toBe(true);
    expect(readWith(OPAQUE_TYPE.chipInfo, encodeUtf8('GB102\0')).chipInfo).toBe('GB102');
  });

  it('is refused of a chip that is not known', () => {
    for (const issuerText of ['CN=GH999 A01 GSP BROM', 'O=GH100', 'CN=constructor', '']) {
      expect(() => readDeviceClaims(REPORT, { ...LEAF, issuerText })).toThrow(/no chip that is known/);
    }
  });
});

describe('the firmware id of a certificate', () => {
  it('is read in both forms of DICE', () => {
    const expected = { 'hopper-evidence-0': '956ecf09ee4191f1', 'blackwell-sample': 'd090cab1b6e6ffdd' };
    for (const [stem, start] of Object.entries(expected)) {
      const digest = readFirmwareId(readLeaf(stem)) ?? new Uint8Array();
      expect(digest).toHaveLength(48);
      expect(encodeHex(digest.subarray(0, 8))).toBe(start);
    }
  });

  it('is undefined where there is none', () => {
    expect(readFirmwareId({ ...LEAF, findExtension: () => undefined })).toBeUndefined();
  });

  it('in an extension that is cut off, changed or garbage is refused with a code or read', () => {
    for (const [stem, oid] of [
      ['hopper-evidence-0', OID_COMPOSITE_DEVICE_ID],
      ['blackwell-sample', OID_DICE_TCB_INFO],
    ] as const) {
      const whole = readLeaf(stem).findExtension(oid)?.value ?? new Uint8Array();
      const read = (value: Uint8Array) =>
        readFirmwareId({ ...LEAF, findExtension: (id) => (id === oid ? { critical: false, value } : undefined) });
      for (let length = 0; length < whole.length; length++) {
        expect(() => read(whole.subarray(0, length))).toThrow(TeeError);
      }
      fc.assert(
        fc.property(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }), (index, byte) => {
          try {
            expect(read(whole.with(index, byte))).toHaveLength(48);
          } catch (error) {
            if (!(error instanceof TeeError)) throw error;
          }
        }),
        { numRuns: 100 },
      );
    }
  });
});
