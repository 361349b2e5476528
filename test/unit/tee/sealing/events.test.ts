import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseId } from '../../../../src/domain/ids.ts';
import { computeObjectId } from '../../../../src/lib/cid.ts';
import { InternalError } from '../../../../src/lib/errors.ts';
import type { PlainEvent, SealedEvent } from '../../../../src/tee/interface.ts';
import { EventOpener, NumberedEventSealer } from '../../../../src/tee/sealing/events.ts';
import { patternBytes } from '../../../support/byte-streams.ts';

const contentKey = patternBytes(32, 1);
const [lease, otherLease] = [1, 2].map((byte) => LeaseId(computeObjectId(Uint8Array.of(byte)))) as [LeaseId, LeaseId];
const key = { contentKey, lease };
const opener = new EventOpener();
const refused = { info: { code: 'TEE_NOT_OPENED' } };

const ordinals = fc.record({ ordinal: fc.integer({ min: 1, max: 2 ** 50 }) }, { requiredKeys: [] });
const events: fc.Arbitrary<PlainEvent> = fc.oneof(
  fc
    .tuple(fc.constantFrom('stdout' as const, 'stderr' as const, 'log' as const), fc.string(), ordinals)
    .map(([stream, text, ordinal]) => ({ kind: 'log' as const, stream, text: text.toWellFormed(), ...ordinal })),
  fc.tuple(fc.string({ maxLength: 20 }), fc.nat(), ordinals).map(([name, step, ordinal]) => ({
    kind: 'metric' as const,
    name: name.toWellFormed(),
    value: '0.5',
    step,
    ...ordinal,
  })),
);

describe('sealed events', () => {
  it('open to what they were, numbered from 1 in the order of the calls', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(events, { maxLength: 8 }), async (plain) => {
        const sealer = new NumberedEventSealer(key);
        const order: number[] = [];
        const sealed = await Promise.all(
          plain.map(async (event) => {
            const one = await sealer.seal(event);
            order.push(one.index);
            return one;
          }),
        );
        expect(order).toEqual(plain.map((_, index) => index + 1));
        expect(await Promise.all(sealed.map((event) => opener.open(event, key)))).toEqual(plain);
      }),
      { numRuns: 12 },
    );
  });

  it('are refused under another number, of another lease or key, or altered', async () => {
    const sealed = await new NumberedEventSealer(key).seal({ kind: 'log', stream: 'stdout', text: 'line' });
    const altered = sealed.bytes.slice();
    altered[0] = (altered[0] ?? 0) ^ 1;
    await expect(opener.open({ ...sealed, index: 2 }, key)).rejects.toMatchObject(refused);
    await expect(opener.open(sealed, { contentKey, lease: otherLease })).rejects.toMatchObject(refused);
    await expect(opener.open(sealed, { contentKey: patternBytes(32, 2), lease })).rejects.toMatchObject(refused);
    await expect(opener.open({ ...sealed, bytes: altered }, key)).rejects.toMatchObject(refused);
  });

  it('are refused if what is in them is no log line or metric, though sealed with the key', async () => {
    const sealer = new NumberedEventSealer(key);
    const phase = { kind: 'phase', phase: 'running' } as unknown as PlainEvent;
    await expect(sealer.seal(phase).then((event) => opener.open(event, key))).rejects.toThrow('neither a log line');
  });

  it('do not open with a key that was forgotten and erased', async () => {
    const own = { contentKey: patternBytes(32, 3), lease };
    const sealed = await new NumberedEventSealer(own).seal({ kind: 'log', stream: 'stdout', text: 'line' });
    expect(await opener.open(sealed, own)).toMatchObject({ text: 'line' });
    opener.forget(own.contentKey);
    own.contentKey.fill(0);
    await expect(opener.open(sealed, own)).rejects.toThrow(InternalError);
  });

  it('garbage is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), fc.integer({ min: 1 }), async (bytes, index) => {
        await expect(opener.open({ kind: 'sealed', index, bytes }, key)).rejects.toMatchObject(refused);
      }),
      { numRuns: 40 },
    );
  });

  it('equal events of two places do not look alike', async () => {
    const sealers = [new NumberedEventSealer(key), new NumberedEventSealer({ contentKey, lease: otherLease })];
    const event: PlainEvent = { kind: 'log', stream: 'stdout', text: 'the same' };
    const sealed: SealedEvent[] = [];
    for (const sealer of sealers) sealed.push(await sealer.seal(event), await sealer.seal(event));
    expect(new Set(sealed.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).size).toBe(4);
  });

  it('one that cannot be sealed does not hold up the next', async () => {
    const sealer = new NumberedEventSealer(key);
    const large = sealer.seal({ kind: 'log', stream: 'log', text: 'x'.repeat(72 * 1024) });
    const next = sealer.seal({ kind: 'log', stream: 'log', text: 'y' });
    await expect(large).rejects.toThrow(InternalError);
    expect((await next).index).toBe(2);
  });
});
