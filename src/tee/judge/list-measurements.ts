import type { EvidenceJudgement } from '../../bundle/interface.ts';
import type { TeeKind } from '../../domain/capability.ts';
import type { QuoteClaims } from '../dcap/interface.ts';
import type { SevSnpClaims } from '../sev-snp/interface.ts';
import type { SimulatedClaims } from '../simulated/verify-simulated.ts';

type Measurements = EvidenceJudgement['measurements'];

/** Which code the claims of a kind name, the launch first. The casts: the verifier of a kind gives claims of that kind. */
export function listMeasurements(kind: TeeKind, claims: object): Measurements {
  switch (kind) {
    case 'sev-snp':
      return [{ name: 'measurement', value: (claims as SevSnpClaims).measurement }];
    case 'simulated':
      return [{ name: 'measurement', value: (claims as SimulatedClaims).measurement }];
    case 'tdx':
    case 'sgx':
      return listOfQuote(claims as QuoteClaims);
    default:
      return kind satisfies never;
  }
}

function listOfQuote({ body }: QuoteClaims): Measurements {
  if (body.kind === 'sgx') return [{ name: 'MRENCLAVE', value: body.mrEnclave }];
  const registers = [body.rtmr0, body.rtmr1, body.rtmr2, body.rtmr3];
  return [{ name: 'MRTD', value: body.mrTd }, ...registers.map((value, index) => ({ name: `RTMR${index}`, value }))];
}
