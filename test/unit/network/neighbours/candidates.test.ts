import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  collectAddressGroups,
  collectSystemGroups,
} from '../../../../src/network/neighbours/candidates/address-groups.ts';
import { CandidateTable } from '../../../../src/network/neighbours/candidates/candidate-table.ts';
import {
  deriveDensityKeys,
  estimateAround,
  SizeEstimator,
} from '../../../../src/network/neighbours/candidates/size-estimator.ts';
import { CANDIDATE_TABLE_DEFAULTS } from '../../../../src/network/neighbours/options.ts';
import type { AutonomousSystems, NodeFacts } from '../../../../src/network/neighbours/ports.ts';
import { CountingRandom, createPeer, createVrfKey } from '../../../support/neighbour-rig.ts';

const EPOCH = 100;
const keysOf = (addresses: string[], usesPrivate = false): string[] =>
  collectAddressGroups(addresses, { usesPrivate }).map(({ key }) => key);

describe('groups of addresses', () => {
  it('are /24 of IPv4 and /48 of IPv6', () => {
    expect(keysOf(['/ip4/203.0.113.7/tcp/4717', '/ip4/203.0.113.9/udp/1', '/ip4/198.51.100.1/tcp/1'])).toEqual([
      '203.0.113.0/24',
      '198.51.100.0/24',
    ]);
    expect(keysOf(['/ip6/2001:db8:1:2::7/tcp/1', '/ip6/2001:0db8:1:ffff:1:2:3:4/tcp/1'])).toEqual(['2001:db8:1::/48']);
    expect(keysOf(['/ip6/::ffff:203.0.113.7/tcp/1'])).toEqual(['203.0.113.0/24']);
  });

  it('leave out names, and private addresses unless the network is private', () => {
    const inside = [
      '/ip4/192.168.1.2/tcp/1',
      '/ip4/10.1.2.3/tcp/1',
      '/ip4/127.0.0.1/tcp/1',
      '/ip6/fd00::1/tcp/1',
      '/ip6/::1/tcp/1',
    ];
    expect(keysOf([...inside, '/dns4/example.org/tcp/1'])).toEqual([]);
    expect(keysOf(inside, true)).toHaveLength(5);
  });

  it('never throw for what a record can say', () => {
    fc.assert(fc.property(fc.array(fc.string({ maxLength: 60 })), (addresses) => void keysOf(addresses, true)));
    const ip6 = fc.string({ maxLength: 40, unit: fc.constantFrom(':', '0', 'f', '1', '::') });
    fc.assert(fc.property(ip6, (host) => void keysOf([`/ip6/${host}/tcp/1`])));
  });
});

