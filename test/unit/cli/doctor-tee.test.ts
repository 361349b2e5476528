import { describe, expect, it } from 'vitest';
import { describeTee } from '../../../src/cli/doctor/check-tee.ts';
import type { EvidenceProducer } from '../../../src/tee/interface.ts';
import type { TeeFinding } from '../../../src/tee/produce/detect-producer.ts';

const findings: readonly TeeFinding[] = [
  { what: 'configfs-tsm', place: '/sys', isThere: false, detail: 'there is none' },
  { what: 'Gramine', place: '/dev', isThere: false, detail: 'there is none' },
];
const producer: EvidenceProducer = {
  kind: 'tdx',
  hasGpus: true,
  produce: () => Promise.reject(new TypeError('it is only described')),
};

describe('describeTee', () => {
  it.each([
    ['no hardware', null, 'auto', /^no confidential hardware found \(configfs-tsm, Gramine\)/u],
    ['what is there', producer, 'auto', /^tdx with NVIDIA GPUs; .*attest --self-test/u],
    ['what is not used', { ...producer, hasGpus: false }, 'off', /^tdx, not used: attest\.tee is off$/u],
  ] as const)('says %s, and takes none of it for a fault', (_, found, setting, detail) => {
    expect(describeTee({ producer: found, findings }, setting)).toEqual({
      name: 'TEE',
      status: 'ok',
      detail: expect.stringMatching(detail),
      remedy: null,
    });
  });
});
