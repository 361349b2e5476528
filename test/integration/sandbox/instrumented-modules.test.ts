import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SystemClock } from '../../../src/lib/clock.ts';
import { MIN_CACHED_MODULE_BYTES } from '../../../src/sandbox/constants.ts';
import { WasmExecutor } from '../../../src/sandbox/executors/wasm/wasm-executor.ts';
import { decodeEntry } from '../../../src/sandbox/instrumented-cache/entry-codec.ts';
import { DEFAULT_CACHE_BYTES, InstrumentedCache } from '../../../src/sandbox/instrumented-cache/instrumented-cache.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS } from '../../../src/sandbox/options.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { PromMetricsRegistry } from '../../../src/telemetry/prom-metrics.ts';
import { instrument } from '../../../src/wasm/instrument/instrument.ts';
import { describeIf } from '../../support/needs.ts';
import { steppingWat } from '../../support/program.ts';
import { ALICE, BOB, createTask, findOffers, needLevel, RecordingSink } from '../../support/sandbox.ts';
import { assembleWat } from '../../support/wat.ts';

const offers = await findOffers();
const isolation = offers.has('bubblewrap') ? 'bubblewrap' : 'process';
/** Large by its data. */
const FILLING = `(data (i32.const 64) "${'x'.repeat(60_000)}")\n`;
const large = (step: string) =>
  assembleWat(steppingWat({ step, rest: FILLING.repeat(MIN_CACHED_MODULE_BYTES / 60_000 + 1) }));
const LARGE = large(
  '(call $log (i32.const 0) (i32.const 5)) (call $output_write (i32.const 60) (i32.const 8)) (i32.const 1)',
);
/** Cut off in its last data segment. */
const BROKEN = LARGE.subarray(0, LARGE.length - 1);

describeIf(needLevel(offers.has(isolation), isolation), 'large modules, instrumented once', () => {
  let folder: string;
  let registry: PromMetricsRegistry;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-test-'));
    registry = new PromMetricsRegistry();
  });
  afterEach(async () => await rm(folder, { recursive: true, force: true }));

  const clock = new SystemClock();
  const openCache = () => new InstrumentedCache({ clock }, { folder, maxBytes: DEFAULT_CACHE_BYTES });
  const open = (instrumented?: InstrumentedCache): WasmExecutor =>
    new WasmExecutor(
      { clock, logger: new NoopLogger(), metrics: registry, ...(instrumented === undefined ? {} : { instrumented }) },
      { ...DEFAULT_WASM_EXECUTOR_OPTIONS, offers: [...offers.values()] },
    );
  const run = async (executor: WasmExecutor, requester = ALICE, module = LARGE) => {
    const sink = new RecordingSink();
    const { usage: _usage, ...result } = await executor.execute(createTask({ isolation, module, requester }), sink, {});
    return { ...result, events: sink.events };
  };
  const sources = async () =>
    [...(await registry.render()).matchAll(/instrumented_modules_total\{source="(\w+)"\} (\d+)/g)].map(
      ([, source, count]) => `${source} ${count}`,
    );

  const waitForEntry = async (): Promise<string> =>
    await vi.waitFor(
      async () => {
        const [name = ''] = (await readdir(folder)).filter((entry) => entry.endsWith('.instrumented'));
        expect(name).not.toBe('');
        return name;
      },
      { timeout: 20_000 },
    );

  it('give the same result in place and from the cache, where a child of its own puts what comes again', async () => {
    await using plain = open();
    const expected = await run(plain);
    expect(expected.outcome).toEqual({ kind: 'completed' });
    await using first = open(openCache());
    expect(await run(first)).toEqual(expected);
    expect(await run(first)).toEqual(expected);
    expect(await sources()).toEqual(['none 1']);
    expect(await run(first, BOB)).toEqual(expected);
    const name = await waitForEntry();
    expect(decodeEntry(await readFile(join(folder, name)))).toEqual(
      instrument(LARGE, { maxPages: 16, isStepping: true }),
    );
    await using second = open(openCache());
    expect(await run(second)).toEqual(expected);
    expect(await run(second)).toEqual(expected);
    expect(await sources()).toEqual(['none 2', 'child 1', 'cache 1']);
    await writeFile(join(folder, name), 'damaged');
    expect(await run(second, BOB)).toEqual(expected);
    expect(await readdir(folder)).toEqual([]);
  });

  it('are refused as before, and nothing is kept of them', async () => {
    await using plain = open();
    const expected = await run(plain, ALICE, BROKEN);
    expect(expected.outcome).toMatchObject({ kind: 'program-failed', code: 'MODULE_REFUSED' });
    await using executor = open(openCache());
    expect(await Promise.all([run(executor, ALICE, BROKEN), run(executor, BOB, BROKEN)])).toEqual([expected, expected]);
    await vi.waitFor(async () => expect(await sources()).toEqual(['none 2', 'failed 1']), { timeout: 20_000 });
    expect(await readdir(folder)).toEqual([]);
  });
});
