import { z } from 'zod';
import { isAbortError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { formatPrettyLine } from '../../telemetry/pretty-line.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { StartError } from './errors.ts';
import { tailFile } from './tail-file.ts';

/** Of pino. */
const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const;

export const nodeLogs = defineCommand({
  name: 'node logs',
  summary: 'show the log of the daemon',
  details: 'Reads the log file, so it works also when the daemon is down. With --json, the lines as they are.',
  arguments: [],
  options: z.strictObject({
    follow: z.boolean().default(false).describe('go on with new lines').meta({ short: 'f' }),
    lines: z.int().min(0).max(1_000_000).default(100).describe('lines from the end').meta({ short: 'n' }),
    level: z
      .enum(['debug', 'info', 'warn', 'error'])
      .default('debug')
      .describe('weakest level to show')
      .meta({ placeholder: 'LEVEL' }),
  }),
  examples: [
    { line: 'fogproof node logs --follow', does: 'Watch the daemon.' },
    { line: 'fogproof node logs --level warn --lines 20', does: 'What went wrong lately.' },
  ],
  run: async ({ options }, context) => {
    const { output, signal } = context;
    const path = await findLogFile(context);
    try {
      for await (const line of tailFile(path, { ...options, signal })) {
        const entry = parseEntry(line);
        if (entry.level < LEVELS[options.level]) continue;
        output.item(entry.fields, entry.text);
      }
    } catch (error) {
      if (isAbortError(error)) return EXIT_CODES.interrupted;
      if (systemErrorCode(error) === 'ENOENT') throw new StartError({ code: 'CLI_NO_LOG', path }, { cause: error });
      throw error;
    }
    return EXIT_CODES.ok;
  },
});

async function findLogFile({ home, environment, workingDirectory }: CliContext): Promise<string> {
  const { loadConfig } = await import('../../config/load-config.ts');
  const flags = home === undefined ? {} : { home };
  const { config } = await loadConfig({ environment, workingDirectory, flags });
  if (config.log.file === null) throw new StartError({ code: 'CLI_NO_LOG', path: 'any path (log.file is none)' });
  return config.log.file;
}

/** A line that is no JSON (a crash of the runtime, say) is shown as it is, at any level. */
function parseEntry(line: string): { readonly level: number; readonly fields: unknown; readonly text: string } {
  try {
    const fields = JSON.parse(line) as { level?: unknown };
    return { level: Number(fields.level), fields, text: formatPrettyLine(line).trimEnd() };
  } catch {
    return { level: Number.POSITIVE_INFINITY, fields: { text: line }, text: line };
  }
}
