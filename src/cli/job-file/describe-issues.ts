import { z } from 'zod';
import { jobFileSchema } from '../../domain/job-file.ts';
import { nearestName } from '../../lib/nearest-name.ts';
import type { FieldLocator, JobFileProblem } from './interface.ts';

type Issue = z.core.$ZodIssue;
type Field = readonly PropertyKey[];
interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
}

/** One problem for each thing to correct, with the description of the field in the published schema as its hint. */
export function describeIssues(
  issues: readonly Issue[],
  value: unknown,
  locate: FieldLocator,
): readonly JobFileProblem[] {
  // The JSON Schema is what z.toJSONSchema documents it to be; only the parts named in JsonSchema are read.
  const root = z.toJSONSchema(jobFileSchema, { io: 'input' }) as JsonSchema;
  const enter = (issue: Issue): readonly Issue[] => enterUnion(issue, readField(value, issue.path));
  return issues.flatMap(enter).flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => describeUnknownKey(root, [...issue.path, key], locate));
    }
    const message = describeMessage(issue, readField(value, issue.path));
    return [createProblem(issue.path, message, hintFor(root, issue.path), locate)];
  });
}

/** A map where a map is one of the choices: what is wrong is inside it. */
function enterUnion(issue: Issue, found: unknown): readonly Issue[] {
  if (issue.code !== 'invalid_union' || typeof found !== 'object' || found === null) return [issue];
  const choice = issue.errors.find((inner) => inner.length > 0 && inner.every(({ path }) => path.length > 0));
  if (choice === undefined) return [issue];
  return choice.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}

function createProblem(field: Field, message: string, hint: string, locate: FieldLocator): JobFileProblem {
  return { severity: 'error', ...locate(field), field: field.map(String).join('.'), message, hint };
}

function describeUnknownKey(root: JsonSchema, field: Field, locate: FieldLocator): JobFileProblem {
  const name = String(field.at(-1));
  const known = knownNames(schemaAt(root, field.slice(0, -1)).at(-1));
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean '${nearest}'?`;
  return createProblem(field, `'${name}' is not known here`, hint, locate);
}

function describeMessage(issue: Issue, found: unknown): string {
  if (
    found === undefined &&
    (issue.code === 'invalid_type' || issue.code === 'invalid_union' || issue.code === 'invalid_value')
  ) {
    return 'is missing';
  }
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  if (issue.code === 'invalid_value') return `expected ${issue.values.map(String).join(' or ')}, found ${show(found)}`;
  const message = issue.message.replace(/^(Invalid input|Invalid string|Invalid option): /, '');
  return `${message.replace(/, received \w+$/, '')}, found ${show(found)}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function readField(value: unknown, field: Field): unknown {
  let current = value;
  for (const part of field) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, part)) return undefined;
    current = (current as Record<PropertyKey, unknown>)[part];
  }
  return current;
}

/** The schemas on the way to a field, outermost first. */
function schemaAt(root: JsonSchema, field: Field): readonly JsonSchema[] {
  const way = [root];
  for (const part of field) {
    const next = stepInto(way.at(-1), part);
    if (next === undefined) break;
    way.push(next);
  }
  return way;
}

function stepInto(schema: JsonSchema | undefined, part: PropertyKey): JsonSchema | undefined {
  if (schema === undefined) return undefined;
  if (typeof part === 'number') return schema.items;
  const alternatives = [schema, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  for (const { properties, additionalProperties } of alternatives) {
    const property = properties !== undefined && Object.hasOwn(properties, part) ? properties[String(part)] : undefined;
    if (property !== undefined) return property;
    if (typeof additionalProperties === 'object') return additionalProperties;
  }
  return undefined;
}

function knownNames(schema: JsonSchema | undefined): readonly string[] {
  const alternatives = schema === undefined ? [] : [schema, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  return [...new Set(alternatives.flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

function hintFor(root: JsonSchema, field: Field): string {
  const described = schemaAt(root, field).findLast(({ description }) => description !== undefined);
  return described?.description ?? 'A job file is a map with at least name and workload; see docs/job-spec.md.';
}
