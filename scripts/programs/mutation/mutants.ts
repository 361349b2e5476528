/** Finds the checks of a Rust source (check.rs of a program) and writes it anew without one of them. Pure. */

export interface Mutant {
  /** First argument of the macro, such as `append.signed`. */
  readonly check: string;
  /** What was done to it, in words. */
  readonly change: string;
  /** The whole file, changed. */
  readonly source: string;
}

interface Call {
  readonly macro: string;
  readonly args: readonly string[];
  /** Of the whole call. */
  readonly start: number;
  readonly end: number;
}

const CALL = /\b(check|some|refuse)!\(/g;
const OPENING = '([{';
const CLOSING = ')]}';
/** The other side of each boundary. */
const BOUNDARIES: readonly (readonly [operator: RegExp, other: string])[] = [
  [/(?<= )<(?= )/, '<='],
  [/(?<= )<=(?= )/, '<'],
  [/(?<= )>(?= )/, '>='],
  [/(?<= )>=(?= )/, '>'],
];

export function findChecks(source: string): string[] {
  return findCalls(source).map(({ args }) => idOf(args));
}

export function createMutants(source: string): Mutant[] {
  return findCalls(source).flatMap((call) =>
    mutateCall(call).map(({ change, text }) => ({
      check: idOf(call.args),
      change,
      source: source.slice(0, call.start) + text + source.slice(call.end),
    })),
  );
}

function idOf(args: readonly string[]): string {
  return (args[0] ?? '').slice(1, -1);
}

interface Change {
  readonly change: string;
  /** What stands in the place of the call. */
  readonly text: string;
}

function mutateCall({ macro, args }: Call): Change[] {
  const [id = '', value = '', error = ''] = args;
  if (macro === 'refuse') return [{ change: 'accepted', text: 'return Ok(())' }];
  if (macro === 'some') {
    return [{ change: 'removed', text: `some!(${id}, Some(unsafe { (${value}).unwrap_unchecked() }), ${error})` }];
  }
  const withCondition = (change: string, condition: string): Change => ({
    change,
    text: `check!(${id}, ${condition}, ${error})`,
  });
  return [
    withCondition('removed', `true || (${value})`),
    withCondition('negated', `!(${value})`),
    ...BOUNDARIES.filter(([operator]) => operator.test(value)).map(([operator, other]) =>
      withCondition(`${operator.exec(value)?.[0]} to ${other}`, value.replace(operator, other)),
    ),
    ...splitOutside(value, '||').flatMap((_, index, operands) =>
      operands.length < 2
        ? []
        : [
            withCondition(
              `without \`${operands[index]?.trim()}\``,
              operands.filter((__, at) => at !== index).join('||'),
            ),
          ],
    ),
  ];
}

function findCalls(source: string): Call[] {
  return [...source.matchAll(CALL)].map((match) => {
    const inside = match.index + match[0].length;
    const end = findEnd(source, inside);
    const args = splitOutside(source.slice(inside, end), ',').map((text) => text.trim());
    return { macro: match[1] ?? '', args: args.filter((text) => text !== ''), start: match.index, end: end + 1 };
  });
}

/** Where the parenthesis that was opened before `start` is closed. */
function findEnd(source: string, start: number): number {
  for (let index = start, depth = 0; index < source.length; index += 1) {
    const character = source[index] ?? '';
    if (character === '"') index = source.indexOf('"', index + 1);
    else if (OPENING.includes(character)) depth += 1;
    else if (CLOSING.includes(character) && depth === 0) return index;
    else if (CLOSING.includes(character)) depth -= 1;
  }
  throw new Error(`a macro call at offset ${start} is not closed`);
}

/** Parts of `text` between separators that stand in no string and no parentheses. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? '';
    if (character === '"') index = text.indexOf('"', index + 1);
    else if (OPENING.includes(character)) depth += 1;
    else if (CLOSING.includes(character)) depth -= 1;
    else if (depth === 0 && text.startsWith(separator, index)) {
      parts.push(text.slice(from, index));
      index += separator.length - 1;
      from = index + 1;
    }
  }
  return [...parts, text.slice(from)];
}
