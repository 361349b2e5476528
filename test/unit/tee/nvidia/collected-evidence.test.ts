import { describe, expect, it } from 'vitest';
import { decodeUtf8, encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { isCollectedEvidence, parseCollectedEvidence } from '../../../../src/tee/nvidia/collected-evidence.ts';
import { readNvidiaFile } from '../../../support/nvidia-vectors.ts';

const FILE = readNvidiaFile('hopper-evidence.json');

describe('a file of collected evidence', () => {
  it('is told from a report', () => {
    expect(isCollectedEvidence(FILE)).toBe(true);
    expect(isCollectedEvidence(readNvidiaFile('hopper-evidence-0.report.bin'))).toBe(false);
    expect(isCollectedEvidence(new Uint8Array())).toBe(false);
  });

  it("is read as the SDK writes it, and within the CLI's answer", () => {
    const [device] = parseCollectedEvidence(FILE);
    expect(device?.report).toEqual(readNvidiaFile('hopper-evidence-0.report.bin'));
    const answer = encodeUtf8(`{"result_code": 0, "result_message": "Ok", "evidences": ${decodeUtf8(FILE)}}`);
    expect(parseCollectedEvidence(answer)).toEqual([device]);
  });

  it.each([
    ['no JSON', '['],
    ['no device', '[]'],
    ['another form', '{"evidence": "AAAA"}'],
    ['no base64', '[{"evidence": "A", "certificate": "AAAA"}]'],
    ['a number', '[{"evidence": 1, "certificate": "AAAA"}]'],
  ])('of %s is refused', (_, text) => {
    expect(() => parseCollectedEvidence(encodeUtf8(text))).toThrow(TeeError);
  });

  it('that is too large is refused', () => {
    expect(() => parseCollectedEvidence(new Uint8Array(9 * 1024 * 1024))).toThrow(/at most/);
  });
});
