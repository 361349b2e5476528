import { join } from 'node:path';
import { computeDataPaths } from '../../config/paths.ts';
import { writeSmallFile } from '../../config/small-file.ts';
import { encodeHex } from '../../lib/bytes.ts';
import { SystemRandom } from '../../lib/random.ts';
import {
  computeSimulatedRoot,
  createSimulatedKey,
  encodeSimulatedKey,
  readSimulatedKey,
} from '../../tee/produce/simulated/key-file.ts';

export interface SimulatedTee {
  readonly warning: 'SIMULATED, no hardware';
  readonly keyFile: string;
  /** Hex: `simulatedTee` of the network. */
  readonly root: string;
  /** Hex: what a policy lists to accept it. */
  readonly measurement: string;
}

/**
 * The key that stands in for hardware in that network; made if there is none.
 * @throws ConfigError CONFIG_UNWRITABLE, TeeError TEE_KEY_FILE_INVALID if there is one that cannot be used
 */
export async function keepSimulatedTee(home: string, network: string): Promise<SimulatedTee> {
  const keyFile = join(computeDataPaths(home).simulatedTees, `${network}.json`);
  await writeSmallFile(keyFile, encodeSimulatedKey(createSimulatedKey(new SystemRandom())), { existing: 'keep' });
  const key = await readSimulatedKey(keyFile);
  const [root, measurement] = [encodeHex(computeSimulatedRoot(key)), encodeHex(key.measurement)];
  return { warning: 'SIMULATED, no hardware', keyFile, root, measurement };
}

export function renderSimulatedTee(tee: SimulatedTee): readonly (readonly [string, string])[] {
  return [
    ['TEE', `${tee.warning}: for tests`],
    ['SIMULATED key', `${tee.keyFile} (for the nodes that are to pretend)`],
    ['SIMULATED root', tee.root],
    ['SIMULATED code', tee.measurement],
  ];
}
