import type { EvidenceCrypto, EvidenceVerification } from '../interface.ts';
import type { NvidiaPolicy } from './policy.ts';

/** NVSwitch reports have the form of a GPU's; the default policy refuses them. */
export type NvidiaDeviceType = 'gpu' | 'switch';

/** How GPUs are passed through: to one machine several (mpt) or one (spt), or with NVLink and PCIe protected (ppcie). */
export type NvidiaMode = 'mpt' | 'spt' | 'ppcie';

export interface NvidiaEvidence {
  /** SPDM request and response as NVML and NVIDIA's CLI give them. */
  readonly report: Uint8Array;
  /** PEM, the signing certificate first. A root among them counts for nothing. */
  readonly certificates: string;
  /** XML of the reference manifests of the driver and the VBIOS; the same for a switch without a driver. */
  readonly rims: readonly Uint8Array[];
}

export interface NvidiaVerificationRequest extends NvidiaEvidence {
  /** 32 bytes that the report has to answer. Not given: `nonce` is unchecked. */
  readonly nonce?: Uint8Array;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
  /** Not given: the check `policy` is unchecked. none: said explicitly, the check is left out. */
  readonly policy?: NvidiaPolicy | 'none';
}

/** Everything but `chip`, `model` and `deviceId` is what the device says of itself, signed by it. */
export interface NvidiaClaims {
  readonly deviceType: NvidiaDeviceType;
  /** From the certificate chain: `GH100`, `GB100`, `LS_10`. */
  readonly chip: string;
  /** Common name of the certificate of the chip's boot ROM. */
  readonly model: string;
  /** Serial number of the signing certificate, hex. */
  readonly deviceId: string;
  /** Null for a switch. */
  readonly driverVersion: string | null;
  readonly vbiosVersion: string;
  /** Names NVIDIA's manifest of the VBIOS; null for a switch. */
  readonly board: { readonly project: string; readonly projectSku: string; readonly chipSku: string } | null;
  /** Of a Blackwell GPU that states it: part of the name of the manifest of its driver. */
  readonly chipInfo: string | null;
  readonly mode: NvidiaMode | null;
  /** SHA-384 of the boot firmware, hex; null from drivers before 550. */
  readonly firmwareId: string | null;
  readonly isNvdec0Enabled: boolean | null;
  readonly nonce: string;
  /** Hex by index, counted from 0. */
  readonly measurements: Readonly<Record<number, string>>;
}

export type NvidiaVerification = EvidenceVerification<NvidiaClaims>;
