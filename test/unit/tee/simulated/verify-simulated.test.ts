import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnixMs } from '../../../../src/domain/ids.ts';
import { encodeHex } from '../../../../src/lib/bytes.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { WebEvidenceCrypto } from '../../../../src/tee/crypto/web-evidence-crypto.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { parseEvidencePolicy } from '../../../../src/tee/policy.ts';
import {
  computeSimulatedRoot,
  createSimulatedKey,
  signAsSimulatedRoot,
} from '../../../../src/tee/produce/simulated/key-file.ts';
import { encodeSimulatedReport, parseSimulatedReport } from '../../../../src/tee/simulated/report.ts';
import type { SimulatedRequest } from '../../../../src/tee/simulated/verify-simulated.ts';
import { type EvidenceRequest, verifyEvidence } from '../../../../src/tee/verify-evidence.ts';

const AT_MS = Date.parse('2026-11-22T12:00:00Z');
const key = createSimulatedKey(new SystemRandom());
const measurement = encodeHex(key.measurement);
const reportData = new Uint8Array(64).fill(7);
const evidence = encodeSimulatedReport(
  { type: 'fogproof/simulated-report@1', measurement: key.measurement, reportData, signedAtMs: UnixMs(AT_MS) },
  (message) => signAsSimulatedRoot(key, message),
);
const simulatedRoot = computeSimulatedRoot(key);
const policy = parseEvidencePolicy({ simulated: { measurements: [measurement.toUpperCase()] } });
const GENUINE = { evidence, simulatedRoot, reportData, policy, atMs: AT_MS, crypto: new NodeEvidenceCrypto() };

async function judge(changes: Partial<EvidenceRequest>) {
  const verification = await verifyEvidence('simulated', { ...GENUINE, ...changes });
  const notPassed = verification.checks.filter(({ verdict }) => verdict !== 'passed');
  return { ...verification, notPassed: notPassed.map(({ name, verdict }) => `${name} ${verdict}`) };
}

function flip(bytes: Uint8Array, index: number): Uint8Array {
  return bytes.with(index, (bytes[index] ?? 0) ^ 1);
}

describe('verifySimulated', () => {
  it('is valid by the root of the network, in a browser too', async () => {
    expect(await judge({})).toMatchObject({ kind: 'simulated', verdict: 'valid' });
    const crypto = new WebEvidenceCrypto({ subtle: globalThis.crypto.subtle });
    expect(await judge({ crypto })).toMatchObject({ verdict: 'valid' });
  });

  it('says in every check and in the claims that no hardware is behind it', async () => {
    const { checks, claims } = await judge({});
    expect(checks.length).toBe(5);
    for (const { detail } of checks) expect(detail).toContain('SIMULATED, no hardware');
    expect(claims).toMatchObject({ warning: 'SIMULATED, no hardware', measurement });
  });

  it.each<[string, Partial<SimulatedRequest> & { policy?: EvidenceRequest['policy'] }, string, readonly string[]]>([
    ['of another root', { simulatedRoot: simulatedRoot.toReversed() }, 'invalid', ['report-signature failed']],
    [
      'by a root that is none',
      { simulatedRoot: simulatedRoot.subarray(1) },
      'invalid',
      ['root failed', 'report-signature failed'],
    ],
    ['for other report data', { reportData: new Uint8Array(64) }, 'invalid', ['report-data failed']],
    ['for report data too long', { reportData: new Uint8Array(65) }, 'invalid', ['report-data failed']],
    [
      'of other code',
      { policy: parseEvidencePolicy({ simulated: { measurements: ['00'.repeat(48)] } }) },
      'invalid',
      ['measurement failed'],
    ],
    [
      'by a policy without measurements',
      { policy: parseEvidencePolicy({ simulated: {} }) },
      'unchecked',
      ['measurement unchecked'],
    ],
    ['without its last byte', { evidence: evidence.subarray(0, -1) }, 'invalid', ['format failed']],
    ['with a byte more', { evidence: new Uint8Array([...evidence, 0]) }, 'invalid', ['format failed']],
    ['of too many bytes', { evidence: new Uint8Array(10_000) }, 'invalid', ['format failed']],
  ])('refuses evidence %s', async (_, changes, verdict, notPassed) => {
    expect(await judge(changes)).toMatchObject({ verdict, notPassed });
  });

  it('is unchecked without a root: production networks have none', async () => {
    const { simulatedRoot: _, ...rest } = GENUINE;
    const { verdict, checks } = await verifyEvidence('simulated', rest);
    expect(verdict).toBe('unchecked');
    expect(checks.filter((check) => check.verdict === 'unchecked').map(({ name }) => name)).toEqual([
      'root',
      'report-signature',
    ]);
  });

  it('refuses every bit that is changed', async () => {
    for (let index = 0; index < evidence.length; index++) {
      expect((await judge({ evidence: flip(evidence, index) })).verdict).toBe('invalid');
    }
  });
});

describe('parseSimulatedReport', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 48, maxLength: 48 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        fc.nat(),
        (code, data, at) => {
          const statement = {
            type: 'fogproof/simulated-report@1' as const,
            measurement: code,
            reportData: data,
            signedAtMs: UnixMs(at),
          };
          const bytes = encodeSimulatedReport(statement, () => new Uint8Array(64));
          expect(parseSimulatedReport(bytes).statement).toEqual(statement);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('refuses anything else with a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(() => parseSimulatedReport(bytes)).toThrow(TeeError);
      }),
      { numRuns: 200 },
    );
  });
});
