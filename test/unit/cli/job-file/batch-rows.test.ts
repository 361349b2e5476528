import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvDecoder, RowFileProblem } from '../../../../src/cli/job-file/batch/csv-decoder.ts';
import { fillTemplate, RowProblem } from '../../../../src/cli/job-file/batch/fill-template.ts';
import { decodeCsv, decodeJsonLines } from '../../../../src/cli/job-file/batch/read-rows.ts';

async function* pieces(text: string, size: number): AsyncGenerator<string> {
  for (let start = 0; start < text.length; start += size) yield text.slice(start, start + size);
}

function records(text: string, size = 7): (readonly string[])[] {
  const decoder = new CsvDecoder();
  const found: (readonly string[])[] = [];
  for (let start = 0; start < text.length; start += size) {
    for (const { values } of decoder.push(text.slice(start, start + size))) found.push(values);
  }
  for (const { values } of decoder.end()) found.push(values);
  return found;
}

async function rowsOf(rows: AsyncIterable<{ readonly line: number; readonly variables: ReadonlyMap<string, string> }>) {
  const found = [];
  for await (const { line, variables } of rows) found.push([line, Object.fromEntries(variables)]);
  return found;
}

const quote = (value: string): string => `"${value.replaceAll('"', '""')}"`;

describe('CSV', () => {
  it('is read as RFC 4180 has it', () => {
    expect(records('a,b\r\n"1,2","say ""hi"""\n\n,"x\ny"\r\nlast,')).toEqual([
      ['a', 'b'],
      ['1,2', 'say "hi"'],
      ['', 'x\ny'],
      ['last', ''],
    ]);
  });

  it('comes back as it was written, in pieces of any size', () => {
    const value = fc.string({ unit: fc.constantFrom('a', 'é', ',', '"', '\n', '\r', ' ', '😀') });
    const table = fc.array(fc.array(value, { minLength: 1, maxLength: 4 }), { maxLength: 5 });
    fc.assert(
      fc.property(table, fc.integer({ min: 1, max: 9 }), fc.constantFrom('\n', '\r\n'), (rows, size, end) => {
        const text = rows.map((row) => row.map(quote).join(',') + end).join('');
        expect(records(text, size)).toEqual(rows);
      }),
    );
  });

  it('never fails in any other way than with the line', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r') }), (text) => {
        try {
          records(text, 3);
        } catch (error) {
          expect(error).toBeInstanceOf(RowFileProblem);
        }
      }),
    );
  });

  it('names its variables in the first line, and says where a row begins', async () => {
    expect(await rowsOf(decodeCsv(pieces('rate,note\n0.1,"a\nb"\n0.2,c\n', 4)))).toEqual([
      [2, { rate: '0.1', note: 'a\nb' }],
      [4, { rate: '0.2', note: 'c' }],
    ]);
  });

  it.each([
    ['a,b\n1\n', 2, /1 values where the first line names 2/],
    ['a,a\n', 1, /twice/],
    ['a,b c\n', 1, /'b c' is no name/],
    ['index\n', 1, /'index' is no name/],
    ['a\nx"y\n', 2, /quote/],
    ['a\n"x"y\n', 2, /closing quote/],
    ['a\n1\n"x\n', 3, /never closed/],
    [`a\n${'x'.repeat(4097)}\n`, 2, /longer than/],
    [`a\n"${'x'.repeat(1_100_000)}`, 2, /too long/],
  ])('is refused with its line where it is bad (%#)', async (text, line, message) => {
    const failure = await rowsOf(decodeCsv(pieces(text, 1000))).catch((error: unknown) => error);
    expect(failure).toMatchObject({ line, message: expect.stringMatching(message) });
  });
});

describe('JSON Lines', () => {
  it('are objects of text, numbers and truths; empty lines are left out', async () => {
    const text = '{"rate":0.1,"on":true}\n\n{"rate":"x"}';
    expect(await rowsOf(decodeJsonLines(pieces(text, 5)))).toEqual([
      [1, { rate: '0.1', on: 'true' }],
      [3, { rate: 'x' }],
    ]);
  });

  it.each([
    ['{"a":1}\n{', 2, /not JSON/],
    ['[1]', 1, /expected/],
    ['{"a":{}}', 1, /text, a number/],
    ['{"a b":1}', 1, /name of a variable/],
    [`{"a":"${'x'.repeat(1_100_000)}"}`, 1, /too long/],
  ])('are refused with their line where they are bad (%#)', async (text, line, message) => {
    const failure = await rowsOf(decodeJsonLines(pieces(text, 65_536))).catch((error: unknown) => error);
    expect(failure).toMatchObject({ line, message: expect.stringMatching(message) });
  });

  it('come back as they were written', async () => {
    const name = fc.stringMatching(/^[a-h_]{1,8}$/);
    const row = fc.dictionary(name, fc.oneof(fc.string(), fc.integer(), fc.boolean()), { noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 4 }), fc.integer({ min: 1, max: 50 }), async (rows, size) => {
        const text = rows.map((each) => `${JSON.stringify(each)}\n`).join('');
        const found = await rowsOf(decodeJsonLines(pieces(text, size)));
        const written = rows.map((each) => Object.entries(each).map(([key, value]) => [key, String(value)]));
        expect(found.map(([, variables]) => variables)).toEqual(written.map((each) => Object.fromEntries(each)));
      }),
    );
  });
});

describe('a template', () => {
  const variables = new Map([
    ['rate', '0.1'],
    ['index', '7'],
  ]);

  it.each([
    ['--rate=${rate}', '--rate=0.1'],
    ['${index}-${index}', '7-7'],
    ['$${rate}', '${rate}'],
    ['$rate {rate} ${}', '$rate {rate} ${}'],
    ['', ''],
  ])('%j is filled in as %j', (text, filled) => {
    expect(fillTemplate(text, variables)).toBe(filled);
  });

  it('that names what there is not is refused, with what there is', () => {
    expect(() => fillTemplate('${rte}', variables)).toThrow(RowProblem);
    expect(() => fillTemplate('${rte}', variables)).toThrow(/\$\{rte\}; it has: rate, index, repeat/);
  });

  it('takes values as they are, not as templates', () => {
    expect(fillTemplate('${a}', new Map([['a', '${a}$&']]))).toBe('${a}$&');
  });
});
