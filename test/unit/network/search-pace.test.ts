import { describe, expect, it } from 'vitest';
import { SearchPace } from '../../../src/network/discovery/search-pace.ts';

/** Which of these turns are taken, none of which finds anybody. */
function listTaken(pace: SearchPace, turns: number, known = 20): readonly number[] {
  return Array.from({ length: turns }, (_, turn) => turn).filter(() => {
    const isDue = pace.isDue(known);
    if (isDue) pace.noteSearched(0);
    return isDue;
  });
}

describe('the pace of a search', () => {
  it('halves with each one in vain, down to a sixteenth', () => {
    expect(listTaken(new SearchPace(), 64)).toEqual([0, 2, 6, 14, 30, 46, 62]);
  });

  it('is the first again once somebody is found or lost', () => {
    const pace = new SearchPace();
    listTaken(pace, 15);
    pace.noteSearched(1);
    expect(listTaken(pace, 7)).toEqual([0, 2, 6]);
    expect(pace.isDue(20)).toBe(false);
    expect(pace.isDue(19)).toBe(true);
  });
});
