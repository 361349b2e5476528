// Runs where a child that runs models runs, and answers orders with what LIES says. The lie is its last argument.
import fs from 'node:fs';

const readExactly = (length) => {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const count = fs.readSync(0, bytes, done, length - done);
    if (count === 0) process.exit(0);
    done += count;
  }
  return bytes;
};
const readOrder = () => {
  const body = readExactly(readExactly(4).readUInt32BE());
  return { type: body[0], order: JSON.parse(body.subarray(1).toString('utf8')) };
};
const frame = (type, body) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length + 1);
  head[4] = type;
  return Buffer.concat([head, body]);
};
const say = (message) => frame(1, Buffer.from(JSON.stringify(message)));
const send = (...parts) => fs.writeSync(3, Buffer.concat(parts));

const x = { name: 'x', type: 'float32', shape: ['rows', 2] };
const y = { name: 'y', type: 'float32', shape: ['rows', 2] };
const loaded = say({ kind: 'loaded', inputs: [x], outputs: [y] });
const item = (fields = {}) => say({ kind: 'item', item: 0, outputs: [{ name: 'y', type: 'float32', shape: [1, 2] }], ...fields });
const done = say({ kind: 'done' });
const bytes = (length) => frame(2, Buffer.alloc(length));

/** To the order of loading, and to that of running. */
const LIES = {
  garbage: [Buffer.from('this is no frame at all, and longer than one would be')],
  'no JSON': [frame(1, Buffer.from('{'))],
  'an unknown reply': [frame(9, Buffer.from('{}'))],
  'a huge frame': [Buffer.of(0x7f, 0xff, 0xff, 0xff)],
  'unknown fields': [say({ kind: 'loaded', inputs: [x], outputs: [y], more: 1 })],
  'a thousand outputs': [say({ kind: 'loaded', inputs: [x], outputs: Array(1000).fill(y) })],
  'an answer to loading that is one to running': [done],
  'nothing but an end': [loaded, done],
  'another item': [loaded, Buffer.concat([item({ item: 1 }), bytes(8), done])],
  'another output': [loaded, Buffer.concat([item({ outputs: [{ name: '../../etc/x', type: 'float32', shape: [1, 2] }] }), bytes(8), done])],
  'another type': [loaded, Buffer.concat([item({ outputs: [{ name: 'y', type: 'uint8', shape: [1, 2] }] }), bytes(2), done])],
  'more than the job may have': [loaded, item({ outputs: [{ name: 'y', type: 'float32', shape: [2 ** 40, 2] }] })],
  'a shape that nobody can count': [loaded, item({ outputs: [{ name: 'y', type: 'float32', shape: [2 ** 50, 2 ** 50] }] })],
  'more bytes than it said': [loaded, Buffer.concat([item(), bytes(12), done])],
  'fewer bytes than it said': [loaded, Buffer.concat([item(), bytes(4), done])],
  'bytes of nothing': [loaded, bytes(8)],
  'an item twice': [loaded, Buffer.concat([item(), bytes(8), item(), bytes(8), done])],
  'a failure after an answer': [loaded, Buffer.concat([item(), bytes(8), say({ kind: 'failed', reason: 'runtime', message: '' })])],
};

const [loading, running] = LIES[process.argv.at(-1)];
send(say({ kind: 'ready', version: '0.0.0' }));
readExactly(readOrder().order.sizeBytes);
send(loading);
if (running !== undefined) {
  const { order } = readOrder();
  readExactly(order.items.length * 8);
  send(running);
}
readExactly(1);
