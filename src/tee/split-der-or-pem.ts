import { TAG } from './x509/constants.ts';
import { type PemLabel, splitPem } from './x509/pem.ts';

/** One block for a file of DER, each block for one of PEM. @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function splitDerOrPem(file: Uint8Array, label: PemLabel): Uint8Array[] {
  // A SEQUENCE begins with `0`, PEM with `-` or an empty line.
  if (file[0] === TAG.sequence) return [file];
  return splitPem(readPemText(file), label);
}

/** Bytes that are no ASCII become characters that no PEM has. */
export function readPemText(file: Uint8Array): string {
  return new TextDecoder('latin1').decode(file);
}
