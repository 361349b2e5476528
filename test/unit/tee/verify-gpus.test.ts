import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { verifyGpus } from '../../../src/tee/verify-gpus.ts';
import { buildNvidiaRequest, listNotPassed, readNvidiaFile, readNvidiaText } from '../../support/nvidia-vectors.ts';

// Both answer the same nonce.
const STEMS = ['hopper-trustee', 'blackwell-sample'] as const;

function buildFile(stems: readonly string[]): Uint8Array {
  const toBase64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
  const devices = stems.map((stem) => ({
    evidence: toBase64(readNvidiaFile(`${stem}.report.bin`)),
    certificate: toBase64(readNvidiaText(`${stem}.chain.pem`)),
  }));
  return encodeUtf8(JSON.stringify(devices));
}

async function judge(stems: readonly string[]) {
  return verifyGpus({ ...buildNvidiaRequest(STEMS[0]), report: buildFile(stems), certificates: '' });
}

describe('evidence of several GPUs', () => {
  it('is valid if that of each is', async () => {
    const found = await judge(STEMS);
    expect(found).toMatchObject({ verdict: 'valid', claims: { devices: [{ chip: 'GH100' }, { chip: 'GB100' }] } });
    expect(found.checks.map(({ name }) => name)).toContain('2/report-signature');
  });

  it('fails if one of them fails', async () => {
    const found = await judge([STEMS[0], 'negative/hopper-bad-signature']);
    expect(found.verdict).toBe('invalid');
    expect(listNotPassed(found)).toEqual(['2/report-signature', '2/firmware-id']);
  });

  it('fails if two reports are of one device', async () => {
    expect(listNotPassed(await judge([STEMS[0], STEMS[0]]))).toEqual(['devices-distinct']);
  });

  it('of one device is that device', async () => {
    expect(await judge([STEMS[1]])).toMatchObject({ verdict: 'valid', claims: { chip: 'GB100' } });
  });
});
