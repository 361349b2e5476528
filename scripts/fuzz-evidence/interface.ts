import type { EvidenceCrypto, EvidenceVerification } from '../../src/tee/interface.ts';

/** One piece of genuine evidence and how it is judged. */
export interface FuzzTarget {
  readonly name: string;
  readonly evidence: Uint8Array;
  /** Bytes [start, end) that nobody signed and whose values may be anything. */
  readonly unsigned: readonly (readonly [number, number])[];
  /** From here on there is only padding: cut there, it is as good as whole. */
  readonly paddingFrom: number;
  verify(evidence: Uint8Array, crypto: EvidenceCrypto): Promise<EvidenceVerification<unknown>>;
}
