import { chmod, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ATTEMPT_EVIDENCE } from '../../../src/domain/confidential.ts';
import { decodeObject, encodeObject } from '../../../src/domain/object-type.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import {
  createSimulatedKey,
  encodeSimulatedKey,
  parseSimulatedKey,
} from '../../../src/tee/produce/simulated/key-file.ts';
import { SimulatedProducer } from '../../../src/tee/produce/simulated/simulated-producer.ts';
import { verifyEvidence } from '../../../src/tee/verify-evidence.ts';
import { makeSimulatedTee } from '../../support/simulated-tee-file.ts';

const reportData = new Uint8Array(64).fill(9);
const signal = new AbortController().signal;
const order = { reportData, gpuNonce: null, signal };

describe('SimulatedProducer', () => {
  it('makes evidence that the root of its network verifies', async () => {
    await using tee = await makeSimulatedTee();
    const producer = new SimulatedProducer({ clock: new SystemClock() }, tee);
    const evidence = await producer.produce(order);
    const { verdict } = await verifyEvidence('simulated', {
      evidence: evidence.report,
      simulatedRoot: tee.root,
      reportData,
      policy: { simulated: { measurements: [Buffer.from(tee.key.measurement).toString('hex')] } },
      atMs: Date.now(),
      crypto: new NodeEvidenceCrypto(),
    });
    expect(verdict).toBe('valid');
    const whole = { type: 'fogproof/attempt-evidence@1', runtimeData: new Uint8Array(), ...evidence } as const;
    expect(decodeObject(ATTEMPT_EVIDENCE, encodeObject(ATTEMPT_EVIDENCE, whole))).toEqual(whole);
  });

  it('refuses what it has not: GPUs, and orders that were given up', async () => {
    await using tee = await makeSimulatedTee();
    const producer = new SimulatedProducer({ clock: new SystemClock() }, tee);
    await expect(async () => producer.produce({ ...order, gpuNonce: new Uint8Array(32) })).rejects.toThrow('no GPUs');
    await expect(async () => producer.produce({ ...order, signal: AbortSignal.abort() })).rejects.toThrow();
  });

  it.each([
    ['readable by others', (path: string) => chmod(path, 0o640), 'other users'],
    ['that is no JSON', (path: string) => writeFile(path, 'secret'), 'it is not JSON'],
    ['without a seed', (path: string) => writeFile(path, '{"type":"fogproof/simulated-tee-key@1"}'), 'is wrong'],
    ['that is too large', (path: string) => writeFile(path, ' '.repeat(5000)), 'too large'],
  ])('refuses a key file %s', async (_, change, reason) => {
    await using tee = await makeSimulatedTee();
    await change(tee.keyFile);
    const producer = new SimulatedProducer({ clock: new SystemClock() }, tee);
    await expect(async () => producer.produce(order)).rejects.toMatchObject({
      info: { code: 'TEE_KEY_FILE_INVALID', reason: expect.stringContaining(reason) },
    });
  });

  it('reads what it writes', () => {
    const key = createSimulatedKey(new SystemRandom());
    expect(parseSimulatedKey(encodeSimulatedKey(key), 'key.json')).toEqual(key);
    expect(encodeSimulatedKey(key)).toContain('SIMULATED, no hardware');
  });
});
