import { readdirSync, readFileSync } from 'node:fs';
import { encodeHex } from '../../src/lib/bytes.ts';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import type { SevSnpRequest } from '../../src/tee/sev-snp/interface.ts';
import { type SevSnpPolicy, sevSnpPolicySchema } from '../../src/tee/sev-snp/policy.ts';
import { parseReport } from '../../src/tee/sev-snp/report.ts';

const FOLDER = new URL('../vectors/attestation/sev-snp/', import.meta.url);

/** The newest of the certificates begins in June 2026. */
export const SNP_AT_MS = Date.parse('2026-11-22T00:00:00Z');

/** The VLEK certificate lasts a year. */
export const VLEK_AT_MS = Date.parse('2025-06-01T00:00:00Z');

export function readSnpFile(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, FOLDER)));
}

export function readSnpPem(name: string): Uint8Array {
  const text = readFileSync(new URL(`chains/${name}.pem`, FOLDER), 'utf8');
  return new Uint8Array(Buffer.from(text.replaceAll(/-----[^-]+-----|\s/gu, ''), 'base64'));
}

/** Stems of the files of every report, such as `milan-v2-virtee` or `negative/milan-v2-tamper-sig`. */
export function listSnpStems(): readonly string[] {
  const ending = '.report.bin';
  return ['', 'negative/']
    .flatMap((folder) => readdirSync(new URL(folder, FOLDER)).map((file) => `${folder}${file}`))
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort();
}

/** No revocation list of AMD's is public with the vectors: what they can satisfy waives it, and says so. */
export const SNP_WAIVER = { minimumTcb: 'any', acceptUnchecked: ['revocation'] } as const;

/** Accepts the code that the report of the vector states, at any TCB, without a revocation list. */
export function acceptSnpVector(stem: string): SevSnpPolicy {
  const { measurement } = parseReport(readSnpFile(`${stem}.report.bin`));
  return sevSnpPolicySchema.parse({ ...SNP_WAIVER, measurements: [encodeHex(measurement)] });
}

/** A vector as it is, under a policy that accepts the code in it. */
export function buildSnpRequest(stem: string, changes: Partial<SevSnpRequest> = {}): SevSnpRequest {
  const isVlek = stem.includes('vlek');
  return {
    evidence: readSnpFile(`${stem}.report.bin`),
    certificates: [readSnpFile(`${stem}.${isVlek ? 'vlek' : 'vcek'}.der`)],
    policy: acceptSnpVector(stem),
    atMs: isVlek ? VLEK_AT_MS : SNP_AT_MS,
    crypto: new NodeEvidenceCrypto(),
    ...changes,
  };
}
