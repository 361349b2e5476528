import { isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml';
import { type JobFile, jobFileSchema, MAX_JOB_FILE_BYTES } from '../../domain/job-file.ts';
import { describeError } from '../../lib/errors.ts';
import { describeIssues } from './describe-issues.ts';
import type { FieldLocator, JobFileParse, JobFileProblem } from './interface.ts';

/** Aliases that a document may expand: a bomb of nested ones is refused. */
const MAX_ALIASES = 100;

/** Reads a job file (YAML 1.2, of which JSON is a part). Never throws for what is in the text; gives every problem. */
export function parseJobFile(text: string): JobFileParse {
  if (text.length > MAX_JOB_FILE_BYTES) return { kind: 'invalid', problems: [tooLarge()] };
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    stringKeys: true,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const syntaxProblems = document.errors.map((error) => syntaxProblem(error.message, lines.linePos(error.pos[0])));
  if (syntaxProblems.length > 0) return { kind: 'invalid', problems: syntaxProblems };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    return { kind: 'invalid', problems: [syntaxProblem(describeError(error), { line: 1, col: 1 })] };
  }
  const locate = createLocator(document.contents, lines);
  const result = jobFileSchema.safeParse(value);
  if (result.success) return { kind: 'valid', jobFile: result.data satisfies JobFile, locate };
  return { kind: 'invalid', problems: describeIssues(result.error.issues, value, locate).toSorted(byPlace) };
}

function byPlace(a: JobFileProblem, b: JobFileProblem): number {
  return a.line - b.line || a.column - b.column;
}

function tooLarge(): JobFileProblem {
  return {
    severity: 'error',
    line: 1,
    column: 1,
    field: '',
    message: `the file is larger than ${MAX_JOB_FILE_BYTES} bytes`,
    hint: 'Name input files in it; do not put their content into it.',
  };
}

function syntaxProblem(message: string, place: { readonly line: number; readonly col: number }): JobFileProblem {
  return {
    severity: 'error',
    line: Math.max(1, place.line),
    column: Math.max(1, place.col),
    field: '',
    message: message.split('\n')[0] ?? message,
    hint: 'The file must be one YAML or JSON document: check indentation, quotes, brackets and repeated names.',
  };
}

/** Points at the name for a field of a map, at the item for one of a list, at the nearest parent for what is absent. */
function createLocator(root: ParsedNode | null, lines: LineCounter): FieldLocator {
  return (field) => {
    let offset = root?.range?.[0] ?? 0;
    let node: unknown = root;
    for (const part of field) {
      const next = stepInto(node, part);
      if (next === undefined) break;
      offset = next.offset;
      node = next.node;
    }
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
}

function stepInto(node: unknown, part: PropertyKey): { readonly offset: number; readonly node: unknown } | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(part)] as Node | undefined;
    const offset = item?.range?.[0];
    return offset === undefined ? undefined : { offset, node: item };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
  const offset = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  return pair === undefined || offset === undefined ? undefined : { offset, node: pair.value };
}
