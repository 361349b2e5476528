import { createReadStream } from 'node:fs';
import { dirname, extname, relative, resolve } from 'node:path';
import { z } from 'zod';
import {
  MAX_VARIABLE_LENGTH,
  MAX_VARIABLES,
  variableNameSchema,
  variableValueSchema,
} from '../../../domain/job-batch-file.ts';
import { describeFileProblem } from '../../framework/describe-file-problem.ts';
import { JobFileError } from '../errors.ts';
import type { OpenedJobFile } from '../interface.ts';
import { CsvDecoder, type CsvRecord, RowFileProblem } from './csv-decoder.ts';
import type { Variables } from './fill-template.ts';

/** Longest line of a JSON Lines file, characters. */
const MAX_LINE_CHARS = 1024 * 1024;

/** Variables of one job, and where they stand. */
export interface VariableRow {
  /** As a person would name it. */
  readonly path: string;
  readonly line: number;
  readonly variables: Variables;
}

const rowSchema = z
  .record(variableNameSchema, variableValueSchema)
  .refine((row) => Object.keys(row).length <= MAX_VARIABLES, `at most ${MAX_VARIABLES} variables`);

/** The rows of a batch in order, one at a time. @throws JobFileError */
export async function* readRows(file: OpenedJobFile): AsyncGenerator<VariableRow> {
  const { batch } = file.jobFile;
  if (batch?.from !== undefined) {
    yield* readFileRows(resolve(dirname(resolve(file.path)), batch.from), file.path);
    return;
  }
  if (batch?.each === undefined) {
    yield { path: file.path, line: file.locate(['batch']).line, variables: new Map() };
    return;
  }
  for (const [index, row] of batch.each.entries()) {
    const { line } = file.locate(['batch', 'each', index]);
    yield { path: file.path, line, variables: toVariables(row) };
  }
}

async function* readFileRows(path: string, jobFilePath: string): AsyncGenerator<VariableRow> {
  const shown = relative(dirname(resolve(jobFilePath)), path);
  const kind = extname(path).toLowerCase();
  if (kind !== '.csv' && kind !== '.jsonl') {
    const reason = 'a file of variables is .csv or .jsonl';
    throw new JobFileError({ code: 'JOB_FILE_UNREADABLE', path, reason });
  }
  const rows = kind === '.csv' ? decodeCsv(readText(path)) : decodeJsonLines(readText(path));
  try {
    for await (const row of rows) yield { path: shown, ...row };
  } catch (error) {
    if (!(error instanceof RowFileProblem)) throw error;
    const bad = { path: shown, line: error.line, reason: error.message };
    throw new JobFileError({ code: 'JOB_FILE_BAD_ROWS', path: jobFilePath, rows: [bad] }, { cause: error });
  }
}

async function* readText(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const bytes of createReadStream(path)) yield decoder.decode(bytes as Uint8Array, { stream: true });
    yield decoder.decode();
  } catch (error) {
    const reason = error instanceof TypeError ? 'it is not UTF-8 text' : describeFileProblem(error);
    throw new JobFileError({ code: 'JOB_FILE_UNREADABLE', path, reason }, { cause: error });
  }
}

type Row = Omit<VariableRow, 'path'>;

/** @throws RowFileProblem */
export async function* decodeCsv(pieces: AsyncIterable<string>): AsyncGenerator<Row> {
  const decoder = new CsvDecoder();
  let names: readonly string[] | undefined;
  for await (const record of decodeRecords(decoder, pieces)) {
    if (names === undefined) {
      names = readHead(record);
      continue;
    }
    const { line, values } = record;
    if (values.length !== names.length) {
      throw new RowFileProblem(line, `it has ${values.length} values where the first line names ${names.length}`);
    }
    const long = names.find((_, index) => (values[index]?.length ?? 0) > MAX_VARIABLE_LENGTH);
    if (long !== undefined) throw new RowFileProblem(line, `${long} is longer than ${MAX_VARIABLE_LENGTH} characters`);
    yield { line, variables: new Map(names.map((name, index) => [name, values[index] ?? ''])) };
  }
}

async function* decodeRecords(decoder: CsvDecoder, pieces: AsyncIterable<string>): AsyncGenerator<CsvRecord> {
  for await (const piece of pieces) yield* decoder.push(piece);
  yield* decoder.end();
}

function readHead({ line, values }: CsvRecord): readonly string[] {
  const bad = values.find((name) => !variableNameSchema.safeParse(name).success);
  if (bad !== undefined) throw new RowFileProblem(line, `'${bad.slice(0, 60)}' is no name of a variable`);
  if (values.length > MAX_VARIABLES) throw new RowFileProblem(line, `it names more than ${MAX_VARIABLES} variables`);
  if (new Set(values).size < values.length) throw new RowFileProblem(line, 'it names a variable twice');
  return values;
}

/** @throws RowFileProblem */
export async function* decodeJsonLines(pieces: AsyncIterable<string>): AsyncGenerator<Row> {
  let line = 0;
  for await (const text of splitLines(pieces)) {
    line += 1;
    if (text.trim() !== '') yield { line, variables: parseJsonRow(text, line) };
  }
}

async function* splitLines(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  let line = 1;
  for await (const piece of pieces) {
    const parts = (rest + piece).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      assertLength(part, line);
      line += 1;
      yield part;
    }
    assertLength(rest, line);
  }
  yield rest;
}

function assertLength(text: string, line: number): void {
  if (text.length > MAX_LINE_CHARS) throw new RowFileProblem(line, 'the line is too long');
}

function parseJsonRow(text: string, line: number): Variables {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RowFileProblem(line, 'it is not JSON');
  }
  const parsed = rowSchema.safeParse(value);
  if (parsed.success) return toVariables(parsed.data);
  const [issue] = parsed.error.issues;
  const key = issue?.path.map(String).join('.') ?? '';
  if (issue?.code === 'invalid_key') throw new RowFileProblem(line, `'${key}' is no name of a variable`);
  throw new RowFileProblem(line, `${key}: ${issue?.message ?? 'invalid'}`);
}

function toVariables(row: Readonly<Record<string, string | number | boolean>>): Variables {
  return new Map(Object.entries(row).map(([name, value]) => [name, String(value)]));
}
