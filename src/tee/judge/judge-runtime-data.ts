import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import type { RuntimeData } from '../../domain/confidential.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { decide, passed } from '../checks.ts';
import type { AttemptExpectation, EvidenceCheck } from '../interface.ts';

/** Any scalar will do: it is clamped to a multiple of 8, which takes every point of small order to zero. */
const PROBE_SCALAR = new Uint8Array(32).fill(1);

/** That the runtime data is of this attempt, asked for by this requester, and not over. */
export function judgeRuntimeData(
  runtimeData: RuntimeData,
  expectation: AttemptExpectation,
  atMs: number,
): readonly EvidenceCheck[] {
  const { nonce, requesterKey, isolation, instrumenter } = expectation;
  const { sandbox, expiresAtMs } = runtimeData;
  return [
    compare('network', runtimeData.network, expectation.network),
    ...(nonce === undefined ? [] : [compare('nonce', encodeHex(runtimeData.nonce), encodeHex(nonce))]),
    compare('job', runtimeData.job, expectation.job),
    compare('lease', runtimeData.lease, expectation.lease),
    compare('requester', runtimeData.requester, expectation.requester),
    ...(requesterKey === undefined
      ? []
      : [compare('requester-key', encodeHex(runtimeData.requesterKey), encodeHex(requesterKey))]),
    compare('provider', runtimeData.provider, expectation.provider),
    judgeKeys(runtimeData),
    compare(
      'sandbox',
      `${sandbox.isolation}, ${sandbox.instrumenter}`,
      `${isolation ?? sandbox.isolation}, ${instrumenter ?? sandbox.instrumenter}`,
    ),
    decide('expiry', {
      holds: atMs < expiresAtMs,
      detail: `the keys are good until ${new Date(expiresAtMs).toISOString()}; judged as of ${new Date(atMs).toISOString()}`,
    }),
  ];
}

function compare(name: string, found: string, expected: string): EvidenceCheck {
  if (found === expected) return passed(name, `the runtime data says ${found}, as expected`);
  return decide(name, { holds: false, detail: `the runtime data says ${found}; expected ${expected}` });
}

/** Keys of small order would open, or verify, what anybody sealed or signed. */
function judgeKeys({ encryptionKey, signingKey }: RuntimeData): EvidenceCheck {
  const faults = [
    ...(canBeSealedTo(encryptionKey) ? [] : ['the encryption key is no X25519 key that can be sealed to']),
    ...(canVerify(signingKey) ? [] : ['the signing key is no Ed25519 key of the full order']),
  ];
  const keys = `X25519 ${encodeHex(encryptionKey)}, Ed25519 ${encodeHex(signingKey)}`;
  return decide('keys', { holds: faults.length === 0, detail: faults.length === 0 ? keys : faults.join('; ') });
}

function canBeSealedTo(key: Uint8Array): boolean {
  try {
    x25519.getSharedSecret(PROBE_SCALAR, key);
    return true;
  } catch {
    return false;
  }
}

function canVerify(key: Uint8Array): boolean {
  try {
    return !ed25519.Point.fromBytes(key).isSmallOrder();
  } catch {
    return false;
  }
}
