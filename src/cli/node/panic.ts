import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';

export const nodePanic = defineCommand({
  name: 'node panic',
  summary: 'stop everything at once, and take no new work',
  details:
    'Ends every sandbox and every program that the daemon has started, and tells requesters so, who go elsewhere. The node stays up, drained, until `node resume`. Exit code 1 if a process could not be ended.',
  arguments: [],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof node panic', does: 'Pull the plug of all that strangers run here.' }],
  run: async (_, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const report = await client.call('node.panic', {}, { signal });
    output.result(report, () => [
      `stopped ${plural(report.attempts, 'attempt')} and ${plural(report.processes, 'process', 'processes')} in ${report.elapsedMs} ms`,
      report.left === 0
        ? 'no process is left; no new work is taken until `fogproof node resume`'
        : `${plural(report.left, 'process', 'processes')} could not be ended: see \`ps --ppid\` of the daemon, or restart the machine`,
    ]);
    return report.left === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
  },
});
