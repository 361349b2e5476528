import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemRandom } from '../../src/lib/random.ts';
import {
  computeSimulatedRoot,
  createSimulatedKey,
  encodeSimulatedKey,
  type SimulatedKey,
} from '../../src/tee/produce/simulated/key-file.ts';

export interface SimulatedTeeFile extends AsyncDisposable {
  readonly key: SimulatedKey;
  readonly keyFile: string;
  /** What the network's definition has as `simulatedTee`. */
  readonly root: Uint8Array;
}

/** A key file of a test network's simulated TEE, in a folder of its own. */
export async function makeSimulatedTee(): Promise<SimulatedTeeFile> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'fogproof-simulated-tee-'));
  const key = createSimulatedKey(new SystemRandom());
  const keyFile = join(folder.path, 'key.json');
  await writeFile(keyFile, encodeSimulatedKey(key), { mode: 0o600 });
  return { key, keyFile, root: computeSimulatedRoot(key), [Symbol.asyncDispose]: () => folder.remove() };
}
