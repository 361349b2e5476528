import { hash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import type { PeerKey } from '../src/domain/ids.ts';
import { encodeU64, encodeUtf8 } from '../src/lib/bytes.ts';
import { sha256 } from '../src/lib/cid.ts';
import { proveVrf, verifyVrf } from '../src/vrf/ecvrf.ts';
import { encodeSelectionInput, rankCandidates, rankLowest } from '../src/vrf/selection.ts';
import { atMost, type BenchRow, percentile } from './rows.ts';

const SAMPLES = 200;
const WARM_UP = 40;
/** Of the simulation that the design, section 11, speaks of. */
const CANDIDATES = 10_000;
/** Ranks that a node keeps of them. */
const KEPT = 64;
const RANKINGS = 25;

/** Medians of tasks that take turns, so that whatever else the machine does meets all of them alike. */
function measureMs<Name extends string>(tasks: Readonly<Record<Name, (sample: number) => void>>, samples: number) {
  const taken = new Map<string, number[]>();
  for (let sample = -WARM_UP; sample < samples; sample++) {
    for (const [name, task] of Object.entries<(sample: number) => void>(tasks)) {
      const startMs = performance.now();
      task(sample + WARM_UP);
      if (sample >= 0) taken.set(name, [...(taken.get(name) ?? []), performance.now() - startMs]);
    }
  }
  return (name: Name): number => percentile(taken.get(name) ?? [], 0.5);
}

function measureProofs(): readonly BenchRow[] {
  const secretKey = sha256(encodeUtf8('a key'));
  const publicKey = ed25519.getPublicKey(secretKey);
  const inputs = Array.from({ length: SAMPLES + WARM_UP }, (_, index) => {
    return encodeSelectionInput({ network: 'bench', epoch: index, beacon: sha256(encodeU64(index)) });
  });
  const proofs = inputs.map((input) => proveVrf(secretKey, input));
  const signatures = inputs.map((input) => ed25519.sign(input, secretKey));
  const at = (list: readonly Uint8Array[], index: number): Uint8Array => list[index] ?? new Uint8Array();
  const ms = measureMs(
    {
      prove: (sample) => proveVrf(secretKey, at(inputs, sample)),
      verify: (sample) => {
        const verdict = verifyVrf(publicKey, at(inputs, sample), at(proofs, sample));
        if (verdict.kind !== 'valid') throw new TypeError('a proof of this key must hold');
      },
      sign: (sample) => ed25519.sign(at(inputs, sample), secretKey),
      check: (sample) => {
        const isValid = ed25519.verify(at(signatures, sample), at(inputs, sample), publicKey);
        if (!isValid) throw new TypeError('a signature of this key must hold');
      },
    },
    SAMPLES,
  );
  const signing = { name: "sign, the same library's Ed25519", value: ms('sign') };
  const checking = { name: "verify, the same library's Ed25519", value: ms('check') };
  return [
    { name: 'VRF: prove', value: ms('prove'), unit: 'ms', baseline: signing, goal: atMost(5), floor: atMost(10) },
    { name: 'VRF: verify', value: ms('verify'), unit: 'ms', baseline: checking, goal: atMost(8), floor: atMost(16) },
  ];
}

function measureRanks(): readonly BenchRow[] {
  const candidates = Array.from({ length: CANDIDATES }, (_, index) => {
    const peerBytes = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...sha256(encodeU64(index)));
    return { peer: `peer-${index}` as PeerKey, peerBytes, groups: [] };
  });
  const output = new Uint8Array(64).fill(1);
  const plain = new Uint8Array(64 + 38);
  const ms = measureMs(
    {
      all: () => rankCandidates(output, candidates),
      lowest: () => rankLowest(output, candidates, KEPT),
      plain: () => {
        for (let index = 0; index < CANDIDATES; index++) hash('sha256', plain, 'binary');
      },
    },
    RANKINGS,
  );
  const baseline = { name: '10,000 crypto.hash of as many bytes', value: ms('plain') };
  return [
    { name: 'VRF: ranks of 10,000 candidates, sorted', value: ms('all'), unit: 'ms', baseline, floor: atMost(50) },
    { name: 'VRF: the lowest 64 ranks of 10,000 candidates', value: ms('lowest'), unit: 'ms', baseline },
  ];
}

export async function benchVrf(): Promise<readonly BenchRow[]> {
  return [...measureProofs(), ...measureRanks()];
}
