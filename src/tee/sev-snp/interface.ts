import type { EvidenceCrypto, EvidenceVerification } from '../interface.ts';
import type { SevSnpPolicy } from './policy.ts';
import type { Product } from './products.ts';
import type { SigningKey } from './report.ts';
import type { TcbVersion } from './tcb.ts';

export interface SevSnpRequest {
  /** A report of 1184 bytes, or Azure's HCL form of it. */
  readonly evidence: Uint8Array;
  /** DER. The VCEK or VLEK is found among them; AMD's own certificates are pinned, copies of them are passed over. */
  readonly certificates: readonly Uint8Array[];
  /** DER. Of AMD's root; without any, revocation is unchecked unless the policy accepts that. */
  readonly revocationLists?: readonly Uint8Array[];
  /** Not given: `measurement` is unchecked. 'none': left out, by the caller's own word; it accepts nothing unchecked. */
  readonly policy?: SevSnpPolicy | 'none';
  /** Expected, at most 64 bytes; shorter is padded with zeros. In Azure's form it is the runtime data's user-data. */
  readonly reportData?: Uint8Array;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

/** Bytes are hex. */
export interface SevSnpClaims {
  readonly version: number;
  /** Null if neither the certificate nor the processor tells. */
  readonly product: Product | null;
  readonly cpu: { readonly family: number; readonly model: number; readonly stepping: number } | null;
  readonly measurement: string;
  readonly reportData: string;
  readonly hostData: string;
  readonly guestSvn: number;
  readonly familyId: string;
  readonly imageId: string;
  readonly idKeyDigest: string;
  /** Null if no author key was used. */
  readonly authorKeyDigest: string | null;
  readonly reportId: string;
  readonly vmpl: number;
  readonly policy: {
    readonly bits: string;
    readonly abi: string;
    readonly debug: boolean;
    readonly migration: boolean;
    readonly smt: boolean;
    readonly singleSocket: boolean;
  };
  readonly platform: {
    readonly bits: string;
    readonly smt: boolean;
    readonly memoryEncryption: boolean;
    readonly ecc: boolean;
    readonly raplDisabled: boolean;
    readonly ciphertextHiding: boolean;
    readonly aliasChecked: boolean;
  };
  /** Null where a reserved byte is not zero or the product is unknown. What is certified is `reported`. */
  readonly tcb: {
    readonly reported: TcbVersion | null;
    readonly committed: TcbVersion | null;
    readonly current: TcbVersion | null;
    readonly launch: TcbVersion | null;
  };
  readonly signingKey: SigningKey;
  /** All zero if the platform masks it. */
  readonly chipId: string;
  /** Of a VLEK's certificate. */
  readonly cloudProvider: string | null;
  /** Whether a revocation list was given; what came of it is the check `revocation`. */
  readonly revocationJudged: boolean;
  readonly azure: {
    /** JSON text: keys of the vTPM, configuration of the guest. */
    readonly runtimeData: string;
    readonly userData: string | null;
  } | null;
}

export type SevSnpVerification = EvidenceVerification<SevSnpClaims>;
