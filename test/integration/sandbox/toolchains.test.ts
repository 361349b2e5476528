import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf, type Need } from '../../support/needs.ts';
import { findOffers } from '../../support/sandbox.ts';
import { Tiers } from '../../support/tiers.ts';

const GO_PROGRAM = fileURLToPath(new URL('./programs/go', import.meta.url));
/** GOOS=wasip1 came with Go 1.21. */
const goMinor = Number(/go1\.(\d+)/.exec(spawnSync('go', ['version'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? 0);
const GO: Need = { isMet: goMinor >= 21, kind: 'toolchain', reason: 'Go 1.21 or newer on PATH (go.dev/dl)' };
const offers = await findOffers();
const isolation = offers.has('bubblewrap') ? 'bubblewrap' : 'process';

describeIf(GO, 'a Go program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fogproof-go-'));
  beforeAll(() => {
    const environment = {
      ...process.env,
      GOOS: 'wasip1',
      GOARCH: 'wasm',
      CGO_ENABLED: '0',
      GOFLAGS: '',
      GOTOOLCHAIN: 'local',
    };
    execFileSync('go', ['build', '-o', join(folder, 'program.wasm'), '.'], { cwd: GO_PROGRAM, env: environment });
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('runs unchanged, and the same under every compiler tier', async () => {
    await using tiers = new Tiers();
    const runs = await tiers.run(isolation, {
      module: new Uint8Array(readFileSync(join(folder, 'program.wasm'))),
      inputs: [{ path: '/data/in.txt', bytes: new TextEncoder().encode('hello') }],
      workload: { abi: 'wasi', arguments: ['fail', 'x'], environment: { GREETING: 'hi' } },
      resources: { memoryBytes: 64 * 2 ** 20 },
    });
    for (const { tier, events, result } of runs) {
      expect(events, tier).toEqual([
        'stdout: hello [fail x] hi 2020',
        'stderr: read 5 <nil>',
        'stdout: passwd: open /etc/passwd: No such file or directory',
      ]);
      expect(result, tier).toEqual(runs[0]?.result);
      expect(result.outcome).toEqual({ kind: 'program-failed', code: 'EXIT_CODE', detail: '3' });
      expect(result.outputs.map((file) => file.path)).toEqual(['/output/deep/result.txt']);
      const text = Buffer.from(result.outputs[0]?.bytes ?? []).toString();
      expect(text).toMatch(/^2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 \[k0 k1 k10 /);
    }
  }, 120_000);
});
