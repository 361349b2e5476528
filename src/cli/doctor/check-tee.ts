import { loadConfig } from '../../config/load-config.ts';
import { computeDataPaths } from '../../config/paths.ts';
import { SystemClock } from '../../lib/clock.ts';
import { DaemonError } from '../../lib/errors.ts';
import { SystemRandom } from '../../lib/random.ts';
import type { HostCheck } from '../../sandbox/interface.ts';
import { NodeEvidenceCrypto } from '../../tee/crypto/node-evidence-crypto.ts';
import { type Detection, detectProducer } from '../../tee/produce/detect-producer.ts';
import { NodePseudoFiles } from '../../tee/produce/hardware/node-pseudo-files.ts';
import { NoopLogger } from '../../telemetry/noop-logger.ts';
import type { CliContext } from '../interface.ts';

const NAME = 'TEE';

/** Which confidential hardware is there; none is no fault. */
export async function checkTee({ home, environment, workingDirectory }: CliContext): Promise<HostCheck> {
  try {
    const flags = home === undefined ? {} : { home };
    const { config, network } = await loadConfig({ environment, workingDirectory, flags });
    const { attest } = config;
    if (attest.simulatedKeyFile !== null) {
      const detail = `SIMULATED, no hardware: ${attest.simulatedKeyFile}, for tests in the network ${network.id}`;
      return { name: NAME, status: 'ok', detail, remedy: null };
    }
    const modules = { clock: new SystemClock(), random: new SystemRandom(), crypto: new NodeEvidenceCrypto() };
    const detection = await detectProducer(
      { ...modules, files: new NodePseudoFiles(), fetch, logger: new NoopLogger() },
      {
        cacheFolder: computeDataPaths(config.home).attestation,
        collateralUrl: attest.collateralUrl,
        isOffline: attest.offline,
        nvidiaCommand: attest.nvidiaCommand,
      },
    );
    return describeTee(detection, attest.tee);
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    return { name: NAME, status: 'ok', detail: `not looked for: ${error.message}`, remedy: null };
  }
}

export function describeTee({ producer, findings }: Detection, setting: 'auto' | 'off'): HostCheck {
  if (producer === null) {
    const places = findings.map(({ what }) => what).join(', ');
    const detail = `no confidential hardware found (${places}): the node takes no confidential jobs`;
    return { name: NAME, status: 'ok', detail, remedy: null };
  }
  const what = `${producer.kind}${producer.hasGpus ? ' with NVIDIA GPUs' : ''}`;
  if (setting === 'off') {
    return { name: NAME, status: 'ok', detail: `${what}, not used: attest.tee is off`, remedy: null };
  }
  const detail = `${what}; whether its evidence is valid says \`fogproof attest --self-test\``;
  return { name: NAME, status: 'ok', detail, remedy: null };
}
