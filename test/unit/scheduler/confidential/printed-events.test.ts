import { describe, expect, it } from 'vitest';
import { LeaseId } from '../../../../src/domain/ids.ts';
import { computeObjectCid } from '../../../../src/lib/cid.ts';
import { PLAIN_EVENTS, SealedEvents } from '../../../../src/scheduler/requester/confidential/printed-events.ts';
import { TestTee } from '../../../support/simulated-tee.ts';

const confidentiality = new TestTee().createConfidentiality();
const leaseOf = (byte: number) => LeaseId(computeObjectCid(Uint8Array.of(byte)).toString());
const line = (text: string) => ({ kind: 'log' as const, stream: 'stdout' as const, text });
const contentKey = new Uint8Array(32).fill(3);
const open = (lease = leaseOf(1), key = contentKey) =>
  new SealedEvents({ confidentiality }, { lease, secrets: { contentKey: key, salts: [] } });

describe('what attempts print', () => {
  it('is opened in order, with gaps', async () => {
    const sealer = confidentiality.createEventSealer(contentKey, leaseOf(1));
    const [one, , three] = [await sealer.seal(line('1')), await sealer.seal(line('2')), await sealer.seal(line('3'))];
    const events = open();
    expect(await events.read(one)).toEqual({ kind: 'valid', value: line('1') });
    expect(await events.read(three)).toEqual({ kind: 'valid', value: line('3') });
  });

  it('is refused where it comes twice or goes back, of another lease, under another key, or in plain', async () => {
    const sealer = confidentiality.createEventSealer(contentKey, leaseOf(1));
    const [one, two] = [await sealer.seal(line('1')), await sealer.seal(line('2'))];
    const events = open();
    await events.read(two);
    const bad = { kind: 'invalid', code: 'BAD_SEALED_EVENT' };
    expect(await events.read(two)).toMatchObject({ ...bad, reason: 'sealed event 2 came after 2' });
    expect(await events.read(one)).toMatchObject(bad);
    expect(await open(leaseOf(2)).read(one)).toMatchObject(bad);
    expect(await open(leaseOf(1), new Uint8Array(32).fill(4)).read(one)).toMatchObject(bad);
    expect(await open().read({ ...two, index: 7 })).toMatchObject(bad);
    expect(await open().read(line('plain'))).toMatchObject({ kind: 'invalid', code: 'UNSEALED_EVENT' });
  });

  it('is not sealed where the job is not confidential', async () => {
    const sealed = await confidentiality.createEventSealer(contentKey, leaseOf(1)).seal(line('1'));
    expect(await PLAIN_EVENTS.read(sealed)).toMatchObject({ kind: 'invalid', code: 'UNEXPECTED_ANSWER' });
    expect(await PLAIN_EVENTS.read(line('1'))).toEqual({ kind: 'valid', value: line('1') });
  });
});
