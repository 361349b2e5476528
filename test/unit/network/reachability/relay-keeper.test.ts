import { beforeAll, describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import { RELAY_RETRY_MS, RELAYS_HELD } from '../../../../src/network/reachability/constants.ts';
import { RelayKeeper } from '../../../../src/network/reachability/relay-keeper.ts';
import { createTestIdentity, RecordingLogger } from '../../../support/network.ts';
import { ManualClock } from '../../../support/stream-harness.ts';

let relays: readonly PeerKey[];
beforeAll(async () => {
  relays = await Promise.all(Array.from({ length: 4 }, async () => (await createTestIdentity()).peer));
});

interface Setup {
  readonly through?: readonly string[];
  readonly refusing?: readonly PeerKey[];
  readonly groups?: (relay: PeerKey) => string | null;
}

function create({ through = [], refusing = [], groups = () => null }: Setup = {}) {
  const clock = new ManualClock();
  const held = new Set<string>();
  const asked: string[] = [];
  let searches = 0;
  const keeper = new RelayKeeper(
    {
      clock,
      random: new SystemRandom(),
      logger: new RecordingLogger(),
      places: {
        list: () => [...held],
        take: async (relay) => {
          asked.push(relay);
          if (refusing.includes(relay)) throw new TypeError('full');
          held.add(relay);
        },
      },
      dial: async (address) => address as PeerKey,
      seek: async () => {
        searches += 1;
      },
      groupOf: groups,
    },
    { through },
  );
  return { clock, held, asked, keeper, searches: () => searches };
}

describe('places at relays', () => {
  it('are taken at no more relays than are needed, and at another when one is gone', async () => {
    const { keeper, held, asked } = create();
    for (const relay of relays) keeper.noteRelay(relay);
    await keeper.fill();
    expect(held.size).toBe(RELAYS_HELD);
    const [lost = ''] = held;
    held.delete(lost);
    keeper.noteGone(lost as PeerKey);
    await keeper.fill();
    expect(held.size).toBe(RELAYS_HELD);
    expect(held.has(lost)).toBe(false);
    expect(asked).toHaveLength(RELAYS_HELD + 1);
  });

  it("are taken at the operator's relays first", async () => {
    const [named = '' as PeerKey, other = '' as PeerKey] = relays;
    const { keeper, asked } = create({ through: [named] });
    keeper.noteRelay(other);
    await keeper.fill();
    expect(asked).toEqual([named, other]);
  });

  it('are asked for again at a relay that refused, with growing waits', async () => {
    const [full = '' as PeerKey] = relays;
    const { keeper, asked, clock } = create({ refusing: [full] });
    keeper.noteRelay(full);
    await keeper.fill();
    await keeper.fill();
    expect(asked).toHaveLength(1);
    clock.advance(RELAY_RETRY_MS.first);
    await keeper.fill();
    clock.advance(RELAY_RETRY_MS.first);
    await keeper.fill();
    expect(asked).toHaveLength(2);
    clock.advance(RELAY_RETRY_MS.first);
    await keeper.fill();
    expect(asked).toHaveLength(3);
  });

  it('are spread over address groups where there is a choice', async () => {
    const last = relays.at(-1);
    const { keeper, held } = create({ groups: (relay) => (relay === last ? 'b' : 'a') });
    for (const relay of relays) keeper.noteRelay(relay);
    await keeper.fill();
    expect(held.has(last ?? '')).toBe(true);
    expect(held.size).toBe(RELAYS_HELD);
  });

  it('are looked for in the DHT only when those at hand do not do, and not all the time', async () => {
    const { keeper, searches, clock } = create();
    await keeper.fill();
    await keeper.fill();
    expect(searches()).toBe(1);
    clock.advance(RELAY_RETRY_MS.first);
    for (const relay of relays) keeper.noteRelay(relay);
    await keeper.fill();
    expect(searches()).toBe(1);
  });
});
