import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InboundSlots } from '../../../../src/network/neighbours/inbound/inbound-slots.ts';
import { NEIGHBOUR_DEFAULTS, NO_CAPS } from '../../../../src/network/neighbours/options.ts';
import type { InboundSlot } from '../../../../src/network/neighbours/slots.ts';
import { createPeer, createVrfKey } from '../../../support/neighbour-rig.ts';

const EPOCH = 100;
const MOST_YOUNG = 8;
const MOST_OF_A_GROUP = 8;
const AGED = { takesYoung: false };
const open = (): InboundSlots => new InboundSlots({ ...NEIGHBOUR_DEFAULTS, caps: { ...NO_CAPS, address: 2 } });

interface Shown {
  readonly epoch?: number;
  readonly key?: string;
  readonly isYoung?: boolean;
  readonly group?: string;
  readonly rank?: number;
  readonly sinceMs?: number;
}

function show(name: string, shown: Shown = {}): InboundSlot {
  const { epoch = EPOCH, key = name, isYoung = false, group = `group of ${name}`, rank = 1, sinceMs = 0 } = shown;
  return {
    peer: createPeer(name),
    epoch,
    proof: new Uint8Array(80),
    vrfPublicKey: createVrfKey(key),
    rank: new Uint8Array(32).fill(rank),
    sinceMs,
    why: isYoung ? 'genesis' : 'ranked',
    groups: [{ kind: 'address', key: group }],
  };
}

const countYoung = (slots: InboundSlots): number => slots.list().filter(({ why }) => why === 'genesis').length;
const countGroup = (slots: InboundSlots, key: string): number =>
  slots.list().filter(({ groups }) => groups.some((group) => group.key === key)).length;

describe('whoever has an inbound slot and claims again', () => {
  it('keeps it and its age by the same claim, and by one of the next epoch', () => {
    const slots = open();
    slots.place(show('peer', { sinceMs: 5 }), AGED);
    expect(slots.place(show('peer', { sinceMs: 9 }), AGED)).toEqual({ kind: 'placed', evicted: null });
    expect(slots.place(show('peer', { sinceMs: 9, epoch: EPOCH + 1 }), AGED).kind).toBe('placed');
    expect(slots.list()).toMatchObject([{ sinceMs: 5, epoch: EPOCH + 1 }]);
    slots.place(show('peer', { isYoung: true, rank: 9 }), AGED);
    expect(slots.list()).toMatchObject([{ epoch: EPOCH + 1, why: 'ranked' }]);
  });

  it('with a new key is young, and loses the slot where those of the young are taken', () => {
    const slots = open();
    for (let index = 0; index < 32; index += 1) slots.place(show(`peer ${index}`), AGED);
    const answers = Array.from({ length: 32 }, (_, index) =>
      slots.place(show(`peer ${index}`, { key: `ground ${index}`, isYoung: true, epoch: EPOCH + 1, rank: 0 }), AGED),
    );
    expect(answers.filter(({ kind }) => kind === 'placed')).toHaveLength(MOST_YOUNG);
    expect(answers.at(-1)).toMatchObject({ code: 'too-young', ended: { peer: createPeer('peer 31') } });
    expect([slots.size, countYoung(slots)]).toEqual([MOST_YOUNG, MOST_YOUNG]);
  });

  it('with a new key counts from then on', () => {
    const slots = open();
    slots.place(show('peer', { sinceMs: 5 }), AGED);
    slots.place(show('peer', { sinceMs: 9, key: 'new', isYoung: true }), AGED);
    expect(slots.list()).toMatchObject([{ sinceMs: 9, why: 'genesis' }]);
  });

  it('from other addresses counts there, and loses the slot where those of the group are taken', () => {
    const slots = open();
    for (let index = 0; index < 32; index += 1) slots.place(show(`peer ${index}`), AGED);
    const answers = Array.from({ length: 32 }, (_, index) =>
      slots.place(show(`peer ${index}`, { group: 'rack', epoch: EPOCH + (index % 2) }), AGED),
    );
    expect(answers.filter(({ kind }) => kind === 'placed')).toHaveLength(MOST_OF_A_GROUP);
    expect(answers.at(-1)).toMatchObject({ code: 'full', ended: { peer: createPeer('peer 31') } });
    expect([slots.size, countGroup(slots, 'rack')]).toEqual([MOST_OF_A_GROUP, MOST_OF_A_GROUP]);
  });

  it('needs no slot but its own when all are taken, and lets go of nobody else', () => {
    const slots = open();
    for (let index = 0; index < 32; index += 1) slots.place(show(`peer ${index}`), AGED);
    expect(slots.place(show('peer 3', { epoch: EPOCH + 1, rank: 200 }), AGED)).toEqual({
      kind: 'placed',
      evicted: null,
    });
    expect(slots.size).toBe(32);
  });

  it('after genesis is young among the young, however many got in then', () => {
    const slots = open();
    for (let index = 0; index < 20; index += 1)
      slots.place(show(`peer ${index}`, { isYoung: true }), { takesYoung: true });
    expect(slots.place(show('peer 0', { isYoung: true }), AGED).kind).toBe('placed');
    expect(slots.place(show('peer 0', { isYoung: true, epoch: EPOCH + 1 }), AGED)).toMatchObject({ code: 'too-young' });
  });

  it('and is connected from elsewhere counts there, without a claim', () => {
    const slots = open();
    for (let index = 0; index < 10; index += 1) slots.place(show(`peer ${index}`), AGED);
    const ended = Array.from({ length: 10 }, (_, index) =>
      slots.regroup(createPeer(`peer ${index}`), [{ kind: 'address', key: 'rack' }]),
    );
    expect(ended.map((slot) => slot?.peer)).toEqual([
      ...Array.from({ length: 8 }, () => undefined),
      createPeer('peer 8'),
      createPeer('peer 9'),
    ]);
    expect([slots.size, countGroup(slots, 'rack')]).toEqual([8, 8]);
    expect(slots.regroup(createPeer('stranger'), [])).toBeNull();
  });
});

