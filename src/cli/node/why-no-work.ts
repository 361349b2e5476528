import { z } from 'zod';
import type { NoWorkExplanation } from '../../scheduler/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatWhen, plural } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';

export const nodeWhyNoWork = defineCommand({
  name: 'node why-no-work',
  summary: 'say what keeps work away from this node',
  details:
    'Conditions that must hold before anybody sends work, with what to do about each, then what was refused and why.',
  arguments: [],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof node why-no-work', does: 'Why the box idles, at once and not at a timeout.' }],
  run: async (_, context) => {
    await using client = await context.connect();
    const explanation = await client.call('node.whyNoWork', {}, { signal: context.signal });
    context.output.result(explanation, () => renderNoWork(explanation, { output: context.output, nowMs: Date.now() }));
    return EXIT_CODES.ok;
  },
});

export function renderNoWork(
  explanation: NoWorkExplanation,
  { output, nowMs }: { readonly output: Pick<CliOutput, 'table'>; readonly nowMs: number },
): string[] {
  const { summary, conditions, refusals, offersMade, leasesTaken, lastRequestAtMs } = explanation;
  const asked = lastRequestAtMs === null ? 'nobody has asked yet' : `last asked ${formatWhen(lastRequestAtMs, nowMs)}`;
  const lines = [summary, ''];
  for (const { name, isMet, detail, remedy } of conditions) {
    lines.push(`${isMet ? '✓' : '✗'} ${name}: ${detail}`);
    if (!isMet && remedy !== null) lines.push(`    ${remedy}`);
  }
  lines.push('', `${plural(offersMade, 'offer')} made, ${plural(leasesTaken, 'lease')} taken, ${asked}`);
  if (refusals.length === 0) return lines;
  const rows = refusals.map((refusal) => [
    refusal.code,
    String(refusal.count),
    formatWhen(refusal.lastAtMs, nowMs),
    refusal.lastRule ?? '-',
    refusal.lastDetail,
  ]);
  return [...lines, '', ...output.table(['REFUSED', 'TIMES', 'LAST', 'RULE', 'DETAIL'], rows)];
}
