import { satisfiesIsolation } from '../../domain/capability.ts';
import { areGpusWanted } from '../../domain/gpu.ts';
import type { ObjectId, PeerKey } from '../../domain/ids.ts';
import { type JobTerms, OFFER, type Offer } from '../../domain/offer.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { encodeCanonical } from '../../lib/canonical-cbor.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import { type Checked, checkOpened, checkRules } from './checked.ts';

export interface OfferExpectation {
  readonly network: string;
  readonly requester: PeerKey;
  readonly provider: PeerKey;
  readonly subject: ObjectId;
  readonly terms: JobTerms;
  readonly attempts: number;
  readonly nowMs: number;
}

/** An offer must be signed by the peer that was asked, and say exactly what it was asked for. */
export async function verifyOffer(wire: SignedWire, expected: OfferExpectation): Promise<Checked<Signed<Offer>>> {
  const opened = await checkOpened('BAD_OFFER', () => openSigned(OFFER, wire, expected.provider));
  if (opened.kind === 'invalid') return opened;
  const { value: offer } = opened.value;
  const { terms } = expected;
  return checkRules('BAD_OFFER', opened.value, [
    [offer.network === expected.network, `it is for network '${offer.network}'`],
    [offer.provider === expected.provider, 'it names another provider'],
    [offer.requester === expected.requester, 'it names another requester'],
    [offer.subject === expected.subject, 'it is for another job'],
    [areBytesEqual(encodeCanonical(offer.terms), encodeCanonical(terms)), 'its terms are not those asked for'],
    [offer.attempts === expected.attempts, `it covers ${offer.attempts} attempts, not ${expected.attempts}`],
    [BigInt(offer.price) <= BigInt(terms.priceCeiling), `its price ${offer.price} is above ${terms.priceCeiling}`],
    [satisfiesIsolation(offer.isolation, terms.isolation), `its isolation ${offer.isolation} is too weak`],
    [areGpusWanted(terms.resources.gpus, offer.gpus), 'its GPUs are not those asked for'],
    [isEvidenceAsked(offer.evidence, terms), `it would show evidence of ${offer.evidence ?? 'nothing'}`],
    [offer.expiresAtMs > expected.nowMs, 'it has expired already'],
    [expected.nowMs + (offer.startsWithinMs ?? 0) < terms.deadlineMs, 'it would start after the deadline of the job'],
  ]);
}

/** Of a confidential job the offer names one of the kinds that were asked for; of others none. */
function isEvidenceAsked(evidence: Offer['evidence'], { confidential }: JobTerms): boolean {
  return confidential === undefined
    ? evidence === undefined
    : evidence !== undefined && confidential.kinds.includes(evidence);
}
