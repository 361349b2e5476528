import { describe, expect, it } from 'vitest';
import type { AttestRequest, AttestResponse } from '../../../../src/domain/confidential.ts';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import type { PeerTransport } from '../../../../src/network/interface.ts';
import { ATTEST_PATIENCE_MS } from '../../../../src/scheduler/constants.ts';
import { AttestClient } from '../../../../src/scheduler/requester/confidential/attest-client.ts';
import { ManualClock, until } from '../../../support/manual-clock.ts';
import { TestTee } from '../../../support/simulated-tee.ts';

const PEER = 'peer' as PeerKey;
const RELEASE = { wire: 'release' } as never;
const busy = (retryAfterMs?: number): AttestResponse => ({
  kind: 'refused',
  refusal: { code: 'AT_CAPACITY', detail: '', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
});

function createScene(answers: (() => AttestResponse)[]) {
  const clock = new ManualClock();
  const asked: AttestRequest[] = [];
  const request = async (_peer: PeerKey, _protocol: string, message: AttestRequest): Promise<AttestResponse> => {
    asked.push(message);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined) throw new TypeError('no answer');
    return answer();
  };
  const transport = { request } as unknown as PeerTransport;
  const client = new AttestClient({ transport, clock, confidentiality: new TestTee().createConfidentiality() });
  const controller = new AbortController();
  const release = () => client.release(PEER, RELEASE, { signal: controller.signal });
  return { clock, asked, release, controller };
}

const unreachable = (): never => {
  throw new TypeError('cut off');
};

describe('the requester on the attest protocol', () => {
  it('asks again with the same while its provider is busy, when it says, or cannot be reached', async () => {
    const { clock, asked, release } = createScene([() => busy(1_000), unreachable, () => ({ kind: 'released' })]);
    const released = release();
    await until(() => asked.length === 1);
    await clock.advance(999);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(asked).toHaveLength(2);
    await clock.advance(5_000);
    expect(await released).toEqual({ kind: 'valid', value: null });
    expect(asked).toEqual(Array.from({ length: 3 }, () => ({ op: 'release', release: RELEASE })));
  });

  it('gives up on one that stays away for as long as it would wait', async () => {
    const { clock, asked, release } = createScene([unreachable]);
    const released = release();
    await clock.advance(ATTEST_PATIENCE_MS);
    expect(await released).toEqual({ kind: 'invalid', code: 'UNREACHABLE', reason: 'cut off' });
    expect(asked.length).toBeGreaterThan(10);
  });

  it('takes any other refusal for an answer, and an answer to something else for a fault', async () => {
    const refusal = { code: 'RELEASE_INVALID' as const, detail: 'it does not open' };
    const refused = createScene([() => ({ kind: 'refused', refusal })]);
    expect(await refused.release()).toEqual({ kind: 'invalid', code: 'RELEASE_INVALID', reason: 'it does not open' });
    const confused = createScene([() => ({ kind: 'evidence', evidence: new Uint8Array() })]);
    expect(await confused.release()).toMatchObject({ kind: 'invalid', code: 'UNEXPECTED_ANSWER' });
    expect([refused.asked.length, confused.asked.length]).toEqual([1, 1]);
  });

  it('ends at once when nobody waits any more', async () => {
    const { release, controller, asked } = createScene([unreachable]);
    const released = release();
    await until(() => asked.length === 1);
    controller.abort(new DOMException('over', 'AbortError'));
    await expect(released).rejects.toMatchObject({ name: 'AbortError' });
  });
});
