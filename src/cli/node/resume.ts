import { z } from 'zod';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { type CliContext, defineCommand } from '../interface.ts';

export const nodeResume = defineCommand({
  name: 'node resume',
  summary: 'take new work again after node drain or node panic',
  arguments: [],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof node resume', does: 'Open for work again.' }],
  run: (_, context) => resumeWork(context),
});

export async function resumeWork(context: CliContext): Promise<ExitCode> {
  const { output, signal } = context;
  await using client = await context.connect();
  const { provider } = await client.call('node.resume', {}, { signal });
  output.result({ closed: provider.closed }, () => ['new work is taken again']);
  return EXIT_CODES.ok;
}
