import { encodeHex } from '../../lib/bytes.ts';
import { TeeError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { formatSerial } from '../x509/der.ts';
import { MAX_OPAQUE_VERSION } from './constants.ts';
import type { NvidiaClaims, NvidiaDeviceType, NvidiaMode } from './interface.ts';
import type { MeasurementReport } from './measurement-report.ts';
import { OPAQUE_TYPE, type OpaqueData, readOpaqueNumber, readOpaqueText, refuseValue } from './opaque-data.ts';

/** First word of the boot ROM's common name. What is not here is refused: its records may mean something else. */
const CHIPS: Readonly<Record<string, NvidiaDeviceType>> = { GH100: 'gpu', GB100: 'gpu', LS_10: 'switch' };

const COMMON_NAME = /(?:^|, )CN=([^,=]+)(?:,|$)/;
const ENABLED = 0xaa;
const DISABLED = 0x55;
const MODES: readonly NvidiaMode[] = ['mpt', 'spt', 'ppcie'];

/** @throws TeeError TEE_MALFORMED */
export function readDeviceClaims(report: MeasurementReport, leaf: Certificate): NvidiaClaims {
  const { opaque } = report;
  const version = readOpaqueNumber(opaque, OPAQUE_TYPE.opaqueVersion) ?? 0;
  if (version > MAX_OPAQUE_VERSION) throw refuseValue(OPAQUE_TYPE.opaqueVersion, `version ${version} is not known`);
  const device = readDevice(leaf);
  const measurements = [...report.measurements].map(([index, digest]) => [index, encodeHex(digest)] as const);
  const firmwareId = opaque.get(OPAQUE_TYPE.firmwareId);
  return {
    ...device,
    deviceId: formatSerial(leaf.serialNumber),
    ...(device.deviceType === 'gpu' ? readGpuClaims(opaque) : readSwitchClaims(opaque)),
    firmwareId: firmwareId === undefined ? null : encodeHex(firmwareId),
    nonce: encodeHex(report.requesterNonce),
    measurements: Object.fromEntries(measurements),
  };
}

/** The boot ROM's certificate issued the leaf, so its name is in the leaf, and the chain proves it. */
function readDevice({ issuerText }: Certificate): Pick<NvidiaClaims, 'deviceType' | 'chip' | 'model'> {
  const model = COMMON_NAME.exec(issuerText)?.[1] ?? '';
  const chip = model.split(' ')[0] ?? '';
  const deviceType = Object.hasOwn(CHIPS, chip) ? CHIPS[chip] : undefined;
  if (deviceType === undefined) {
    const reason = `its issuer ${issuerText} names no chip that is known here`;
    throw new TeeError({ code: 'TEE_MALFORMED', what: 'the signing certificate', offset: 0, reason });
  }
  return { deviceType, chip, model };
}

type DeviceClaims = Pick<
  NvidiaClaims,
  'driverVersion' | 'vbiosVersion' | 'board' | 'chipInfo' | 'mode' | 'isNvdec0Enabled'
>;

function readGpuClaims(opaque: OpaqueData): DeviceClaims {
  return {
    driverVersion: requireText(opaque, OPAQUE_TYPE.driverVersion),
    vbiosVersion: readGpuVbiosVersion(opaque),
    board: {
      project: requireText(opaque, OPAQUE_TYPE.project),
      projectSku: requireText(opaque, OPAQUE_TYPE.projectSku),
      chipSku: requireText(opaque, OPAQUE_TYPE.chipSku),
    },
    chipInfo: readOpaqueText(opaque, OPAQUE_TYPE.chipInfo) ?? null,
    mode: readMode(opaque),
    isNvdec0Enabled: readNvdec0Status(opaque),
  };
}

function readSwitchClaims(opaque: OpaqueData): DeviceClaims {
  const vbiosVersion = requireText(opaque, OPAQUE_TYPE.vbiosVersion);
  return { driverVersion: null, vbiosVersion, board: null, chipInfo: null, mode: null, isNvdec0Enabled: null };
}

function requireText(opaque: OpaqueData, type: number): string {
  const text = readOpaqueText(opaque, type);
  if (text === undefined || text === '') throw refuseValue(type, 'it is missing');
  return text;
}

/** Two little-endian words: the version proper, and one byte of the OEM's. `00 9f 00 96 01 00 00 00` is 96.00.9F.00.01. */
function readGpuVbiosVersion(opaque: OpaqueData): string {
  const bytes = opaque.get(OPAQUE_TYPE.vbiosVersion);
  if (bytes?.length !== 8 || bytes.subarray(5).some((byte) => byte !== 0)) {
    throw refuseValue(OPAQUE_TYPE.vbiosVersion, 'it is no VBIOS version');
  }
  return [3, 2, 1, 0, 4].map((index) => encodeHex(bytes.subarray(index, index + 1)).toUpperCase()).join('.');
}

function readMode(opaque: OpaqueData): NvidiaMode | null {
  const flag = readOpaqueNumber(opaque, OPAQUE_TYPE.featureFlag);
  if (flag === undefined) return null;
  return MODES[flag] ?? refuse(OPAQUE_TYPE.featureFlag, `mode ${flag} is not known`);
}

function readNvdec0Status(opaque: OpaqueData): boolean {
  const status = readOpaqueNumber(opaque, OPAQUE_TYPE.nvdec0Status);
  if (status !== ENABLED && status !== DISABLED) {
    return refuse(OPAQUE_TYPE.nvdec0Status, 'it is neither enabled nor disabled');
  }
  return status === ENABLED;
}

function refuse(type: number, reason: string): never {
  throw refuseValue(type, reason);
}