describe('groups by autonomous system', () => {
  const asked: string[] = [];
  const autonomousSystems: AutonomousSystems = {
    find: (ip) => {
      asked.push(ip);
      return ip.startsWith('203.') || ip.includes(':') ? 64_500 : null;
    },
  };

  it('are those of the public addresses, each once', () => {
    const addresses = ['/ip4/203.0.113.7/tcp/1', '/ip6/2001:db8::1/tcp/1', '/ip4/198.51.100.1/tcp/1'];
    expect(collectSystemGroups(addresses, autonomousSystems)).toEqual([{ kind: 'asn', key: 'AS64500' }]);
    asked.length = 0;
    const others = [
      '/ip4/10.1.2.3/tcp/1',
      '/ip6/fd00::1/tcp/1',
      '/ip4/127.0.0.1/tcp/1',
      '/dns4/example.org/tcp/1',
      'x',
    ];
    expect(collectSystemGroups(others, autonomousSystems)).toEqual([]);
    expect(collectSystemGroups(['/ip6/::ffff:203.0.113.7/tcp/1'], autonomousSystems)).toHaveLength(1);
    expect(asked).toEqual(['203.0.113.7']);
  });

  it('have at most their share of the table, and crowd out their own kind only', () => {
    const table = new CandidateTable(
      { random: new CountingRandom('systems'), autonomousSystems },
      { ...CANDIDATE_TABLE_DEFAULTS, maxCandidates: 20, maxPerSystem: 10, usesPrivate: false },
    );
    const enter = (name: string, address: string): boolean => {
      const node = { peer: createPeer(name), vrfPublicKey: createVrfKey(name), addresses: [address], expiresAtMs: 1e6 };
      return table.note({ node, teller: 'one', epoch: EPOCH });
    };
    for (let index = 0; index < 8; index += 1) enter(`other ${index}`, `/ip4/198.51.${index}.1/tcp/1`);
    for (let index = 0; index < 50; index += 1) enter(`system ${index}`, `/ip4/203.0.${index}.1/tcp/1`);
    expect(table.size).toBe(18);
    for (let index = 0; index < 8; index += 1) expect(table.get(createPeer(`other ${index}`))).toBeDefined();
    expect(table.get(createPeer('system 49'))?.candidate.groups).toEqual([
      { kind: 'address', key: '203.0.49.0/24' },
      { kind: 'asn', key: 'AS64500' },
    ]);
    table.sweep(EPOCH + 2);
    expect(enter('one more', '/ip4/203.1.0.1/tcp/1')).toBe(false);
    expect(enter('elsewhere', '/ip4/198.51.99.1/tcp/1')).toBe(true);
  });
});

