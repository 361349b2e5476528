/** Clocks of honest parties differ by at most this: ms (design section 12). */
export const CLOCK_SKEW_MS = 30_000;
/** Largest header of a bundle file: a CARv1 header with its one root has 58 or 59 bytes. */
export const MAX_CAR_HEADER_BYTES = 128;
/** Bytes of a blob that are held at once while it is hashed or copied. */
export const BLOB_PIECE_BYTES = 256 * 1024;
/** Largest in-toto file in bytes: 1024 subjects and the reports on 16 attempts stay far below. */
export const MAX_DSSE_BYTES = 4 * 1024 * 1024;
