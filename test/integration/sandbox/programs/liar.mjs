// Runs where a sandboxed child runs and answers its first request with what LIES says.
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

const LIES = {
  garbage: () => Buffer.from('this is no frame at all, and longer than one would be'),
  'huge frame': () => Buffer.of(0x7f, 0xff, 0xff, 0xff),
  'too much output': () => frame(5, u64(2 ** 40), text('/output')),
  'path out of the job': () => frame(5, u64(0), text('/../../etc/cron.d/x')),
  'made-up failure': () =>
    frame(7, Buffer.of(1), u64(0), u64(0), u64(0), u64(0), Buffer.alloc(32), Buffer.of(0), text('TOO_GOOD'), text('')),
  'log flood': () => Buffer.concat(Array.from({ length: 100 }, () => frame(2, Buffer.of(2), Buffer.alloc(60_000, 65)))),
  'second result': () => {
    const result = frame(7, Buffer.of(0), u64(1), u64(1), u64(1), u64(1), Buffer.alloc(32), Buffer.of(0), text(''), text(''));
    return Buffer.concat([result, result]);
  },
  exit: () => process.exit(3),
};

fs.writeSync(3, frame(1));
fs.readSync(0, Buffer.alloc(1));
const lie = process.argv[2];
fs.writeSync(3, LIES[lie]());
fs.readSync(0, Buffer.alloc(10_000_000));
setInterval(() => {}, 1000);
