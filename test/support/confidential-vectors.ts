/** What test/vectors/confidential has: every step of a confidential job of which another implementation must give the same bytes. */

import { RUNTIME_DATA, type RuntimeData } from '../../src/domain/confidential.ts';
import { ObjectId, UnixMs } from '../../src/domain/ids.ts';
import { encodeObject } from '../../src/domain/object-type.ts';
import { encodeHex } from '../../src/lib/bytes.ts';
import { computeObjectId, sha256 } from '../../src/lib/cid.ts';
import { type AttestedStatement, encodeAttestedStatement } from '../../src/proofs/attested-statement.ts';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import type { PlainEvent } from '../../src/tee/interface.ts';
import { sealHpke } from '../../src/tee/release/hpke.ts';
import { exportPublicKey } from '../../src/tee/release/key-pair.ts';
import { computeReleaseContext, encodeSecrets } from '../../src/tee/release/released-secrets.ts';
import { computeGpuNonce, computeReportData } from '../../src/tee/release/report-data.ts';
import { NumberedEventSealer } from '../../src/tee/sealing/events.ts';
import { FreshInputSealer } from '../../src/tee/sealing/inputs.ts';
import { keyMetricsHash } from '../../src/tee/sealing/metrics-hash.ts';
import { sealOutput } from '../../src/tee/sealing/outputs.ts';
import { EXPECTATION } from './attempt-evidence.ts';
import { collectStream, streamBytes } from './byte-streams.ts';
import { importX25519 } from './x25519-keys.ts';

const CHUNK = 65_536;
const SIZES = [0, 1, 100, CHUNK, CHUNK + 1, 2 * CHUNK];
/** Longer than that, a sealed file is given by its hash and its end. */
const MAX_HEX_BYTES = 200;
const EVENTS: readonly PlainEvent[] = [
  { kind: 'log', stream: 'stdout', text: 'Grüße' },
  { kind: 'metric', name: 'loss', value: '0.25', step: 3, ordinal: 2 },
];
const PATHS = ['/out/a', '/out/ü'];

/** 32 bytes that nobody chose: SHA-256 of their name. */
const made = (name: string): Uint8Array => sha256(new TextEncoder().encode(name));
const plainOf = (sizeBytes: number): Uint8Array => Uint8Array.from({ length: sizeBytes }, (_, index) => index % 251);
const crypto = new NodeEvidenceCrypto();
const contentKey = made('content key');
const { job, lease } = EXPECTATION;

export async function buildConfidentialVectors(): Promise<object> {
  return {
    contentKey: encodeHex(contentKey),
    job,
    lease,
    inputs: await sealInputs(),
    outputs: await Promise.all(PATHS.flatMap((path) => SIZES.map((sizeBytes) => sealOneOutput(path, sizeBytes)))),
    events: await sealEvents(),
    metrics: {
      metricsHash: encodeHex(made('metrics')),
      keyed: encodeHex(await keyMetricsHash(contentKey, made('metrics'))),
    },
    binding: await bind(),
    release: await release(),
    statement: state(),
  };
}

function describeSealed(sealed: Uint8Array): object {
  if (sealed.length <= MAX_HEX_BYTES) return { sealed: encodeHex(sealed) };
  return { sealedSha256: encodeHex(sha256(sealed)), sealedEnd: encodeHex(sealed.subarray(-32)) };
}

async function sealInputs(): Promise<object[]> {
  const given = [contentKey, ...SIZES.map((_, index) => made(`salt ${index}`))];
  const sealer = new FreshInputSealer({ random: { bytes: () => given.shift() ?? new Uint8Array() } });
  const inputs: object[] = [];
  for (const [index, sizeBytes] of SIZES.entries()) {
    const input = sealer.seal(streamBytes(plainOf(sizeBytes), CHUNK));
    const sealed = await collectStream(input.bytes);
    inputs.push({
      index,
      sizeBytes,
      salt: encodeHex(made(`salt ${index}`)),
      commitment: encodeHex(input.readCommitment()),
      ...describeSealed(sealed),
    });
  }
  return inputs;
}

async function sealOneOutput(path: string, sizeBytes: number): Promise<object> {
  const sealed = await collectStream(sealOutput(plainOf(sizeBytes), { contentKey, path }));
  return { path, sizeBytes, synthetic: encodeHex(sealed.subarray(0, 32)), ...describeSealed(sealed) };
}

async function sealEvents(): Promise<object[]> {
  const sealer = new NumberedEventSealer({ contentKey, lease });
  const sealed = await Promise.all(EVENTS.map((event) => sealer.seal(event)));
  return sealed.map(({ index, bytes }) => ({ index, event: EVENTS[index - 1], sealed: encodeHex(bytes) }));
}

async function bind(): Promise<object> {
  const { isolation, instrumenter, ...named } = EXPECTATION;
  const fields = {
    type: 'fogproof/runtime-data@1',
    ...named,
    nonce: made('nonce'),
    requesterKey: made('requester key'),
    encryptionKey: made('encryption key'),
    signingKey: made('signing key'),
    sandbox: { isolation, instrumenter },
    expiresAtMs: UnixMs(1_800_000_000_000),
  } as const satisfies RuntimeData;
  const runtimeData = encodeObject(RUNTIME_DATA, fields);
  const reportData = await computeReportData(crypto, runtimeData);
  return {
    fields: Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, value instanceof Uint8Array ? encodeHex(value) : value]),
    ),
    runtimeData: encodeHex(runtimeData),
    reportData: encodeHex(reportData),
    gpuNonce: encodeHex(await computeGpuNonce(crypto, reportData)),
  };
}

async function release(): Promise<object> {
  const evidence = made('evidence');
  const secrets = { contentKey, salts: [made('salt 0'), made('salt 1')] };
  const [recipient, ephemeral] = [made('recipient'), made('ephemeral')];
  const recipientKey = await exportPublicKey(await importX25519(recipient));
  const { encapsulatedKey, sealed } = await sealHpke({
    ...computeReleaseContext({ evidence, job }),
    recipientKey,
    plain: encodeSecrets(secrets),
    ephemeralKeys: await importX25519(ephemeral),
  });
  return {
    evidence: encodeHex(evidence),
    salts: secrets.salts.map(encodeHex),
    recipientPrivateKey: encodeHex(recipient),
    encryptionKey: encodeHex(recipientKey),
    ephemeralPrivateKey: encodeHex(ephemeral),
    encapsulatedKey: encodeHex(encapsulatedKey),
    sealedSecrets: encodeHex(sealed),
  };
}

function state(): object {
  const statement: AttestedStatement = {
    job,
    lease,
    nonce: made('nonce'),
    commitments: [made('commitment 0'), made('commitment 1')],
    outputRoot: ObjectId(computeObjectId(Uint8Array.of(3))),
  };
  return {
    nonce: encodeHex(statement.nonce),
    commitments: statement.commitments.map(encodeHex),
    outputRoot: statement.outputRoot,
    message: encodeHex(encodeAttestedStatement(statement)),
  };
}
