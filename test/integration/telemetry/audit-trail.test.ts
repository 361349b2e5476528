import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../../src/lib/clock.ts';
import { type AuditEvent, formatEntry, NO_ENTRY, parseEntry } from '../../../src/telemetry/audit/audit-entry.ts';
import { FileAuditTrail } from '../../../src/telemetry/audit/file-audit-trail.ts';
import { CURRENT_FILE, nameSegment } from '../../../src/telemetry/audit/segments.ts';
import { readTrail, verifyTrail } from '../../../src/telemetry/audit/verify-trail.ts';
import { RecordingLogger } from '../../support/network.ts';

const MIB = 2 ** 20;

let folder: string;
let logger: RecordingLogger;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-audit-'));
  logger = new RecordingLogger();
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function open(maxBytes = MIB): Promise<FileAuditTrail> {
  return FileAuditTrail.open({ clock: new SystemClock(), logger }, { folder, maxBytes });
}

function refusal(subject: string): AuditEvent {
  return { kind: 'refusal', of: 'offer', requester: 'peer', subject, code: 'DRAINING', rule: null, times: 1 };
}

async function write(count: number, maxBytes?: number): Promise<void> {
  await using trail = await open(maxBytes);
  for (let index = 0; index < count; index += 1) {
    trail.note(refusal(`subject-${index}`));
    if (index % 500 === 0) await trail.flush();
  }
}

async function readLines(): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const { text } of readTrail(folder)) lines.push(text);
  return lines;
}

