/** Certificates of the vendors have 0.6 to 2 KiB. */
export const MAX_CERTIFICATE_BYTES = 16 * 1024;

/** Intel's largest list of today has 4 KiB; NVIDIA's and AMD's are smaller. */
export const MAX_REVOCATION_LIST_BYTES = 4 * 1024 * 1024;

/** Characters and blocks of one PEM text. */
export const MAX_PEM_BLOCKS = 16;
export const MAX_CERTIFICATES_PEM_LENGTH = 256 * 1024;
export const MAX_REVOCATION_LISTS_PEM_LENGTH = 6 * 1024 * 1024;

/** Certificates between leaf and root: NVIDIA has four. */
export const MAX_PATH_CERTIFICATES = 8;

/** Certificates and lists that a caller may give for one chain: issuers are searched among them. */
export const MAX_CANDIDATES = 16;

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  explicit0: 0xa0,
  explicit3: 0xa3,
} as const;

export const OID = {
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
} as const;
