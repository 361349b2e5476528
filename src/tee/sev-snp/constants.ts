/** SEV-SNP ABI (AMD 56860, revision 1.58), table 23: ATTESTATION_REPORT. The layout is that of versions 2, 3 and 5. */
export const REPORT_BYTES = 1184;

/** Bytes 0x000 to 0x29F are what the signature covers. */
export const SIGNED_BYTES = 0x2a0;

/** Version 3 added CPUID, version 5 the mitigation vectors. Others are refused: their reserved bytes are not known. */
export const REPORT_VERSIONS: readonly number[] = [2, 3, 5];

/** Table 139: ECDSA P-384 with SHA-384. The only one there is. */
export const ECDSA_P384_SHA384 = 1;

/** Table 141: r and s, each 72 bytes, little-endian; a P-384 number has 48. */
export const SCALAR_FIELD_BYTES = 72;
export const SCALAR_BYTES = 48;

/** VMPL of a report that the hypervisor asked for (SNP_HV_REPORT_REQ): no guest chose its report data. */
export const HOST_VMPL = 0xffff_ffff;
export const MAX_VMPL = 3;

/** A chip id of Turin has 8 bytes, others 64. */
export const CHIP_ID_BYTES = 64;
export const TURIN_CHIP_ID_BYTES = 8;

/** Extensions of VCEK and VLEK certificates (AMD 57230, revision 0.51, table 10). */
export const AMD_OIDS = {
  productName: '1.3.6.1.4.1.3704.1.2',
  securityPatchLevels: '1.3.6.1.4.1.3704.1.3',
  hardwareId: '1.3.6.1.4.1.3704.1.4',
  cloudProvider: '1.3.6.1.4.1.3704.1.5',
} as const;

/** Azure's paravisor wraps the report: header, report, header of the runtime data, runtime data, zeros. */
export const HCL_REPORT_OFFSET = 0x20;
export const HCL_RUNTIME_OFFSET = HCL_REPORT_OFFSET + REPORT_BYTES;
export const HCL_RUNTIME_HEADER_BYTES = 20;
export const HCL_MAX_BYTES = 64 * 1024;

/** Most certificates and lists that are looked at: nobody needs more than one of each. */
export const MAX_CERTIFICATES = 16;
export const MAX_REVOCATION_LISTS = 8;
