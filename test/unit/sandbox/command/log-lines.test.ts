import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { LogLines } from '../../../../src/sandbox/executors/command/log-lines.ts';
import { EventCount } from '../../../../src/sandbox/rounds/event-count.ts';

async function tell(chunks: readonly (string | Uint8Array)[], maxBytes = 1_000_000) {
  const told: string[] = [];
  let excess = 0;
  const lines = new LogLines(
    { log: (stream, text, ordinal) => void told.push(`${ordinal} ${stream} ${text}`) },
    new EventCount({ maxBytes, onExcess: () => (excess += 1) }),
  );
  const stream = new PassThrough();
  lines.listen('stdout', stream);
  const ended = new Promise((resolve) => stream.once('end', resolve));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await ended;
  return { told, excess };
}

describe('LogLines', () => {
  it('tells lines however they arrive, and what is left at the end', async () => {
    const { told } = await tell(['on', 'e\ntw', 'o\n\nlast']);
    expect(told).toEqual(['1 stdout one', '2 stdout two', '3 stdout ', '4 stdout last']);
  });

  it('joins characters that arrive in two parts', async () => {
    const bytes = new TextEncoder().encode('é\n');
    expect((await tell([bytes.subarray(0, 1), bytes.subarray(1)])).told).toEqual(['1 stdout é']);
  });

  it('tells a long line in parts', async () => {
    const { told } = await tell(['x'.repeat(40_000), '\n']);
    expect(told.map((line) => line.length - '1 stdout '.length)).toEqual([16_384, 16_384, 7_232]);
  });

  it('stops at the limit, counts empty lines too, and says so once', async () => {
    const { told, excess } = await tell(['\n'.repeat(1000), 'more\n'], 16 * 10);
    expect(told).toHaveLength(10);
    expect(excess).toBe(1);
  });
});
