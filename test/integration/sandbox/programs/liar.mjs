// Runs where a sandboxed child runs and answers its first task with what LIES says.
import { createHash } from 'node:crypto';
import fs from 'node:fs';

const frame = (type, ...parts) => {
  const body = Buffer.concat([Buffer.of(type), ...parts]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
};
const u64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
const text = (value) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([head, Buffer.from(value)]);
};

const u32 = (value) => u64(value).subarray(4);
const hash = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();

const readExactly = (length) => {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) done += fs.readSync(0, bytes, done, length - done);
  return bytes;
};
const readFrame = () => readExactly(readExactly(4).readUInt32BE());

const PAGES = [1, 2, 3].map((value) => Buffer.alloc(65_536, value));
/** A state of three pages after a step, as docs/stepping.md section 3 has it. */
const checkpoint = (place, step, { pages = PAGES.length, done = place === 2 ? 1 : 0, ordinal = 0 } = {}) => {
  const host = Buffer.alloc(108);
  host[0] = 1;
  host[1] = done;
  host.writeBigUInt64BE(BigInt(step), 4);
  host.writeUInt32BE(pages, 60);
  hash().copy(host, 76);
  const digests = Buffer.concat(PAGES.map((page) => hash(page)));
  const figures = [Buffer.of(place), u64(step), u64(0), u64(ordinal), Buffer.alloc(32), hash()];
  return frame(8, ...figures, Buffer.of(0), host, u32(0), u32(digests.length), digests, u32(0));
};
const piece = (place, bytes) => frame(9, u32(place), bytes);
const result = (kind) =>
  frame(7, Buffer.of(kind), u64(1), u64(1), u64(1), u64(1), Buffer.alloc(32), Buffer.of(0), text(''), text(''));
/** Tells a checkpoint and waits for its order. */
const ask = (bytes) => {
  fs.writeSync(3, bytes);
  return readFrame();
};
const START = checkpoint(0, 0);

const LIES = {
  garbage: () => Buffer.from('this is no frame at all, and longer than one would be'),
  'huge frame': () => Buffer.of(0x7f, 0xff, 0xff, 0xff),
  'too much output': () => frame(5, u64(2 ** 40), text('/output')),
  'path out of the job': () => frame(5, u64(0), text('/../../etc/cron.d/x')),
  'made-up failure': () =>
    frame(7, Buffer.of(1), u64(0), u64(0), u64(0), u64(0), Buffer.alloc(32), Buffer.of(0), text('TOO_GOOD'), text('')),
  'log flood': () => Buffer.concat(Array.from({ length: 100 }, () => frame(2, Buffer.of(2), Buffer.alloc(60_000, 65)))),
  'second result': () => Buffer.concat([result(0), result(0)]),
  'an unasked checkpoint': () => START,
  'a huge checkpoint': () => Buffer.concat([u32(6 * 2 ** 20), Buffer.of(8)]),
  'a cut checkpoint': () => frame(8, START.subarray(5, 200)),
  'words in place of waiting': () => Buffer.concat([START, frame(2, Buffer.of(2), Buffer.from('hello'))]),
  'a second checkpoint in place of waiting': () => Buffer.concat([START, checkpoint(1, 1)]),
  'an end as its start': () => checkpoint(2, 1),
  'a start of another step': () => checkpoint(0, 5),
  'more pages than it has': () => checkpoint(0, 0, { pages: 4 }),
  'more logs than it gave': () => checkpoint(0, 0, { ordinal: 1 }),
  'a step again': () => (ask(START), ask(checkpoint(1, 2)), checkpoint(1, 2)),
  'something after the end': () => (ask(START), ask(checkpoint(2, 1)), checkpoint(2, 2)),
  'no end': () => (ask(START), result(0)),
  'a pause of its own': () => (ask(START), result(3)),
  'no state that it refuses': () => result(4),
  'a piece too many': () => (ask(START), piece(0, PAGES[0])),
  'a piece out of turn': () => (ask(START), piece(1, PAGES[1])),
  'half a piece': () => (ask(START), piece(0, PAGES[0].subarray(1))),
  'words before its pieces': () => (ask(START), frame(2, Buffer.of(2), Buffer.from('hello'))),
  'a result before its pieces': () => (ask(START), result(0)),
  'a result after it was halted': () => (ask(START), result(0)),
  'half of its pieces': () => {
    ask(START);
    fs.writeSync(3, piece(0, PAGES[0]));
    process.exit(4);
  },
  exit: () => process.exit(3),
};

fs.writeSync(3, frame(1));
// The module, and the task.
readFrame();
readFrame();
const lie = process.argv[2];
fs.writeSync(3, LIES[lie]());
fs.readSync(0, Buffer.alloc(10_000_000));
setInterval(() => {}, 1000);