describe('the audit log', () => {
  it('has one JSON line an entry, numbered and chained, for its owner only', async () => {
    await write(3);
    const entries = (await readLines()).map(parseEntry);
    expect(entries.map((entry) => entry?.seq)).toEqual([1, 2, 3]);
    expect(entries[0]?.prev).toBe(NO_ENTRY);
    expect(await verifyTrail(folder)).toMatchObject({ entries: 3, firstSeq: 1, fault: null, removedThrough: 0 });
    expect((await stat(join(folder, CURRENT_FILE))).mode & 0o777).toBe(0o600);
  });

  it('goes on with the chain after a restart', async () => {
    await write(2);
    await write(2);
    expect(await verifyTrail(folder)).toMatchObject({ entries: 4, firstSeq: 1, head: { seq: 4 }, fault: null });
  });

  it('cuts off a line that was being written when the power went', async () => {
    await write(2);
    await appendFile(join(folder, CURRENT_FILE), '{"seq":3,"at":"20');
    await write(1);
    expect(await verifyTrail(folder)).toMatchObject({ entries: 3, fault: null });
  });

  it('makes room by whole files, keeps the chain over them, and says what went', async () => {
    await write(12_000, MIB);
    const names = await readdir(folder);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
    expect(names.length).toBeGreaterThan(3);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1.3 * MIB);
    const found = await verifyTrail(folder);
    expect(found.fault).toBeNull();
    expect(found.firstSeq).toBe(found.removedThrough + 1);
    expect(found.removedThrough).toBeGreaterThan(0);
  });

  it('shows that its oldest file was taken away by somebody else', async () => {
    await write(12_000, MIB);
    const [oldest = ''] = (await readdir(folder)).filter((name) => name !== CURRENT_FILE).sort();
    await rm(join(folder, oldest));
    expect((await verifyTrail(folder)).fault?.reason).toContain('made room');
  });

  it('shows a file that was taken out of the middle', async () => {
    await write(12_000, MIB);
    const [, second = ''] = (await readdir(folder)).filter((name) => name !== CURRENT_FILE).sort();
    await rm(join(folder, second));
    expect((await verifyTrail(folder)).fault?.reason).toMatch(/^entry \d+ follows entry \d+$/);
  });

  it('shows any line that was changed, taken out or put in (property)', async () => {
    await write(20);
    const path = join(folder, CURRENT_FILE);
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    const index = fc.integer({ min: 0, max: lines.length - 2 });
    const change = fc.constantFrom<(at: number) => readonly string[]>(
      (at) => lines.toSpliced(at, 1),
      (at) => lines.toSpliced(at, 0, lines[at] ?? ''),
      (at) => lines.with(at, (lines[at] ?? '').replace('"subject-', '"object-')),
      (at) => lines.with(at, (lines[at] ?? '').replace('DRAINING', 'QUIET_HOURS')),
      (at) => lines.with(at, (lines[at] ?? '').slice(0, -1)),
      (at) => lines.with(at, lines[at + 1] ?? '').with(at + 1, lines[at] ?? ''),
    );
    await fc.assert(
      fc.asyncProperty(index, change, async (at, apply) => {
        await writeFile(path, `${apply(at).join('\n')}\n`);
        expect((await verifyTrail(folder)).fault).not.toBeNull();
      }),
      { numRuns: 60 },
    );
  });

  it('shows what was cut off at its end against a head that was noted, and only so', async () => {
    await write(5);
    const { head } = await verifyTrail(folder);
    const path = join(folder, CURRENT_FILE);
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    await write(2);
    expect(await verifyTrail(folder, head)).toMatchObject({ fault: null, containsNoted: true });
    await writeFile(path, `${lines.slice(0, 3).join('\n')}\n`);
    expect(await verifyTrail(folder)).toMatchObject({ fault: null, containsNoted: null });
    expect(await verifyTrail(folder, head)).toMatchObject({ fault: null, containsNoted: false });
  });

  it('goes on after a damaged line, which shows', async () => {
    await write(3);
    const path = join(folder, CURRENT_FILE);
    await appendFile(path, 'not of this log\n');
    await write(2);
    expect((await verifyTrail(folder)).fault).toMatchObject({ line: 4, reason: 'it is no entry of this log' });
  });

  it('writes thousands of entries with few writes and no wait', async () => {
    await using trail = await open(64 * MIB);
    const beganAtMs = performance.now();
    for (let index = 0; index < 20_000; index += 1) trail.note(refusal(`subject-${index}`));
    const notedMs = performance.now() - beganAtMs;
    await trail.flush();
    const writtenMs = performance.now() - beganAtMs;
    console.log(
      `20,000 entries: noted in ${notedMs.toFixed(0)} ms, on disk after ${writtenMs.toFixed(0)} ms ` +
        `(${((writtenMs * 1000) / 20_000).toFixed(1)} µs each)`,
    );
    expect((await verifyTrail(folder)).entries).toBe(20_000);
  });

  it('keeps what a disk does not take, and writes it once it does', async () => {
    await using trail = await open(4 * MIB);
    // A folder in the place of the file that the rotation is to make.
    const obstacle = join(folder, nameSegment(1));
    await mkdir(join(obstacle, 'full'), { recursive: true });
    for (let index = 0; index < 5_000; index += 1) trail.note(refusal(`subject-${index}`));
    await trail.flush();
    expect(logger.lines.map(({ level }) => level)).toEqual(['error']);
    await rm(obstacle, { recursive: true });
    trail.note(refusal('last'));
    await trail.flush();
    expect(await verifyTrail(folder)).toMatchObject({ fault: null, firstSeq: 1 });
    const last = parseEntry((await readLines()).at(-1) ?? '');
    expect(last?.event).toMatchObject({ subject: 'last' });
  });

  it('counts what comes faster than it may keep, and says how many it lost', async () => {
    await using trail = await open(64 * MIB);
    for (let index = 0; index < 70_000; index += 1) trail.note(refusal(`subject-${index}`));
    await trail.flush();
    const lines = (await readLines()).map((line) => parseEntry(line)?.event);
    const gaps = lines.filter((event) => event?.kind === 'gap');
    expect(gaps).toEqual([{ kind: 'gap', lost: 70_000 - 65_536 }]);
    expect((await verifyTrail(folder)).fault).toBeNull();
  });
});

describe('an entry', () => {
  it('is read back as it was written, and nothing else is one (property)', () => {
    const line = formatEntry({ seq: 1, at: new Date(0).toISOString(), prev: NO_ENTRY, event: { kind: 'drain' } });
    expect(parseEntry(line)?.event).toEqual({ kind: 'drain' });
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseEntry(text)).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseEntry(JSON.stringify({ ...JSON.parse(line), extra: value }))).toBeUndefined();
      }),
    );
  });

  it('has no room for text that somebody wrote (property)', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        fc.pre(!/^[A-Za-z0-9_.:/@-]{1,128}$/.test(text));
        const event = refusal(text);
        const line = formatEntry({ seq: 1, at: new Date(0).toISOString(), prev: NO_ENTRY, event });
        expect(parseEntry(line)).toBeUndefined();
      }),
    );
  });
});
