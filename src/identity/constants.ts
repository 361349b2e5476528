/** Bytes of an Ed25519 seed (RFC 8032 section 5.1.5). */
export const SEED_BYTES = 32;

/** HKDF info of the VRF key: separates it from every other key of the same seed. Part of the identity: never changed. */
export const VRF_KEY_INFO = 'fogproof/vrf@1';

/** HKDF info of the Solana wallet. Part of the identity: never changed, or what the wallet holds is lost. */
export const WALLET_KEY_INFO = 'fogproof/solana-wallet@1';

/**
 * log2 of the scrypt cost of the keystore: 64 MiB of memory. Measured on a 2-core virtual machine with Node's scrypt:
 * 2^15 140 ms, 2^16 230 ms, 2^17 620 ms, 2^18 980 ms. It is paid at every start, beside opening the database, and the
 * daemon is to be ready in 0.8 s (design section 11).
 */
export const KEYSTORE_SCRYPT_LOG_N = 16;

/** log2 of the scrypt cost of a backup, which is opened once in years: 256 MiB, the default of age. */
export const BACKUP_SCRYPT_LOG_N = 18;

/** log2 of the largest scrypt cost accepted when opening: 1 GiB of memory; the limit of age's own TypeScript library. */
export const MAX_SCRYPT_LOG_N = 20;

/** Largest keystore or backup file read, in bytes; ours have less than 1 KiB. */
export const MAX_KEY_FILE_BYTES = 64 * 1024;

/** Largest passphrase file read, in bytes. */
export const MAX_PASSPHRASE_BYTES = 4096;

/** Shortest passphrase accepted for a new keystore or backup, in characters (NIST SP 800-63B section 3.1.1.2). */
export const MIN_PASSPHRASE_LENGTH = 8;

/** HKDF `info` of the key that wraps the keys of private blobs, and its length. */
export const STORE_KEY_INFO = 'fogproof/blob-store@1';
export const STORE_KEY_BYTES = 32;
