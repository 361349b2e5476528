import { describe, expect, it } from 'vitest';
import { TOPIC_NAMES, TOPICS, type TopicSpec } from '../../../../src/network/gossip/topics.ts';
import { refuseBy, type VerdictRule, type VerdictTable } from '../../../../src/network/gossip/verdict-rule.ts';
import { GOSSIP_VERDICTS } from '../../../../src/network/gossip/verdicts.ts';

const TABLES: readonly VerdictTable[] = Object.values(GOSSIP_VERDICTS);
const RULES: readonly (readonly [string, VerdictRule])[] = TABLES.flatMap((table) => Object.entries(table));

describe('the table of verdicts', () => {
  it('calls no two rules by one name', () => {
    const codes = RULES.map(([code]) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it.each(RULES)('%s costs something if and only if it rejects', (_code, rule) => {
    expect(rule.penalty > 0).toBe(rule.kind === 'reject');
    expect(rule.meaning.length).toBeGreaterThan(10);
  });

  it.each(TOPIC_NAMES)('the rules that hold for every topic stand in that of %s', (name) => {
    const { gate, verdicts }: TopicSpec = TOPICS[name];
    const rejects = [gate.tooLarge, gate.malformed, gate.flood];
    // Nobody pays for what others publish, for what is wanted no more, or for passing much on.
    const ignores = [gate.neighbourRate, gate.publisherRate, ...(gate.unserved === null ? [] : [gate.unserved])];
    expect(rejects.map((code) => verdicts[code]?.kind)).toEqual(rejects.map(() => 'reject'));
    expect(ignores.map((code) => verdicts[code]?.kind)).toEqual(ignores.map(() => 'ignore'));
  });

  it('gives the verdict that stands there, and none that does not', () => {
    expect(refuseBy(GOSSIP_VERDICTS.router, 'GOSSIP_FORGED')).toEqual({
      kind: 'reject',
      code: 'GOSSIP_FORGED',
      penalty: 20,
    });
    expect(refuseBy(GOSSIP_VERDICTS.jobs, 'NETWORK_ANNOUNCEMENT_SEEN')).toEqual({
      kind: 'ignore',
      code: 'NETWORK_ANNOUNCEMENT_SEEN',
    });
    const records: VerdictTable = GOSSIP_VERDICTS.records;
    expect(() => refuseBy(records, 'GOSSIP_FORGED')).toThrow(TypeError);
  });
});
