import { describe, expect, it } from 'vitest';
import { createMutants, findChecks } from '../../../scripts/programs/mutation/mutants.ts';

const SOURCE = `
fn one(data: &[u8]) -> ProgramResult {
    let [a, b] = some!("one.accounts", call.accounts.first_chunk_mut(), NotEnoughAccounts);
    check!("one.signed", a.is_signer(), MissingSignature);
    check!(
        "one.small",
        get(a, (1, 2)) <= MAX || b == ")",
        TooLarge
    );
    refuse!("one.never", Unknown)
}
`;

describe('mutants', () => {
  it('are made of each check that the source has', () => {
    expect(findChecks(SOURCE)).toEqual(['one.accounts', 'one.signed', 'one.small', 'one.never']);
  });

  it('lack one check each, and nothing else', () => {
    const mutants = createMutants(SOURCE);
    expect(mutants.map(({ check, change }) => `${check}: ${change}`)).toEqual([
      'one.accounts: removed',
      'one.signed: removed',
      'one.signed: negated',
      'one.small: removed',
      'one.small: negated',
      'one.small: <= to <',
      'one.small: without `get(a, (1, 2)) <= MAX`',
      'one.small: without `b == ")"`',
      'one.never: accepted',
    ]);
    const [accounts, removed, negated, , , boundary, , operand, never] = mutants.map(({ source }) => source);
    expect(accounts).toContain(
      'Some(unsafe { (call.accounts.first_chunk_mut()).unwrap_unchecked() }), NotEnoughAccounts)',
    );
    expect(removed).toContain('check!("one.signed", true || (a.is_signer()), MissingSignature)');
    expect(negated).toContain('check!("one.signed", !(a.is_signer()), MissingSignature)');
    expect(boundary).toContain('get(a, (1, 2)) < MAX || b == ")"');
    expect(operand).toContain('check!("one.small", get(a, (1, 2)) <= MAX , TooLarge)');
    expect(never).toContain('    return Ok(())\n}');
    expect(mutants.every(({ source }) => source.split('\n').length >= SOURCE.split('\n').length - 4)).toBe(true);
  });

  it('refuse a source that is cut off', () => {
    expect(() => createMutants('check!("a", b')).toThrow(/not closed/);
  });
});
