import { describe, expect, it } from 'vitest';
import { describeReason } from '../../../src/network/reasons.ts';

describe('describeReason', () => {
  it.each([
    ['listen EADDRINUSE: address already in use 127.0.0.1:4717', 'the port is in use: is another daemon running?'],
    ['connect ECONNREFUSED 127.0.0.1:1', 'nobody listens there'],
    ['Message length too long - 6586 > 1024', 'it speaks another protocol; the two may have different pre-shared keys'],
    ['Can not dial self', 'the address names this node itself'],
    ['something else\n    at a stack', 'something else'],
    ['', 'no reason given'],
  ])('%j', (text, meaning) => {
    expect(describeReason(new Error(text))).toBe(meaning);
  });

  it('names each reason of several once', () => {
    const errors = ['connect ECONNREFUSED a', 'connect ECONNREFUSED b', 'odd'].map((text) => new Error(text));
    expect(describeReason(new AggregateError(errors))).toBe('nobody listens there; odd');
  });
});