describe('the table of candidates', () => {
  let table: CandidateTable;
  const open = (options: Partial<typeof CANDIDATE_TABLE_DEFAULTS> = {}): CandidateTable =>
    new CandidateTable(
      { random: new CountingRandom('table') },
      { ...CANDIDATE_TABLE_DEFAULTS, usesPrivate: false, ...options },
    );
  const facts = (name: string, change: Partial<NodeFacts> = {}): NodeFacts => ({
    peer: createPeer(name),
    vrfPublicKey: createVrfKey(name),
    addresses: [],
    expiresAtMs: 1_000_000,
    ...change,
  });
  const note = (name: string, epoch: number, change: Partial<NodeFacts> = {}, teller = 'one'): boolean =>
    table.note({ node: facts(name, change), teller, epoch });
  const eligible = (epoch = EPOCH, nowMs = 0): string[] =>
    [...table.eligible({ epoch, nowMs, isGenesis: false })].map(({ candidate }) => candidate.peer);

  beforeEach(() => {
    table = open();
  });

  it('gives those that are two epochs old and have a valid record', () => {
    note('old', EPOCH - 2);
    note('young', EPOCH - 1);
    note('expired', EPOCH - 2, { expiresAtMs: 10 });
    expect(eligible(EPOCH, 31_000)).toEqual([createPeer('old')]);
    expect([...table.eligible({ epoch: EPOCH, nowMs: 0, isGenesis: true })]).toHaveLength(3);
  });

  it('restarts the age of a peer whose VRF key is new', () => {
    note('peer', EPOCH - 5);
    note('peer', EPOCH, { vrfPublicKey: createVrfKey('new') });
    expect(eligible()).toEqual([]);
    expect(eligible(EPOCH + 2)).toEqual([createPeer('peer')]);
  });

  it('never pushes out aged ones for newcomers, however many', () => {
    table = open({ maxCandidates: 10 });
    for (let index = 0; index < 6; index += 1) note(`aged ${index}`, EPOCH - 2);
    table.sweep(EPOCH);
    for (let index = 0; index < 200; index += 1) note(`flood ${index}`, EPOCH);
    expect(table.size).toBe(10);
    expect(eligible()).toHaveLength(6);
  });

  it('has no place for newcomers among aged ones only, and none is lost for one', () => {
    table = open({ maxCandidates: 3 });
    for (let index = 0; index < 3; index += 1) note(`aged ${index}`, EPOCH - 2);
    table.sweep(EPOCH);
    expect(note('newcomer', EPOCH)).toBe(false);
    expect(table.size).toBe(3);
  });

  it('keeps young ones that were connected', () => {
    table = open({ maxCandidates: 4 });
    note('met', EPOCH);
    table.noteObserved(createPeer('met'), []);
    for (let index = 0; index < 100; index += 1) note(`flood ${index}`, EPOCH);
    expect(table.get(createPeer('met'))).toBeDefined();
  });

  it('takes no more of one address group than its cap', () => {
    table = open({ maxPerGroup: 5 });
    for (let index = 0; index < 50; index += 1)
      note(`rack ${index}`, EPOCH, { addresses: [`/ip4/203.0.113.${index}/tcp/1`] });
    note('elsewhere', EPOCH, { addresses: ['/ip4/198.51.100.1/tcp/1'] });
    expect(table.size).toBe(6);
    expect(table.get(createPeer('elsewhere'))).toBeDefined();
  });

  it('counts where a peer really is beside what its record says, whatever it says later', () => {
    const address = (group: number) => [`/ip4/203.0.${group}.1/tcp/1`];
    const groups = (): string[] => table.get(createPeer('peer'))?.candidate.groups.map(({ key }) => key) ?? [];
    note('peer', EPOCH, { addresses: address(1) });
    table.noteObserved(createPeer('peer'), ['/ip4/45.0.9.1/tcp/9']);
    note('peer', EPOCH, { addresses: address(2), expiresAtMs: 2_000_000 });
    expect(groups()).toEqual(['45.0.9.0/24', '203.0.2.0/24']);
  });

  const groupsOf = (name: string): string[] =>
    table.get(createPeer(name))?.candidate.groups.map(({ key }) => key) ?? [];
  const at = (group: string | number, host = 1): string[] => [`/ip4/203.0.${group}.${host}/tcp/1`];

  it('takes no record by which an aged pair moves to where as many are as may be', () => {
    table = open({ maxPerGroup: 5 });
    for (let index = 0; index < 20; index += 1) note(`aged ${index}`, EPOCH - 2, { addresses: at(index + 1) });
    table.sweep(EPOCH);
    for (let index = 0; index < 20; index += 1) {
      note(`aged ${index}`, EPOCH, { addresses: at(99, index), expiresAtMs: 2_000_000 });
    }
    const moved = Array.from({ length: 20 }, (_, index) => groupsOf(`aged ${index}`)[0]);
    expect(moved.filter((group) => group === '203.0.99.0/24')).toHaveLength(5);
    expect(moved.at(-1)).toBe('203.0.20.0/24');
    expect(eligible(EPOCH, 1_500_000)).toHaveLength(5);
    expect(eligible(EPOCH, 500_000)).toHaveLength(20);
  });

  it('forgets a pair that is met where as many are as may be', () => {
    table = open({ maxPerGroup: 5 });
    for (let index = 0; index < 20; index += 1) note(`aged ${index}`, EPOCH - 2, { addresses: at(index + 1) });
    table.sweep(EPOCH);
    const kept = Array.from({ length: 20 }, (_, index) =>
      table.noteObserved(createPeer(`aged ${index}`), [`/ip4/45.0.9.${index}/tcp/9`]),
    );
    expect(kept).toEqual([...Array.from({ length: 5 }, () => true), ...Array.from({ length: 15 }, () => false)]);
    expect(table.size).toBe(5);
    expect(table.noteObserved(createPeer('aged 2'), ['/ip4/45.0.9.77/tcp/9'])).toBe(true);
    expect(table.noteObserved(createPeer('nobody'), ['/ip4/45.0.9.77/tcp/9'])).toBe(true);
    expect(table.takeChanges().removed).toHaveLength(15);
  });

  it('lets a young one that nobody met make room for whoever moves there', () => {
    table = open({ maxPerGroup: 2 });
    for (let index = 0; index < 2; index += 1) note(`young ${index}`, EPOCH, { addresses: at(9, index) });
    note('peer', EPOCH, { addresses: at(1) });
    expect(table.noteObserved(createPeer('peer'), at(9, 7))).toBe(true);
    expect(table.size).toBe(2);
    expect(groupsOf('peer')).toEqual(['203.0.9.0/24', '203.0.1.0/24']);
  });

  it('never has more of one group than its cap, whatever comes in which order', () => {
    const names = fc.nat({ max: 30 }).map((index) => `peer ${index}`);
    const step = fc.record({
      kind: fc.constantFrom('record', 'met', 'epoch'),
      name: names,
      groups: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }),
      isNewKey: fc.boolean(),
    });
    let most = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 60, maxLength: 150 }), (steps) => {
        table = open({ maxPerGroup: 4, maxCandidates: 24 });
        let epoch = EPOCH;
        let expiresAtMs = 1_000_000;
        for (const { kind, name, groups, isNewKey } of steps) {
          const addresses = groups.flatMap((group) => at(group));
          expiresAtMs += 1;
          if (kind === 'epoch') table.sweep(++epoch);
          else if (kind === 'met') table.noteObserved(createPeer(name), addresses);
          else note(name, epoch, { addresses, expiresAtMs, vrfPublicKey: createVrfKey(`${name} ${isNewKey}`) });
          const counts = new Map<string, number>();
          for (const { candidate } of table.eligible({ epoch, nowMs: 0, isGenesis: true })) {
            for (const { key } of candidate.groups) counts.set(key, (counts.get(key) ?? 0) + 1);
          }
          const { unknown = 0, ...named } = Object.fromEntries(counts);
          most = Math.max(most, ...Object.values(named));
          expect(Math.max(0, ...Object.values(named))).toBeLessThanOrEqual(4);
          expect(unknown).toBeLessThanOrEqual(6);
          expect(table.size).toBeLessThanOrEqual(24);
        }
      }),
      { numRuns: 60, seed: 6 },
    );
    expect(most).toBe(4);
  });

  it('takes all without a public address for one group, and a relay for none of theirs', () => {
    table = open({ maxPerGroup: 2, maxCandidates: 40 });
    const addresses = ['/ip4/45.0.9.1/tcp/9/p2p/x/p2p-circuit', '/ip4/10.0.0.1/tcp/1'];
    for (let index = 0; index < 60; index += 1) note(`hidden ${index}`, EPOCH, { addresses });
    expect(table.size).toBe(10);
    expect([...table.eligible({ epoch: EPOCH, nowMs: 0, isGenesis: true })][0]?.candidate.groups).toEqual([
      { kind: 'address', key: 'unknown' },
    ]);
  });

  it('forgets those that were long gone, and says so to the disk', () => {
    note('gone', EPOCH - 30);
    note('here', EPOCH - 30);
    note('here', EPOCH, { expiresAtMs: 2_000_000 });
    table.takeChanges();
    table.sweep(EPOCH);
    expect(table.get(createPeer('gone'))).toBeUndefined();
    expect(table.takeChanges()).toMatchObject({ removed: [createPeer('gone')] });
    expect(eligible()).toEqual([createPeer('here')]);
  });

  it('keeps ages over a restart, and nobody is eligible before a record is seen', () => {
    note('old', EPOCH - 5);
    const { put } = table.takeChanges();
    expect(put).toHaveLength(1);
    const again = open();
    again.restore({ beganEpoch: EPOCH - 5, candidates: put }, EPOCH);
    expect([...again.eligible({ epoch: EPOCH, nowMs: 500_000, isGenesis: true })]).toEqual([]);
    again.note({ node: facts('old'), teller: 'two', epoch: EPOCH });
    expect([...again.eligible({ epoch: EPOCH, nowMs: 0, isGenesis: false })]).toHaveLength(1);
    expect(again.beganEpoch).toBe(EPOCH - 5);
    expect(again.get(createPeer('old'))?.isConfirmed).toBe(false);
  });

  it('counts what is not on disk, says so, and tells again what could not be written', () => {
    let told = 0;
    table = new CandidateTable(
      { random: new CountingRandom('table'), onUnsaved: () => void (told += 1) },
      { ...CANDIDATE_TABLE_DEFAULTS, usesPrivate: false },
    );
    note('gone', EPOCH - 30);
    note('here', EPOCH);
    expect([table.unsaved, told]).toEqual([2, 2]);
    table.sweep(EPOCH);
    expect([table.unsaved, told]).toEqual([2, 3]);
    const changes = table.takeChanges();
    expect(table.unsaved).toBe(0);
    table.putBackChanges(changes);
    expect(table.takeChanges()).toEqual(changes);
    note('gone', EPOCH);
    table.putBackChanges(changes);
    const again = table.takeChanges();
    expect(again.removed).toEqual([]);
    expect(again.put.map(({ peer }) => peer).toSorted()).toEqual([createPeer('gone'), createPeer('here')].toSorted());
  });

  it('takes a pair for confirmed once a second source told of it', () => {
    note('peer', EPOCH);
    note('peer', EPOCH);
    expect(table.get(createPeer('peer'))?.isConfirmed).toBe(false);
    note('peer', EPOCH, {}, 'two');
    expect(table.get(createPeer('peer'))?.isConfirmed).toBe(true);
  });
});

