import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { verifyVrf } from '../../../src/vrf/ecvrf.ts';
import {
  chooseNeighbours,
  computeRank,
  encodeSelectionInput,
  isRankWithinBound,
  rankCandidates,
  type SelectionPoint,
} from '../../../src/vrf/selection.ts';
import { createVrfPeer, NO_CAPS, type VrfPeer } from '../../support/vrf-fixtures.ts';

const SLOTS = 4;
const POINT: SelectionPoint = { network: 'lab', epoch: 500_000, beacon: sha256(encodeUtf8('beacon')) };
const peers = Array.from({ length: 24 }, (_, number) => createVrfPeer(number));
const [claimant, other] = peers;
if (claimant === undefined || other === undefined) throw new TypeError('there are peers');

interface Claim {
  readonly vrfPublicKey: Uint8Array;
  readonly proof: Uint8Array;
}

const claim = ({ vrfPublicKey, prove }: VrfPeer, point: SelectionPoint = POINT): Claim => {
  return { vrfPublicKey, proof: prove(encodeSelectionInput(point)) };
};

/** The output of a claim of POINT; null if it is refused. */
function open({ vrfPublicKey, proof }: Claim): Uint8Array | null {
  const verdict = verifyVrf(vrfPublicKey, encodeSelectionInput(POINT), proof);
  return verdict.kind === 'valid' ? verdict.output : null;
}

function choose(by: VrfPeer): readonly string[] {
  const output = open(claim(by));
  if (output === null) throw new TypeError('a proof of its own must hold');
  const others = peers.filter(({ peer }) => peer !== by.peer);
  const ranked = rankCandidates(output, others);
  return chooseNeighbours({ ranked, slots: SLOTS, held: [], caps: NO_CAPS }).map(({ peer }) => peer);
}

describe('a claim with real keys', () => {
  const chosen = choose(claimant);
  const shown = claim(claimant);

  it('is accepted by those that were drawn, and by no more than the bound leaves room for', () => {
    const output = open(shown) ?? new Uint8Array();
    const bound = { slots: SLOTS, slack: 3, networkSize: peers.length };
    const accepting = peers.filter(({ peer, peerBytes }) => {
      return peer !== claimant.peer && isRankWithinBound(computeRank(output, peerBytes), bound);
    });
    expect(chosen).toHaveLength(SLOTS);
    expect(accepting.map(({ peer }) => peer)).toEqual(expect.arrayContaining([...chosen]));
    // 23 peers, each within 12/24 of all ranks.
    expect(accepting.length).toBeGreaterThan(SLOTS);
    expect(accepting.length).toBeLessThan(20);
  });

  it('is drawn anew for each peer', () => {
    expect(choose(other)).not.toEqual(chosen);
  });

  it.each([
    ['epoch', { epoch: POINT.epoch - 1 }],
    ['beacon', { beacon: sha256(encodeUtf8('a later beacon')) }],
    ['network', { network: 'la' }],
  ])('of another %s is refused', (_name, change) => {
    expect(open(claim(claimant, { ...POINT, ...change }))).toBeNull();
  });

  it('with the proof of another is refused', () => {
    expect(open({ vrfPublicKey: claimant.vrfPublicKey, proof: claim(other).proof })).toBeNull();
  });
});
