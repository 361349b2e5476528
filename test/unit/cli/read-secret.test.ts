import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readSecret, type SecretTerminal } from '../../../src/cli/framework/read-secret.ts';

function createTerminal(isTTY: boolean) {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: (mode: boolean) => void modes.push(mode) });
  const written: string[] = [];
  const stderr = { isTTY, write: (text: string) => written.push(text) };
  // The parts of a terminal that are used.
  const terminal = { stdin, stderr } as unknown as SecretTerminal;
  return { terminal, stdin, modes, written };
}

describe('readSecret', () => {
  it.each([
    ['hunter2\r', 'hunter2'],
    ['hunteR\u007f2\n', 'hunte2'],
    ['\u007fpä🎉\r', 'pä🎉'],
    ['abc\u0004', 'abc'],
  ])('reads %j without echo', async (typed, secret) => {
    const { terminal, stdin, modes, written } = createTerminal(true);
    const answer = readSecret(terminal, 'Passphrase');
    stdin.write(typed);
    expect(await answer).toBe(secret);
    expect(modes).toEqual([true, false]);
    expect(written.join('')).toBe('Passphrase: \n');
  });

  it('is interrupted by Ctrl-C and gives the terminal back', async () => {
    const { terminal, stdin, modes } = createTerminal(true);
    const answer = readSecret(terminal, 'Passphrase');
    stdin.write('abc\u0003');
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
    expect(modes).toEqual([true, false]);
  });

  it('never asks where there is no terminal', async () => {
    const { terminal, written } = createTerminal(false);
    await expect(readSecret(terminal, 'Passphrase')).rejects.toMatchObject({ name: 'UsageError' });
    expect(written).toEqual([]);
  });
});
