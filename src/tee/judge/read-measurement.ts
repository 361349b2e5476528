import type { TeeKind } from '../../domain/capability.ts';
import type { QuoteClaims } from '../dcap/interface.ts';
import type { SevSnpClaims } from '../sev-snp/interface.ts';
import type { SimulatedClaims } from '../simulated/verify-simulated.ts';

/** Which code the claims of a kind name, hex. The casts: the verifier of a kind gives claims of that kind. */
export function readMeasurement(kind: TeeKind, claims: object | null): string | null {
  if (claims === null) return null;
  switch (kind) {
    case 'sev-snp':
      return (claims as SevSnpClaims).measurement;
    case 'simulated':
      return (claims as SimulatedClaims).measurement;
    case 'tdx':
    case 'sgx': {
      const { body } = claims as QuoteClaims;
      return body.kind === 'tdx' ? body.mrTd : body.mrEnclave;
    }
    default:
      return kind satisfies never;
  }
}
