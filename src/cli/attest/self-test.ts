import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { LoadedConfig } from '../../config/load-config.ts';
import { computeDataPaths } from '../../config/paths.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { SystemClock } from '../../lib/clock.ts';
import { UsageError } from '../../lib/errors.ts';
import { SystemRandom } from '../../lib/random.ts';
import { NodeEvidenceCrypto } from '../../tee/crypto/node-evidence-crypto.ts';
import type { EvidenceVerdict, ProducedEvidence } from '../../tee/interface.ts';
import { type Detection, detectProducer } from '../../tee/produce/detect-producer.ts';
import { NodePseudoFiles } from '../../tee/produce/hardware/node-pseudo-files.ts';
import { SimulatedProducer } from '../../tee/produce/simulated/simulated-producer.ts';
import { NoopLogger } from '../../telemetry/noop-logger.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { findLocations } from '../framework/locations.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { readPolicyFile } from './read-policy-file.ts';
import { listLimits } from './render-evidence.ts';
import { renderSelfTest } from './render-self-test.ts';
import { runSelfTest } from './run-self-test.ts';
import { saveEvidence } from './save-evidence.ts';

const VERDICT_EXIT_CODES: Readonly<Record<EvidenceVerdict, ExitCode>> = {
  valid: EXIT_CODES.ok,
  invalid: EXIT_CODES.failed,
  unchecked: EXIT_CODES.unchecked,
};

const options = z.strictObject({
  selfTest: z.boolean().default(false).describe('the same: `fogproof attest --self-test` is this command'),
  policy: z
    .string()
    .exactOptional()
    .describe('what the evidence must say, YAML or JSON; without it only whether it is genuine')
    .meta({ placeholder: 'FILE' }),
  simulated: z
    .boolean()
    .default(false)
    .describe('with the key file of the network instead of hardware: SIMULATED, to see the command work'),
  save: z
    .string()
    .exactOptional()
    .describe('keep the evidence in this new folder, for `fogproof attest verify`')
    .meta({ placeholder: 'DIR' }),
});

export const attestSelfTest = defineCommand({
  name: 'attest self-test',
  summary: 'make evidence of the confidential hardware of this machine and judge it',
  details:
    'Looks for configfs-tsm (SEV-SNP, TDX), Gramine (SGX) and the command for NVIDIA GPUs, has evidence made for a nonce of this moment, with what the vendors say of the platform (settings attest.*; fetched, or from the data folder), and judges it against the roots that are built in, as a requester would. Needs no daemon and no identity, but the rights that the daemon would have. Exit code 0 if the evidence is valid, 1 if it is not or could not be made, 3 if there is no such hardware or something could not be checked.',
  arguments: [],
  options,
  examples: [
    { line: 'fogproof attest --self-test', does: 'Run it once on a machine that is to take confidential jobs.' },
    {
      line: 'fogproof attest --self-test --policy policy.yaml --save evidence',
      does: 'Judge it by your policy too, and keep it to look at elsewhere.',
    },
    {
      line: 'fogproof attest --self-test --simulated --json',
      does: 'On a network made with `network create --simulated-tee`: SIMULATED, no hardware.',
    },
  ],
  run: async ({ options: given }, context) => {
    const { output, signal, workingDirectory } = context;
    const policy = given.policy === undefined ? 'none' : await readPolicyFile(resolve(workingDirectory, given.policy));
    const loaded = await load(context);
    const detection = given.simulated ? simulate(loaded) : await detect(loaded);
    const simulatedRoot = given.simulated ? readRoot(loaded) : null;
    output.progress('asking the hardware and its vendors');
    const modules = { random: new SystemRandom(), crypto: new NodeEvidenceCrypto() };
    const result = await runSelfTest(detection, modules, { policy, atMs: Date.now(), simulatedRoot, signal });
    output.progress('');
    const folder = given.save === undefined ? null : resolve(workingDirectory, given.save);
    const saved = folder === null || result.evidence === null ? [] : await saveEvidence(folder, result.evidence);
    const { evidence, reportData, gpuNonce, ...rest } = result;
    const shown = {
      ...rest,
      policy: given.policy ?? null,
      reportData: reportData === null ? null : encodeHex(reportData),
      gpuNonce: gpuNonce === null ? null : encodeHex(gpuNonce),
      sizes: evidence === null ? null : measure(evidence),
      saved,
      doesNotClaim: result.kind === null ? [] : listLimits(result.kind, { gpus: result.gpus !== null }),
    };
    output.result(shown, () => renderSelfTest(shown));
    return VERDICT_EXIT_CODES[result.verdict];
  },
});

async function load({ environment, workingDirectory, ...context }: CliContext): Promise<LoadedConfig> {
  const { loadConfig } = await import('../../config/load-config.ts');
  const { home } = findLocations({ ...context, environment });
  return loadConfig({ environment, workingDirectory, flags: { home } });
}

function detect({ config }: LoadedConfig): Promise<Detection> {
  const { attest, home } = config;
  const modules = {
    files: new NodePseudoFiles(),
    fetch,
    clock: new SystemClock(),
    random: new SystemRandom(),
    crypto: new NodeEvidenceCrypto(),
    logger: new NoopLogger(),
  };
  return detectProducer(modules, {
    cacheFolder: computeDataPaths(home).attestation,
    collateralUrl: attest.collateralUrl,
    isOffline: attest.offline,
    nvidiaCommand: attest.nvidiaCommand,
  });
}

function simulate({ config, network }: LoadedConfig): Detection {
  const keyFile =
    config.attest.simulatedKeyFile ?? join(computeDataPaths(config.home).simulatedTees, `${network.id}.json`);
  const detail = 'SIMULATED, no hardware: the key file of a test network';
  return {
    producer: new SimulatedProducer({ clock: new SystemClock() }, { keyFile }),
    findings: [{ what: 'SIMULATED', place: keyFile, isThere: true, detail }],
  };
}

/** @throws UsageError if the network has none, as every one of the preset production */
function readRoot({ network }: LoadedConfig): Uint8Array {
  if (network.simulatedTee !== undefined) return Uint8Array.from(Buffer.from(network.simulatedTee, 'hex'));
  throw new UsageError(
    `--simulated: the network ${network.id} (${network.preset}) has no simulated TEE`,
    'Make one with `fogproof network create ID --simulated-tee`; networks of the preset production have none.',
  );
}

function measure({ report, certificates, collateral, gpus }: ProducedEvidence) {
  return {
    reportBytes: report.length,
    certificates: certificates.length,
    collateralBytes: collateral?.length ?? 0,
    gpuBytes: gpus?.report.length ?? 0,
    manifests: gpus?.manifests.length ?? 0,
  };
}
