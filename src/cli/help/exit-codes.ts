import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';

export const EXIT_CODE_MEANINGS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  ok: 'it was done, and all is well',
  failed: 'the thing asked about failed: a job failed, a bundle is invalid',
  usage: 'wrong arguments, or a file that is malformed',
  unchecked: 'nothing is invalid and something could not be checked',
  noDaemon: 'no daemon answers on the control socket',
  error: 'an error with a code: it says what to do',
  internal: 'a defect of fogproof',
  interrupted: 'interrupted by SIGINT or SIGTERM',
};

export const helpExitCodes = defineCommand({
  name: 'help exit-codes',
  summary: 'what the exit codes mean',
  arguments: [],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof help exit-codes', does: 'The table of exit codes.' }],
  run: async (_, { output }) => {
    const names = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
    const codes = names.map((name) => ({ name, exitCode: EXIT_CODES[name], meaning: EXIT_CODE_MEANINGS[name] }));
    output.result(codes, () =>
      output.table(
        ['CODE', 'NAME', 'MEANING'],
        codes.map(({ name, exitCode, meaning }) => [String(exitCode), name, meaning]),
      ),
    );
    return EXIT_CODES.ok;
  },
});
