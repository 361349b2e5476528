import { readdirSync, readFileSync } from 'node:fs';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import type { NvidiaVerification, NvidiaVerificationRequest } from '../../src/tee/nvidia/interface.ts';
import { type NvidiaPolicy, nvidiaPolicySchema } from '../../src/tee/nvidia/policy.ts';

const FOLDER = new URL('../vectors/attestation/nvidia/', import.meta.url);

/** Within the validity of the certificate that signed the RIM of the switch. */
export const NVIDIA_AT_MS = Date.parse('2026-11-22T00:00:00Z');

export const SWITCH_RIM = 'rims/NV_SWITCH_BIOS_5612_0002_890_9610550001.xml';

/** What a genuine switch, whose manifest is known, satisfies: it states no firmware id, and nobody asks NVIDIA here. */
export const SWITCH_POLICY = buildNvidiaPolicy({
  deviceTypes: ['switch'],
  acceptUnchecked: ['revocation', 'firmware-id'],
});

/** What a genuine GPU satisfies without its manifests, which are not public. */
export const GPU_POLICY = buildNvidiaPolicy({ acceptUnchecked: ['revocation', 'measurements'] });

export function buildNvidiaPolicy(policy: Partial<NvidiaPolicy>): NvidiaPolicy {
  return nvidiaPolicySchema.parse(policy);
}

export function readNvidiaFile(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, FOLDER)));
}

export function readNvidiaText(name: string): string {
  return readFileSync(new URL(name, FOLDER), 'utf8');
}

/** Stems of the files of every report, such as `hopper-sample` or `negative/hopper-bad-signature`. */
export function listNvidiaStems(): readonly string[] {
  const ending = '.report.bin';
  return ['', 'negative/']
    .flatMap((folder) => readdirSync(new URL(folder, FOLDER)).map((file) => `${folder}${file}`))
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort();
}

export function listNvidiaRims(): readonly string[] {
  const files = readdirSync(new URL('rims/', FOLDER)).filter((file) => file.endsWith('.xml'));
  return files.map((file) => `rims/${file}`).sort();
}

/** The nonce that the report says it answers: a requester would know it from elsewhere. */
export function readStatedNonce(report: Uint8Array): Uint8Array {
  return report.slice(4, 36);
}

/** A vector as it is, answering the nonce that it states. */
export function buildNvidiaRequest(
  stem: string,
  changes: Partial<NvidiaVerificationRequest> = {},
): NvidiaVerificationRequest {
  const report = readNvidiaFile(`${stem}.report.bin`);
  return {
    report,
    certificates: readNvidiaText(`${stem}.chain.pem`),
    rims: [],
    nonce: readStatedNonce(report),
    policy: GPU_POLICY,
    atMs: NVIDIA_AT_MS,
    crypto: new NodeEvidenceCrypto(),
    ...changes,
  };
}

/** The switch with its genuine manifest: every check of it passes. */
export function buildSwitchRequest(changes: Partial<NvidiaVerificationRequest> = {}): NvidiaVerificationRequest {
  const rims = [readNvidiaFile(SWITCH_RIM)];
  return buildNvidiaRequest('ls10-evidence-0', { rims, policy: SWITCH_POLICY, ...changes });
}

export function listNotPassed({ checks }: Pick<NvidiaVerification, 'checks'>): readonly string[] {
  return checks.filter(({ verdict }) => verdict !== 'passed').map(({ name }) => name);
}
