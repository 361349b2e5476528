import { decodeUtf8, encodeUtf8 } from '../../src/lib/bytes.ts';
import { INTEL_VECTORS, type IntelEvidence, readIntelEvidence } from '../../test/support/intel-vectors.ts';

export interface DcapCase extends IntelEvidence {
  readonly name: string;
  readonly atMs: number;
}

const TD = 'tdx/tdx-v4-phala';
const ENCLAVE = 'sgx/sgx-v3-phala';

/** A genuine quote with genuine documents, of which one is of the other technology. */
export const SGX_IDENTITY = `${TD} with the QE identity of SGX`;

/** Every vector as it is, and what is made of two of them. */
export function listDcapCases(): readonly DcapCase[] {
  const cases = INTEL_VECTORS.map(({ stem, at }) => ({ ...readIntelEvidence(stem), name: stem, atMs: Date.parse(at) }));
  const td = cases.find(({ name }) => name === TD);
  const enclave = cases.find(({ name }) => name === ENCLAVE);
  if (td === undefined || enclave === undefined) throw new TypeError(`there is no vector ${TD} or ${ENCLAVE}`);
  return [...cases, { ...td, name: SGX_IDENTITY, collateral: swapIdentity(td, enclave) }];
}

function swapIdentity(td: IntelEvidence, enclave: IntelEvidence): Uint8Array {
  const bundle = readBundle(td);
  for (const [name, value] of Object.entries(readBundle(enclave))) {
    if (name.startsWith('qe_identity')) bundle[name] = value;
  }
  return encodeUtf8(JSON.stringify(bundle));
}

function readBundle({ collateral }: IntelEvidence): Record<string, unknown> {
  if (collateral === null) throw new TypeError('it has no collateral');
  return JSON.parse(decodeUtf8(collateral)) as Record<string, unknown>;
}
