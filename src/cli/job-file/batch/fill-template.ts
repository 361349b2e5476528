import { BUILT_IN_VARIABLES, PLACEHOLDER_PATTERN } from '../../../domain/job-batch-file.ts';

export type Variables = ReadonlyMap<string, string>;

/** What is wrong with a row, in words. */
export class RowProblem extends TypeError {}

/** Text with the values of its variables. @throws RowProblem for one that has none */
export function fillTemplate(text: string, variables: Variables): string {
  if (!text.includes('${')) return text;
  return text.replaceAll(PLACEHOLDER_PATTERN, (found, name: string) => {
    if (found.startsWith('$$')) return found.slice(1);
    const value = variables.get(name);
    if (value !== undefined) return value;
    const known = [...variables.keys(), ...BUILT_IN_VARIABLES.filter((builtIn) => !variables.has(builtIn))];
    throw new RowProblem(`there is no value for \${${name}}; it has: ${known.join(', ')}`);
  });
}
