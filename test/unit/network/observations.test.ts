import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ObjectId, PeerKey } from '../../../src/domain/ids.ts';
import type { RecordsRequest, RecordsResponse } from '../../../src/domain/messages.ts';
import { recordsRequestSchema, recordsResponseSchema } from '../../../src/domain/messages.ts';
import type { ObservationItem } from '../../../src/domain/observation.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeObjectId } from '../../../src/lib/cid.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { ACCEPT, type Verdict } from '../../../src/lib/verdict.ts';
import { OBSERVATION_SYNC_EPOCHS, OBSERVATION_SYNC_MAX } from '../../../src/network/constants.ts';
import { ObservationExchange } from '../../../src/network/discovery/observation-exchange.ts';
import { decodeObservationMessage, encodeObservationMessage } from '../../../src/network/gossip/observation-wire.ts';
import { PeerPenalties } from '../../../src/network/peers/peer-penalties.ts';
import { computeEpochDigest } from '../../../src/reputation/epoch-digest.ts';
import type { EpochDigest, ObservationSource } from '../../../src/reputation/interface.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 });
const wires = fc.oneof(
  bytes.map((envelope) => ({ kind: 'envelope' as const, envelope })),
  fc.record({
    kind: fc.constant('batch' as const),
    payload: bytes,
    index: fc.nat({ max: 65_535 }),
    path: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 4 }),
    root: bytes,
  }),
);
const items = fc.record({ observation: wires, evidence: fc.array(wires, { maxLength: 2 }) });

describe('a gossip message of observations', () => {
  it('decodes to what was encoded', () => {
    fc.assert(
      fc.property(fc.array(items, { minLength: 1, maxLength: 4 }), (list) => {
        expect(decodeObservationMessage(encodeObservationMessage(list))).toEqual(list);
      }),
      { numRuns: 50 },
    );
  });

  it('that is garbage, too large, empty or has too much in it is none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
        expect(decodeObservationMessage(garbage)).toBeNull();
      }),
      { numRuns: 100 },
    );
    const item = { observation: { kind: 'envelope' as const, envelope: new Uint8Array(1) }, evidence: [] };
    expect(decodeObservationMessage(new Uint8Array(64 * 1024 + 1))).toBeNull();
    expect(decodeObservationMessage(encodeObservationMessage([]))).toBeNull();
    expect(decodeObservationMessage(encodeObservationMessage(Array(65).fill(item)))).toBeNull();
    const crowded = { ...item, evidence: Array(3).fill(item.observation) };
    expect(decodeObservationMessage(encodeObservationMessage([crowded]))).toBeNull();
    expect(decodeObservationMessage(encodeCanonical({ items: [item], extra: 1 }))).toBeNull();
    expect(decodeObservationMessage(encodeObservationMessage([item]))).toEqual([item]);
  });
});

/** Items are told by the text in their envelope. */
class TextSource implements ObservationSource {
  readonly known = new Map<number, Map<ObjectId, string>>();
  readonly taken: string[] = [];
  verdict: Verdict = ACCEPT;
  unchecked: { id: ObjectId; observer: PeerKey }[] = [];

  constructor(texts: Readonly<Record<number, readonly string[]>>) {
    for (const [epoch, list] of Object.entries(texts)) {
      this.known.set(Number(epoch), new Map(list.map((text) => [idOf(text), text])));
    }
  }

  async take({ observation }: ObservationItem): Promise<Verdict> {
    const text = new TextDecoder().decode(observation.kind === 'envelope' ? observation.envelope : new Uint8Array());
    this.taken.push(text);
    return this.verdict;
  }
  async digests(): Promise<readonly EpochDigest[]> {
    return [...this.known].map(([epoch, ids]) => computeEpochDigest(epoch, ids.keys()));
  }
  async listIds(epoch: number, after: ObjectId | null): Promise<readonly ObjectId[]> {
    const ids = [...(this.known.get(epoch)?.keys() ?? [])].sort();
    return ids.filter((id) => after === null || id > after).slice(0, 3);
  }
  async findMissing(epoch: number, ids: readonly ObjectId[]): Promise<readonly ObjectId[]> {
    return ids.filter((id) => this.known.get(epoch)?.has(id) !== true);
  }
  listUnchecked() {
    return this.unchecked;
  }
  async *load(ids: readonly ObjectId[]): AsyncIterable<ObservationItem> {
    for (const [, texts] of this.known) {
      for (const id of ids) {
        const text = texts.get(id);
        if (text !== undefined) yield { observation: { kind: 'envelope', envelope: encodeUtf8(text) }, evidence: [] };
      }
    }
  }
}

