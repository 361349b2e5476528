import { tmpdir } from 'node:os';
import { parseDocument } from 'yaml';
import type { LoadedConfig } from '../config/load-config.ts';
import { computeDataPaths } from '../config/paths.ts';
import { readSmallFile } from '../config/small-file.ts';
import { MAX_POLICY_CHARS } from '../domain/job.ts';
import type { NetworkDefinition } from '../domain/network-definition.ts';
import { areBytesEqual } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import { describeError } from '../lib/errors.ts';
import type { Random } from '../lib/random.ts';
import type { ConfidentialOptions } from '../scheduler/options.ts';
import { createConfidentiality } from '../tee/confidentiality.ts';
import { NodeEvidenceCrypto } from '../tee/crypto/node-evidence-crypto.ts';
import type { Confidentiality, EvidenceProducer } from '../tee/interface.ts';
import { AttemptEvidenceJudge } from '../tee/judge/attempt-evidence-judge.ts';
import { parseEvidencePolicy } from '../tee/policy.ts';
import { detectProducer } from '../tee/produce/detect-producer.ts';
import { NodePseudoFiles } from '../tee/produce/hardware/node-pseudo-files.ts';
import { computeSimulatedRoot, readSimulatedKey } from '../tee/produce/simulated/key-file.ts';
import { SimulatedProducer } from '../tee/produce/simulated/simulated-producer.ts';
import type { Logger } from '../telemetry/interface.ts';
import { NodeError } from './errors.ts';

export interface ConfidentialParts {
  readonly confidentiality: Confidentiality;
  /** Null: this node takes no confidential jobs. */
  readonly producer: EvidenceProducer | null;
  readonly evidenceJudge: AttemptEvidenceJudge;
  readonly requester: ConfidentialOptions;
}

export interface ConfidentialPartsModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What confidential jobs need. @throws NodeError NODE_SIMULATED_TEE, NODE_BAD_POLICY; TeeError TEE_KEY_FILE_INVALID */
export async function createConfidentialParts(
  { config, network }: LoadedConfig,
  modules: ConfidentialPartsModules,
): Promise<ConfidentialParts> {
  const crypto = new NodeEvidenceCrypto();
  const simulatedRoot = readSimulatedRoot(network);
  const ownPolicy = await readOwnPolicy(config.attest.policyFile);
  const producer = config.provide.enabled ? await createProducer({ config, network }, { ...modules, crypto }) : null;
  return {
    confidentiality: createConfidentiality({ ...modules, crypto }, { simulatedRoot }),
    producer,
    evidenceJudge: new AttemptEvidenceJudge({ crypto }, { simulatedRoot }),
    requester: { ownPolicy, hasSimulatedTee: simulatedRoot !== null, spoolFolder: tmpdir() },
  };
}

/** The network's definition alone names one, and that of a production network cannot. */
function readSimulatedRoot({ simulatedTee }: NetworkDefinition): Uint8Array | null {
  return simulatedTee === undefined ? null : Uint8Array.from(Buffer.from(simulatedTee, 'hex'));
}

async function createProducer(
  { config, network }: Pick<LoadedConfig, 'config' | 'network'>,
  modules: ConfidentialPartsModules & { readonly crypto: NodeEvidenceCrypto },
): Promise<EvidenceProducer | null> {
  const { attest, home } = config;
  const logger = modules.logger.child({ module: 'tee' });
  if (attest.simulatedKeyFile !== null) {
    await assertSimulatedKey(attest.simulatedKeyFile, network);
    logger.warn({}, 'confidential hardware is SIMULATED here: for tests');
    return new SimulatedProducer(modules, { keyFile: attest.simulatedKeyFile });
  }
  if (attest.tee === 'off') return null;
  const { producer, findings } = await detectProducer(
    { ...modules, logger, files: new NodePseudoFiles(), fetch },
    {
      cacheFolder: computeDataPaths(home).attestation,
      collateralUrl: attest.collateralUrl,
      isOffline: attest.offline,
      nvidiaCommand: attest.nvidiaCommand,
    },
  );
  for (const { what, place, isThere, detail } of findings) logger.debug({ what, place, isThere }, detail);
  if (producer !== null) logger.info({ kind: producer.kind, gpus: producer.hasGpus }, 'confidential hardware found');
  return producer;
}

async function assertSimulatedKey(keyFile: string, { id, simulatedTee }: NetworkDefinition): Promise<void> {
  if (simulatedTee === undefined) {
    throw new NodeError({ code: 'NODE_SIMULATED_TEE', network: id, reason: 'it has no simulated TEE' });
  }
  const key = await readSimulatedKey(keyFile);
  const isOurs = areBytesEqual(computeSimulatedRoot(key), Uint8Array.from(Buffer.from(simulatedTee, 'hex')));
  key.seed.fill(0);
  if (isOurs) return;
  throw new NodeError({ code: 'NODE_SIMULATED_TEE', network: id, reason: `${keyFile} is the key of another network` });
}

/** JSON of the policy in the file; it may be YAML too. */
async function readOwnPolicy(path: string | null): Promise<string | null> {
  if (path === null) return null;
  const bad = (reason: string, cause?: unknown): NodeError =>
    new NodeError({ code: 'NODE_BAD_POLICY', path, reason }, { cause });
  const text = await readSmallFile(path);
  if (text === undefined) throw bad('it does not exist');
  try {
    const value: unknown = parseDocument(text, { stringKeys: true, logLevel: 'error' }).toJS({ maxAliasCount: 100 });
    parseEvidencePolicy(value);
    const json = JSON.stringify(value);
    if (json.length > MAX_POLICY_CHARS) throw bad(`it has more than ${MAX_POLICY_CHARS} characters`);
    return json;
  } catch (error) {
    throw error instanceof NodeError ? error : bad(describeError(error), error);
  }
}
