import type { AnchorReader, AnchorReading } from '../../src/bundle/interface.ts';
import type { Anchor } from '../../src/domain/anchor.ts';
import type { VerificationVerdict } from '../../src/domain/assurance.ts';
import { areBytesEqual, encodeHex } from '../../src/lib/bytes.ts';

export interface FakeAnchorReaderOptions {
  readonly blockTimeMs?: number | null;
  /** `stalls` never answers, not even to its signal; `dead` cannot reach its endpoint; `mute` makes no check. */
  readonly mode?: 'honest' | 'stalls' | 'dead' | 'mute' | 'broken';
}

type Named = readonly [name: string, isTrue: boolean];

/** A chain in memory that holds exactly the entries of `written`. */
export class FakeAnchorReader implements AnchorReader {
  readonly #written: readonly Anchor[];
  readonly #options: FakeAnchorReaderOptions;
  /** Batches that were asked for. */
  asked = 0;

  constructor(written: readonly Anchor[], options: FakeAnchorReaderOptions = {}) {
    this.#written = written;
    this.#options = options;
  }

  async readAnchor(anchor: Anchor, { signal }: { readonly signal: AbortSignal }): Promise<AnchorReading> {
    this.asked += 1;
    signal.throwIfAborted();
    const { mode = 'honest', blockTimeMs = null } = this.#options;
    if (mode === 'stalls') return await new Promise<never>(() => {});
    if (mode === 'broken') throw new TypeError('a defect of the reader');
    const endpoint = 'http://127.0.0.1:8899';
    return {
      chain: 'a chain in memory',
      askedEndpoints: [endpoint],
      blockTimeMs: mode === 'honest' ? blockTimeMs : null,
      checks: mode === 'mute' ? [] : mode === 'dead' ? this.#refuse(endpoint) : this.#judge(anchor),
    };
  }

  #refuse(endpoint: string): AnchorReading['checks'] {
    return [{ name: 'genesis', verdict: { kind: 'unchecked', missing: `an answer of ${endpoint}` } }];
  }

  #judge(anchor: Anchor): AnchorReading['checks'] {
    const same = (a: Uint8Array, b: Uint8Array): boolean => areBytesEqual(a, b);
    const [first] = this.#written;
    const found = this.#written.find(({ transaction }) => same(transaction, anchor.transaction));
    const checks: readonly Named[] = [
      ['genesis', first !== undefined && same(first.genesis, anchor.genesis)],
      ['transaction', found !== undefined],
      ['slot', found?.slot === anchor.slot],
      ['log', found !== undefined && same(found.log, anchor.log) && same(found.program, anchor.program)],
      ['entry', found?.entry === anchor.entry && found.generation === anchor.generation],
      ['root', found !== undefined && same(found.batchRoot, anchor.batchRoot) && found.batchSize === anchor.batchSize],
    ];
    return checks.map(([name, isTrue]) => ({ name: `${name} on the chain`, verdict: judge(isTrue, anchor) }));
  }
}

function judge(isTrue: boolean, { transaction }: Anchor): VerificationVerdict {
  if (isTrue) return { kind: 'valid' };
  const reason = `the chain says otherwise of transaction ${encodeHex(transaction)}`;
  return { kind: 'invalid', code: 'NOT_ON_CHAIN', reason };
}