const idOf = (text: string): ObjectId => computeObjectId(encodeUtf8(text)) as ObjectId;
const PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5' as PeerKey;

function connect(own: TextSource, theirs: TextSource, rewrite = (response: RecordsResponse) => response) {
  const asked: RecordsRequest[] = [];
  const clock = new ManualClock();
  const shared = { penalties: new PeerPenalties(clock), clock, random: new SystemRandom(), logger: new NoopLogger() };
  const book = { list: () => [] };
  const nobody = { request: async () => Promise.reject(new Error('nobody is asked')) };
  const answerer = new ObservationExchange({ ...shared, book, transport: nobody, source: () => theirs });
  const transport = {
    request: async (_peer: PeerKey, _protocol: string, request: RecordsRequest): Promise<RecordsResponse> => {
      asked.push(request);
      // As they would be on the wire.
      recordsRequestSchema.encode(request as never);
      const response = rewrite(await answerer.answer(request as never));
      recordsResponseSchema.encode(response as never);
      return response;
    },
  };
  const exchange = new ObservationExchange({
    ...shared,
    book,
    transport: transport as never,
    source: () => own,
  });
  return { exchange, asked, penalties: shared.penalties };
}

const { signal } = new AbortController();

describe('comparing observations with a peer', () => {
  it('brings what is missing, over several pages, and nothing else', async () => {
    const own = new TextSource({ 1: ['a', 'b'], 2: ['x'] });
    const theirs = new TextSource({ 1: ['a', 'b'], 2: ['x', 'y', 'z', 'u', 'v', 'w', 't'], 3: ['n'] });
    const { exchange, asked } = connect(own, theirs);
    expect(await exchange.syncWith(PEER, signal)).toBe(7);
    expect(own.taken.toSorted()).toEqual(['n', 't', 'u', 'v', 'w', 'y', 'z']);
    expect(asked.some((request) => request.op === 'observation-ids' && request.epoch === 1)).toBe(false);
  });

  it('asks nothing more where nothing differs', async () => {
    const texts = { 1: ['a', 'b'] };
    const { exchange, asked } = connect(new TextSource(texts), new TextSource(texts));
    expect(await exchange.syncWith(PEER, signal)).toBe(0);
    expect(asked.map(({ op }) => op)).toEqual(['observation-digests']);
  });

  it('looks into no more epochs and fetches no more than one round may', async () => {
    const epochs = Object.fromEntries(Array.from({ length: 40 }, (_, epoch) => [epoch, [`${epoch}`]]));
    const { exchange, asked } = connect(new TextSource({}), new TextSource(epochs));
    expect(await exchange.syncWith(PEER, signal)).toBe(OBSERVATION_SYNC_EPOCHS);
    const own = new TextSource({});
    const many = new TextSource({ 1: Array.from({ length: OBSERVATION_SYNC_MAX + 100 }, (_, index) => `${index}`) });
    await connect(own, many).exchange.syncWith(PEER, signal);
    expect(own.taken).toHaveLength(OBSERVATION_SYNC_MAX);
    expect(asked.length).toBeLessThan(40);
  });

  it('does not follow a peer that lists the same ids again and again', async () => {
    const theirs = new TextSource({ 1: ['a', 'b'] });
    const ids = await theirs.listIds(1, null);
    const { exchange, asked } = connect(new TextSource({}), theirs, (response) =>
      'ids' in response ? { ids: [...ids] } : response,
    );
    await exchange.syncWith(PEER, signal);
    expect(asked.filter(({ op }) => op === 'observation-ids')).toHaveLength(2);
  });

  it('costs a peer that gives what is rejected', async () => {
    const own = new TextSource({});
    own.verdict = { kind: 'reject', code: 'OBSERVATION_FOREIGN_EVIDENCE', penalty: 20 };
    const { exchange, penalties } = connect(own, new TextSource({ 1: ['a'] }));
    expect(await exchange.syncWith(PEER, signal)).toBe(0);
    expect(penalties.penaltyOf(PEER)).toBeCloseTo(20, 0);
  });
});
