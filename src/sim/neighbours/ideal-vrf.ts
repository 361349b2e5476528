import { createHash } from 'node:crypto';
import { areBytesEqual, encodeHex } from '../../lib/bytes.ts';
import type { VrfSuite } from '../../network/neighbours/ports.ts';
import { VRF_PROOF_BYTES, type VrfVerdict } from '../../vrf/ecvrf.ts';

/**
 * An ideal VRF: the output is a hash of a secret and the input, and the verifier looks the secret up. What a VRF promises
 * holds by construction (one output for each key and input, that nobody else can tell), at 2 µs in place of 5 ms.
 */
export class IdealVrf {
  readonly #secrets = new Map<string, Uint8Array>();

  /** Registers a key; both are 32 bytes. */
  register(publicKey: Uint8Array, secret: Uint8Array): void {
    this.#secrets.set(encodeHex(publicKey), secret);
  }

  suiteOf(publicKey: Uint8Array): VrfSuite {
    return {
      prove: async (input) => this.prove(publicKey, input),
      verify: (key, input, proof) => this.verify(key, input, proof),
    };
  }

  prove(publicKey: Uint8Array, input: Uint8Array): Uint8Array {
    return proveFrom(this.computeOutput(publicKey, input) ?? new Uint8Array(0));
  }

  computeOutput(publicKey: Uint8Array, input: Uint8Array): Uint8Array | null {
    const secret = this.#secrets.get(encodeHex(publicKey));
    return secret === undefined ? null : createHash('sha512').update(secret).update(input).digest();
  }

  verify(publicKey: Uint8Array, input: Uint8Array, proof: Uint8Array): VrfVerdict {
    const output = this.computeOutput(publicKey, input);
    if (output === null) return { kind: 'invalid', reason: 'key-encoding' };
    if (!areBytesEqual(proveFrom(output), proof)) return { kind: 'invalid', reason: 'challenge-mismatch' };
    return { kind: 'valid', output };
  }
}

/** 80 bytes that only whoever knows the output can give. */
function proveFrom(output: Uint8Array): Uint8Array {
  const proof = new Uint8Array(VRF_PROOF_BYTES);
  proof.set(createHash('sha512').update('proof').update(output).digest());
  return proof;
}
