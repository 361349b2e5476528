import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TerminalOutput } from '../../../src/cli/framework/terminal-output.ts';
import { fitWidth, sanitizeLine, sanitizeText } from '../../../src/cli/framework/terminal-text.ts';
import { renderTable } from '../../../src/cli/framework/text-table.ts';

// oxlint-disable-next-line no-control-regex -- they are what must not be there
const DANGEROUS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;

function createOutput(options: { isJson?: boolean; isQuiet?: boolean; isTTY?: boolean } = {}) {
  const written = { stdout: '', stderr: '' };
  const output = new TerminalOutput(
    {
      stdout: { write: (text) => (written.stdout += text) },
      stderr: { write: (text) => (written.stderr += text), isTTY: options.isTTY ?? false, columns: 40 },
    },
    { isJson: options.isJson ?? false, isQuiet: options.isQuiet ?? false, hasColors: false },
  );
  return { output, written };
}

describe('text of strangers', () => {
  it('can neither move the cursor nor hide, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(sanitizeText(text)).not.toMatch(DANGEROUS);
        expect(sanitizeLine(text)).not.toMatch(/\n|\t/);
      }),
    );
  });

  it.each([
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007after', 'after'],
    ['a\rb', 'a�b'],
    ['one\r\ntwo\tthree', 'one\ntwo\tthree'],
    ['a\u202egnp.exe', 'a�gnp.exe'],
    ['größe 🎉', 'größe 🎉'],
  ])('%j', (text, safe) => expect(sanitizeText(text)).toBe(safe));

  it('is cut with an ellipsis', () => {
    expect(fitWidth('abcdef', 4)).toBe('abc…');
    expect(fitWidth('abcd', 4)).toBe('abcd');
  });
});

describe('renderTable', () => {
  it('aligns names to the left and figures to the right', () => {
    const rows = [
      ['one', '5', '1.5 KiB'],
      ['a longer one', '1234', '-'],
    ];
    expect(renderTable(['NAME', 'N', 'SIZE'], rows)).toEqual([
      'NAME             N     SIZE',
      'one              5  1.5 KiB',
      'a longer one  1234        -',
    ]);
  });

  it('keeps each row on its line', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.string({ unit: 'binary' }), { minLength: 3, maxLength: 3 })), (rows) => {
        const lines = renderTable(['A', 'B', 'C'], rows);
        expect(lines).toHaveLength(rows.length + 1);
        for (const line of lines) expect(line).not.toMatch(DANGEROUS);
      }),
    );
  });
});

describe('TerminalOutput', () => {
  it('keeps results and notes apart', () => {
    const { output, written } = createOutput();
    output.note('a note');
    output.result({ a: 1 }, () => ['a 1']);
    output.progress('never without a terminal');
    expect(written).toEqual({ stdout: 'a 1\n', stderr: 'a note\n' });
  });

  it('prints JSON alone with --json, a line for each item', () => {
    const { output, written } = createOutput({ isJson: true, isTTY: true });
    output.note('a note');
    output.progress('progress');
    output.item({ text: 'x\u001b[2J', bytes: new Uint8Array([1]) }, 'text');
    output.item({ n: 2n }, 'text');
    expect(written).toEqual({ stdout: '{"text":"x\\u001b[2J","bytes":"AQ=="}\n{"n":"2"}\n', stderr: '' });
  });

  it('is silent but for results with --quiet', () => {
    const { output, written } = createOutput({ isQuiet: true, isTTY: true });
    output.note('a note');
    output.progress('progress');
    output.result({}, () => ['result']);
    expect(written).toEqual({ stdout: 'result\n', stderr: '' });
  });

  it('draws progress on one line of a terminal, below what is printed', () => {
    const { output, written } = createOutput({ isTTY: true });
    output.progress('a progress line that is much too long for this terminal');
    output.item({}, 'an item');
    output.progress('');
    expect(written.stdout).toBe('an item\n');
    const lines = written.stderr.split('\r\u001b[2K').filter((part) => part !== '');
    expect(lines).toEqual(Array(2).fill('a progress line that is much too long …'));
    expect(written.stderr.endsWith('\r\u001b[2K')).toBe(true);
  });
});