describe('the estimate of the size', () => {
  it('finds the number of peers from the density around points that nobody can choose', () => {
    const peers = Array.from({ length: 3_000 }, (_, index) => createVrfKey(`peer ${index}`));
    const keys = deriveDensityKeys(createVrfKey('output'));
    const estimates = keys.map((key) => estimateAround(key, peers) ?? 0);
    const median = estimates.toSorted((a, b) => a - b)[2] ?? 0;
    expect(keys).toHaveLength(5);
    expect(median).toBeGreaterThan(2_000);
    expect(median).toBeLessThan(4_500);
    expect(estimateAround(keys[0] ?? new Uint8Array(1), peers.slice(0, 5))).toBeNull();
  });

  it('needs most of the targets, and never says less than is known', () => {
    const sizes = new SizeEstimator();
    sizes.begin(1, { known: 50, neighbours: new Set() });
    sizes.noteDensity(1, [500, null, null, null, 900]);
    expect(sizes.size).toBe(51);
    sizes.noteDensity(1, [500, null, 700, null, 900]);
    expect(sizes.size).toBe(701);
    sizes.noteDensity(1, [5, 5, 5, 5, 5]);
    expect(sizes.size).toBe(51);
    sizes.noteDensity(2, [500, 500, 500, 500, 500]);
    expect(sizes.size).toBe(51);
  });

  it('is never less than half of what this node knows itself, whatever the neighbours say', () => {
    const sizes = new SizeEstimator();
    const peers = ['a', 'b', 'c'].map(createPeer);
    const neighbours = new Set(peers);
    for (let epoch = 1; epoch < 8; epoch += 1) {
      sizes.begin(epoch, { known: 99, neighbours });
      for (const peer of peers) sizes.noteReport(peer, 1);
    }
    expect(sizes.size).toBe(50);
  });

  it('forgets what peers said that are neighbours no more', () => {
    const sizes = new SizeEstimator();
    const peers = ['a', 'b', 'c'].map(createPeer);
    sizes.begin(1, { known: 100, neighbours: new Set() });
    for (const peer of peers) sizes.noteReport(peer, 1_000);
    sizes.begin(2, { known: 100, neighbours: new Set(peers) });
    expect(sizes.size).toBe(202);
    sizes.begin(3, { known: 100, neighbours: new Set() });
    expect(sizes.size).toBe(101);
  });
});
