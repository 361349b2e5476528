/**
 * Writes docs/protocols.md from the tables in src/network. `--check` writes nothing and fails if the page is out of date.
 * Usage: scripts/node scripts/generate-protocols.ts [--check]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  BAN_PENALTY,
  CANCEL_DEADLINE_MS,
  CLOCK_SKEW_MS,
  FRAME_DEADLINE_MS,
  PENALTY_HALF_LIFE_MS,
} from '../src/network/constants.ts';
import { DHT_RECORD_NAMESPACE } from '../src/network/discovery/dht-record-rules.ts';
import { MAX_ROUTER_FRAME_BYTES, ROUTER_RATE, SCORE_THRESHOLDS } from '../src/network/gossip/router/constants.ts';
import { type MessageRate, TOPIC_NAMES, TOPICS, type TopicSpec, topicId } from '../src/network/gossip/topics.ts';
import { GOSSIP_VERDICTS } from '../src/network/gossip/verdicts.ts';
import type { ProtocolName } from '../src/network/interface.ts';
import { CLAIM_RULES } from '../src/network/neighbours/inbound/claim-rules.ts';
import { FRAME_KINDS } from '../src/network/reqresp/frame-codec.ts';
import { PROTOCOL_NAMES, PROTOCOLS, protocolId, VIOLATIONS } from '../src/network/reqresp/protocols.ts';

const PAGE = join(import.meta.dirname, '../docs/protocols.md');

function renderTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function renderBytes(bytes: number): string {
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`;
}

function renderProtocol(name: ProtocolName): (string | number)[] {
  const spec = PROTOCOLS[name];
  return [
    `\`${protocolId('<network>', name)}\``,
    spec.purpose,
    spec.answer,
    `${renderBytes(spec.maxRequestBytes)} / ${renderBytes(spec.maxResponseBytes)}`,
    `${spec.firstResponseMs / 1000} s`,
    spec.maxInFlight,
    `${spec.requestsPerSecond} / ${spec.burst}`,
    renderBytes(spec.windowBytes),
  ];
}

const FRAME_NOTES: Readonly<Record<keyof typeof FRAME_KINDS, readonly [from: string, body: string]>> = {
  request: ['requester', 'the request; any number of responses is wanted'],
  requestOne: ['requester', 'the request; only the first response is wanted, as `last`'],
  cancel: ['requester', 'null; confirmed by `end`, unless the answer had ended before'],
  credit: ['requester', 'an integer: response bytes (128 a frame beside its own) taken since the last credit'],
  response: ['responder', 'a response, more may follow'],
  last: ['responder', 'a response, the last one'],
  end: ['responder', 'null; no (more) responses'],
  error: ['responder', 'a string: the code of the error'],
};

function renderRequests(): string {
  return `## Request protocols

One stream is kept for each peer, protocol and direction; the requester opens it. It carries frames: a length of 4 bytes
(big-endian, unsigned), then the canonical dag-cbor array \`[kind, id, body]\`. Ids are unsigned integers of at most 32
bits; a requester counts them up. Bodies are the messages of \`src/domain/messages.ts\`. Sizes are those of the messages;
a frame has at most 7 bytes more.

${renderTable(
  [
    'protocol',
    'purpose',
    'answer',
    'largest request / response',
    'first response within',
    'requests at once',
    'requests a second / at once',
    'window',
  ],
  PROTOCOL_NAMES.map(renderProtocol),
)}

The limits are each peer's. The window is how many bytes of responses a responder may send before the requester took
them; the response that passes it may be sent whole.

${renderTable(
  ['kind', 'name', 'from', 'body'],
  Object.entries(FRAME_KINDS).map(([name, kind]) => {
    const [from, body] = FRAME_NOTES[name as keyof typeof FRAME_KINDS];
    return [kind, `\`${name}\``, from, body];
  }),
)}

A frame that was begun is finished within ${FRAME_DEADLINE_MS / 1000} s, a cancel confirmed within ${CANCEL_DEADLINE_MS / 1000} s.

### Breaches

What breaks these rules is counted (\`fogproof_network_violations_total\`) and adds to the peer's penalty, which halves
every ${PENALTY_HALF_LIFE_MS / 60_000} minutes and counts in its gossip score. At ${BAN_PENALTY} the peer is disconnected and refused until it has
fallen below.

${renderTable(
  ['breach', 'meaning', 'penalty', 'the stream'],
  Object.entries(VIOLATIONS).map(([name, rule]) => [
    `\`${name}\``,
    rule.meaning,
    rule.penalty,
    rule.resets ? 'is reset' : 'goes on',
  ]),
)}

### Refusals of claims

Why \`neighbour/1\` refuses to be a neighbour ([neighbours.md](neighbours.md)), and what it adds to the penalty of whoever claims.

${renderTable(
  ['code', 'meaning', 'penalty', 'again in the same epoch'],
  Object.entries(CLAIM_RULES).map(([code, rule]) => [
    `\`${code}\``,
    rule.meaning,
    code === 'bad-record' ? 'that of the record' : rule.penalty,
    rule.isForNow ? 'later' : 'no',
  ]),
)}`;
}

const renderRate = (rate: MessageRate | null): string => (rate === null ? '' : `${rate.perSecond} / ${rate.burst}`);

function renderRules(rules: Readonly<Record<string, { kind: string; penalty: number; meaning: string }>>): string {
  return renderTable(
    ['code', 'verdict', 'penalty', 'when'],
    Object.entries(rules).map(([code, rule]) => [`\`${code}\``, rule.kind, rule.penalty, rule.meaning]),
  );
}

function renderTopics(): string {
  return `## Gossip topics

gossipsub, StrictSign, peer scoring on. Every message is judged before it is passed on.

${renderTable(
  ['topic', 'purpose', 'largest message', 'messages a second / at once from one neighbour', 'by one publisher'],
  TOPIC_NAMES.map((name) => {
    const topic: TopicSpec = TOPICS[name];
    return [
      `\`${topicId('<network>', name)}\``,
      topic.purpose,
      renderBytes(topic.maxBytes),
      renderRate(topic.neighbourRate),
      renderRate(topic.publisherRate),
    ];
  }),
)}

Who is known to be good, was chosen as a neighbour, stays in the mesh and is first with what is valid has a score of at
most 20; invalid messages, broken promises and penalties take it down. Below ${SCORE_THRESHOLDS.gossipThreshold} nothing is told to a peer or asked of it, below
${SCORE_THRESHOLDS.publishThreshold} own messages are not sent to it, below ${SCORE_THRESHOLDS.graylistThreshold} it is not heard. [gossip.md](gossip.md) gives the reasons.

### Verdicts of the router

Given before any topic is asked, to frames of at most ${renderBytes(MAX_ROUTER_FRAME_BYTES)} and to at most ${ROUTER_RATE.perSecond} messages a second (${ROUTER_RATE.burst} at once) of
one neighbour. Counted under the topic \`router\`.

${renderRules(GOSSIP_VERDICTS.router)}

### Verdicts on node records

The same rules hold for records from gossip, from \`records\` requests and from the DHT (where \`ignore\` and \`reject\`
both refuse). \`accept\` passes a message on, \`ignore\` drops it, \`reject\` drops it and costs whoever passed it on.
Clocks may differ by ${CLOCK_SKEW_MS / 1000} s.

${renderRules(GOSSIP_VERDICTS.records)}

### Verdicts on announcements of jobs

A node subscribes to the topics of the classes that it takes jobs of, and to no other; who only requests publishes
without subscribing. Each announcement is handled once: its id is remembered until it has expired.

${renderRules(GOSSIP_VERDICTS.jobs)}

### Verdicts on observations

The same rules hold for each observation of a gossip message and for those that were asked for. A message is rejected for
the first in it that is, and passed on if one in it counts. What counts and what it weighs: [reputation.md](reputation.md).

${renderRules(GOSSIP_VERDICTS.observations)}`;
}

export function renderProtocols(): string {
  return `# Protocols

Generated by \`scripts/generate-protocols.ts\` from the tables in \`src/network\`; do not edit.

Transport: TCP; TLS 1.3 (\`/tls/1.0.0\`) first, noise (\`/noise\`) second; yamux; identify; ping. With a pre-shared key
every connection is a libp2p private-network one. \`<network>\` is the network's id.

${renderRequests()}

${renderTopics()}

## DHT

Kademlia under \`/fogproof/<network>/kad/1\`. A node record stands under \`/${DHT_RECORD_NAMESPACE}/<peer id>\`; its validator applies
the rules above and refuses a sequence below one seen before, its selector takes the highest valid sequence. Providers
of a capability class stand under the CIDv1 (raw, sha2-256) of the text \`fogproof/capability/<class>\`.
`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help === true) {
    console.log('Usage: scripts/node scripts/generate-protocols.ts [--check]\nWrites docs/protocols.md.');
    return;
  }
  const text = renderProtocols();
  if (values.check !== true) {
    await writeFile(PAGE, text);
    return;
  }
  const found = await readFile(PAGE, 'utf8').catch(() => '');
  if (found === text) return;
  console.error('docs/protocols.md is out of date: run scripts/node scripts/generate-protocols.ts');
  process.exitCode = 1;
}

if (import.meta.main) await main();
