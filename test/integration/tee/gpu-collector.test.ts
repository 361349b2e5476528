import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { computeDefaults } from '../../../src/config/defaults.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { DocumentCache } from '../../../src/tee/produce/collateral/document-cache.ts';
import { DocumentSource } from '../../../src/tee/produce/collateral/document-source.ts';
import { CommandGpuCollector } from '../../../src/tee/produce/nvidia/command-gpu-collector.ts';
import { verifyEvidence } from '../../../src/tee/verify-evidence.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { NVIDIA_AT_MS, readNvidiaFile, readStatedNonce } from '../../support/nvidia-vectors.ts';
import { VendorServices } from '../../support/vendor-services.ts';

const crypto = new NodeEvidenceCrypto();
const signal = new AbortController().signal;
const report = readNvidiaFile('hopper-evidence-0.report.bin');
const nonce = readStatedNonce(report);
const RECORDED = {
  result_code: 0,
  evidences: JSON.parse(new TextDecoder().decode(readNvidiaFile('hopper-evidence.json'))),
};

let folder: string;
let services: VendorServices;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-gpu-'));
  services = await VendorServices.start();
});
afterEach(async () => {
  await services[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A program in the place of NVIDIA's, which says what it was asked for in `asked`. */
async function writeTool(script: string): Promise<string> {
  const path = join(folder, 'nvattest');
  await writeFile(path, `#!/bin/sh\necho "$@" > ${folder}/asked\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

function createCollector(command: readonly string[], timeoutMs = 30_000): CommandGpuCollector {
  const cache = new DocumentCache({ folder: join(folder, 'cache') });
  const clock = new ManualClock(NVIDIA_AT_MS);
  const logger = new NoopLogger();
  const documents = new DocumentSource({ fetch: services.fetch, cache, clock, logger }, { isOffline: false });
  return new CommandGpuCollector({ documents, crypto, logger }, { command, timeoutMs });
}

describe('CommandGpuCollector', () => {
  it("runs NVIDIA's command with the nonce, and asks for the manifests of what the GPUs report", async () => {
    const recorded = join(folder, 'recorded.json');
    await writeFile(recorded, JSON.stringify(RECORDED, null, 4));
    const tool = await writeTool(`test "$4" = --nonce -a "$5" = ${encodeHex(nonce)} && cat ${recorded}`);
    const { nvidiaCommand } = computeDefaults(folder, { cpus: 1, memoryBytes: 1, diskBytes: 1 }).attest;
    const collector = createCollector([tool, ...nvidiaCommand.slice(1)]);
    const gpus = await collector.collect(nonce, { signal });
    expect(gpus.certificates).toEqual([]);
    expect(gpus.manifests).toEqual([]);
    expect([...services.asked].sort()).toEqual([
      'https://rim.attestation.nvidia.com/v1/rim/NV_GPU_DRIVER_GH100_590.12',
      'https://rim.attestation.nvidia.com/v1/rim/NV_GPU_VBIOS_G520_0200_885_9600A50001',
    ]);
    const request = { evidence: gpus.report, nonce, policy: 'none', atMs: NVIDIA_AT_MS, crypto } as const;
    const { verdict, checks } = await verifyEvidence('nvidia', request);
    expect(verdict).toBe('unchecked');
    const notPassed = checks.filter((check) => check.verdict !== 'passed').map(({ name }) => name);
    expect(notPassed).toEqual(['measurements', 'revocation']);
  });

  it.each([
    ['ends badly', 'echo "no GPU in confidential mode" >&2; exit 7', 'TEE_PRODUCE_FAILED', /ended with 7: no GPU/u],
    ['prints no JSON', 'echo hello', 'TEE_MALFORMED', /no JSON/u],
    ['prints nothing', 'true', 'TEE_MALFORMED', /no JSON/u],
    ['prints without end', 'exec yes', 'TEE_TOO_LARGE', /at most/u],
    ['hangs', 'exec sleep 60', 'TEE_PRODUCE_FAILED', /not done within 1 s/u],
  ])('refuses what a command gives that %s', async (_, script, code, message) => {
    const isHanging = script.includes('sleep');
    const collector = createCollector([await writeTool(script), '{nonce}'], isHanging ? 1_000 : 30_000);
    const error = await collector.collect(nonce, { signal }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ info: { code }, message: expect.stringMatching(message) });
  });

  it('gives the command no secret of the daemon', async () => {
    process.env['FOGPROOF_PASSPHRASE_TEST'] = 'secret';
    try {
      const collector = createCollector([await writeTool(`env > ${folder}/env`), '{nonce}']);
      await collector.collect(nonce, { signal }).catch(() => undefined);
      const given = (await readFile(join(folder, 'env'), 'utf8')).split('\n').map((line) => line.split('=')[0]);
      expect(given).toContain('PATH');
      expect(given.filter((name) => name?.startsWith('FOGPROOF') || name === 'HOME')).toEqual([]);
    } finally {
      delete process.env['FOGPROOF_PASSPHRASE_TEST'];
    }
  });

  it('refuses evidence that answers another nonce', async () => {
    await writeFile(join(folder, 'recorded.json'), JSON.stringify(RECORDED));
    const collector = createCollector([await writeTool(`cat ${folder}/recorded.json`), '{nonce}']);
    await expect(async () => collector.collect(new Uint8Array(32), { signal })).rejects.toThrow('another nonce');
  });

  it('refuses a command that is not there, and one without a place for the nonce', async () => {
    await expect(async () =>
      createCollector([join(folder, 'none'), '{nonce}']).collect(nonce, { signal }),
    ).rejects.toThrow('ENOENT');
    await expect(async () => createCollector(['nvattest']).collect(nonce, { signal })).rejects.toThrow('{nonce}');
    await expect(async () => createCollector([]).collect(nonce, { signal })).rejects.toThrow('{nonce}');
  });

  it('kills the command with the caller', async () => {
    const controller = new AbortController();
    const collector = createCollector([await writeTool('exec sleep 60'), '{nonce}']);
    const result = collector.collect(nonce, { signal: controller.signal }).catch((error: unknown) => error);
    controller.abort(new RangeError('enough'));
    expect(await result).toEqual(new RangeError('enough'));
  });
});
