import { describe, expect, it } from 'vitest';
import { describeReachability } from '../../../src/cli/doctor/reachability.ts';

const NOTHING = { reason: 'a reason', relays: [], relaying: null };

describe('what doctor says of how a node is reached', () => {
  it('is all well where peers outside can connect, and how many it relays for', () => {
    const check = describeReachability({ ...NOTHING, kind: 'public', relaying: { taken: 2, of: 64 } });
    expect(check).toMatchObject({ status: 'ok', remedy: null });
    expect(check.detail).toContain('relays for 2 of at most 64 nodes');
  });

  it('tells an operator behind NAT what goes through relays, and that hole punching does not work', () => {
    const check = describeReachability({ ...NOTHING, kind: 'private', relays: ['12D3KooA'] });
    expect(check.status).toBe('degraded');
    expect(check.detail).toMatch(/reached through 1 relay:.*blobs only.*hole punching is not offered/);
    expect(check.remedy).toContain('nat.upnp');
  });

  it('names relay.through where no relay has given a place', () => {
    const check = describeReachability({ ...NOTHING, kind: 'private' });
    expect(check.status).toBe('degraded');
    expect(check.remedy).toContain('relay.through');
  });

  it('claims nothing that is not known', () => {
    expect(describeReachability({ ...NOTHING, kind: 'unknown' })).toMatchObject({ status: 'ok', remedy: null });
  });
});
