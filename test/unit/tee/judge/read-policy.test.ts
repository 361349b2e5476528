import { describe, expect, it } from 'vitest';
import { readPolicy } from '../../../../src/tee/judge/read-policy.ts';

const refused = (issue: string) =>
  expect.objectContaining({ info: { code: 'TEE_POLICY_INVALID', issues: [expect.stringContaining(issue)] } });

function read(text: string): unknown {
  try {
    return readPolicy(text);
  } catch (error) {
    return error;
  }
}

describe('the policy of a confidential job', () => {
  it('says which kinds it accepts, and whether GPUs have to show evidence', () => {
    expect(readPolicy('{"sev-snp":{},"tdx":{}}')).toEqual({ kinds: ['sev-snp', 'tdx'], gpus: false });
    expect(readPolicy('{"nvidia":{},"simulated":{}}')).toEqual({ kinds: ['simulated'], gpus: true });
  });

  it('is refused if it is not JSON, has no section, an unknown one, or none of an environment that jobs run in', () => {
    expect(read('sev-snp: {}')).toEqual(refused('it is not JSON'));
    expect(read('{}')).toEqual(refused('it has no section'));
    expect(read('{"sev":{},"tdx":{}}')).toEqual(refused('sev'));
    expect(read('{"nvidia":{}}')).toEqual(refused('it has no section of an environment'));
    expect(read(`{"tdx":{}}${' '.repeat(64 * 1024)}`)).toEqual(refused('more than 65536 characters'));
  });
});
