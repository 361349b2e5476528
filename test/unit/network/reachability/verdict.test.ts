import { describe, expect, it } from 'vitest';
import { INBOUND_EVIDENCE_MS, UNREACHED_AFTER_MS } from '../../../../src/network/reachability/constants.ts';
import { judgeReachability, type ReachEvidence } from '../../../../src/network/reachability/verdict.ts';

const NOTHING: ReachEvidence = {
  nowMs: 10 * INBOUND_EVIDENCE_MS,
  listens: true,
  isLoopbackOnly: false,
  announced: [],
  confirmed: [],
  lastInboundMs: null,
  outboundPeers: 0,
  firstOutboundMs: null,
};
const kindOf = (evidence: Partial<ReachEvidence>) => judgeReachability({ ...NOTHING, ...evidence }).kind;
const DIALLED = { outboundPeers: 3, firstOutboundMs: NOTHING.nowMs - UNREACHED_AFTER_MS };

describe('how a node is reached', () => {
  it('is unknown as long as nothing speaks for either', () => {
    expect(kindOf({})).toBe('unknown');
    expect(kindOf({ ...DIALLED, outboundPeers: 2 })).toBe('unknown');
    expect(kindOf({ ...DIALLED, firstOutboundMs: DIALLED.firstOutboundMs + 1 })).toBe('unknown');
    expect(kindOf({ isLoopbackOnly: true, ...DIALLED })).toBe('unknown');
  });

  it('is private where it listens nowhere, and where it dials others and nobody dials it', () => {
    expect(kindOf({ listens: false })).toBe('private');
    expect(kindOf(DIALLED)).toBe('private');
  });

  it('is public where somebody outside came, dialled back, or where the operator says so', () => {
    expect(kindOf({ ...DIALLED, lastInboundMs: NOTHING.nowMs - INBOUND_EVIDENCE_MS + 1 })).toBe('public');
    expect(kindOf({ ...DIALLED, confirmed: ['/ip4/8.8.8.8/tcp/4717'] })).toBe('public');
    expect(kindOf({ ...DIALLED, announced: ['/ip4/8.8.8.8/tcp/4717'] })).toBe('public');
  });

  it('is private again when nobody has come for an hour', () => {
    expect(kindOf({ ...DIALLED, lastInboundMs: NOTHING.nowMs - INBOUND_EVIDENCE_MS })).toBe('private');
  });
});