describe('inbound slots', () => {
  const GROUPS = ['a', 'b', 'c'];
  const event = fc.oneof(
    {
      weight: 20,
      arbitrary: fc.record({
        kind: fc.constant('claim' as const),
        name: fc.nat({ max: 44 }).map((index) => `peer ${index}`),
        key: fc.nat({ max: 3 }).map((index) => `key ${index}`),
        isYoung: fc.boolean(),
        group: fc.constantFrom(...GROUPS, 'own'),
        rank: fc.nat({ max: 255 }),
        back: fc.nat({ max: 1 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('move' as const),
        name: fc.nat({ max: 44 }).map((index) => `peer ${index}`),
        group: fc.constantFrom(...GROUPS),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('epoch' as const) }) },
  );

  it('are never more than there are, nor those of young ones or of a group, whatever is claimed again', () => {
    let [most, mostYoung, mostOfGroup] = [0, 0, 0];
    fc.assert(
      fc.property(fc.array(event, { minLength: 100, maxLength: 300 }), (events) => {
        const slots = open();
        let epoch = EPOCH;
        for (const step of events) {
          if (step.kind === 'epoch') slots.endBefore(++epoch);
          else if (step.kind === 'move') slots.regroup(createPeer(step.name), [{ kind: 'address', key: step.group }]);
          else {
            const { name, group, back } = step;
            const key = `${name} ${step.key}`;
            const slot = show(name, {
              ...step,
              key,
              epoch: epoch - back,
              group: group === 'own' ? `group of ${name}` : group,
            });
            const { kind } = slots.place(slot, AGED);
            expect(slots.get(slot.peer) !== undefined).toBe(kind === 'placed');
          }
          const groups = GROUPS.map((group) => countGroup(slots, group));
          expect(slots.size).toBeLessThanOrEqual(32);
          expect(countYoung(slots)).toBeLessThanOrEqual(MOST_YOUNG);
          expect(Math.max(...groups)).toBeLessThanOrEqual(MOST_OF_A_GROUP);
          most = Math.max(most, slots.size);
          mostYoung = Math.max(mostYoung, countYoung(slots));
          mostOfGroup = Math.max(mostOfGroup, ...groups);
        }
      }),
      { numRuns: 60, seed: 6 },
    );
    // The sequences come to each of the bounds.
    expect([mostYoung, mostOfGroup]).toEqual([MOST_YOUNG, MOST_OF_A_GROUP]);
    expect(most).toBeGreaterThan(24);
  });
});
