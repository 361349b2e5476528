/** Bytes of the largest report that is read; those recorded have 2 to 4.3 KiB. */
export const MAX_REPORT_BYTES = 64 * 1024;
/** Of a RIM's signer; those recorded have four. */
export const MAX_SIGNER_CERTIFICATES = 8;
/** Bytes of the largest RIM; those recorded have 18 to 26 KiB. */
export const MAX_RIM_BYTES = 512 * 1024;
/** One of the driver, one of the VBIOS. */
export const MAX_RIMS = 2;
/** A RIM has five levels of elements; more are refused. */
export const MAX_XML_DEPTH = 16;
/** A RIM has about 100 elements of at most 14 attributes: bounds what canonicalisation costs. */
export const MAX_XML_ELEMENTS = 2048;
export const MAX_XML_ATTRIBUTES = 64;
/** Alternatives of one golden value; those recorded have at most four. */
export const MAX_ALTERNATIVES = 32;

/** Of the requester's nonce and of the responder's (DSP0274 1.1, section 10.11). */
export const NONCE_BYTES = 32;
/** ECDSA P-384, r || s, big-endian. */
export const SIGNATURE_BYTES = 96;
/** SHA-384. */
export const MEASUREMENT_BYTES = 48;
/** One recorded report ends in one zero byte that nothing signs; no more than that is accepted, and only zero. */
export const MAX_PADDING_BYTES = 1;

/** Index, counted from 0, of the measurement of NVDEC0's firmware: meaningless on a GPU that has NVDEC0 off. */
export const NVDEC0_MEASUREMENT_INDEX = 35;

/** Layout of the opaque data that is understood; NVIDIA's verifier refuses newer ones too. */
export const MAX_OPAQUE_VERSION = 1;

/** TCG DICE: CompositeDeviceID, as Hopper and LS10 have it, and DiceTcbInfo, as Blackwell has it. */
export const OID_COMPOSITE_DEVICE_ID = '2.23.133.5.4.1';
export const OID_DICE_TCB_INFO = '2.23.133.5.4.1.1';
export const OID_SHA384 = '2.16.840.1.101.3.4.2.2';
