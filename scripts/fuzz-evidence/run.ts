import type { EvidenceCrypto, EvidenceVerification } from '../../src/tee/interface.ts';
import type { FuzzTarget } from './interface.ts';

export interface FuzzReport {
  readonly bits: number;
  readonly lengths: number;
  /** Bits of unsigned bytes that changed nothing, as they may. */
  readonly harmless: number;
  /** What was accepted that must not be, or threw. */
  readonly faults: readonly string[];
}

export interface FuzzOptions {
  readonly crypto: EvidenceCrypto;
  /** Every n-th bit and length, beginning with a number below n. */
  readonly stride: number;
  readonly start: number;
  readonly onProgress: (done: number, of: number) => void;
}

const PROGRESS_EVERY = 2_000;

/** Checks that did not pass: for genuine evidence without a fresh platform that is one, and it has to become more. */
function listOpen({ checks }: EvidenceVerification<unknown>): readonly string[] {
  return checks.filter(({ verdict }) => verdict !== 'passed').map(({ name, verdict }) => `${name} ${verdict}`);
}

/** Flips every bit and cuts at every length. Accepted is what leaves no more checks open than the genuine evidence. */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzReport> {
  const { evidence } = target;
  const genuine = listOpen(await target.verify(evidence, options.crypto));
  const faults: string[] = [];
  let harmless = 0;
  const judge = async (changed: Uint8Array, what: string, mayPass: boolean): Promise<void> => {
    try {
      const open = listOpen(await target.verify(changed, options.crypto));
      if (!open.every((check) => genuine.includes(check))) return;
      if (mayPass) harmless += 1;
      else faults.push(`${what}: accepted`);
    } catch (error) {
      faults.push(`${what}: ${String(error)}`);
    }
  };
  const bits = await flipBits(target, options, judge);
  const lengths = await cut(target, options, judge);
  return { bits, lengths, harmless, faults };
}

type Judge = (changed: Uint8Array, what: string, mayPass: boolean) => Promise<void>;

async function flipBits({ evidence, unsigned }: FuzzTarget, options: FuzzOptions, judge: Judge): Promise<number> {
  const total = evidence.length * 8;
  const changed = Uint8Array.from(evidence);
  let done = 0;
  for (let bit = options.start % options.stride; bit < total; bit += options.stride) {
    const at = bit >> 3;
    const mask = 1 << (bit & 7);
    changed[at] = (evidence[at] ?? 0) ^ mask;
    const mayPass = unsigned.some(([start, end]) => at >= start && at < end);
    await judge(changed, `byte ${at}, bit ${bit & 7}`, mayPass);
    changed[at] = evidence[at] ?? 0;
    done += 1;
    if (done % PROGRESS_EVERY === 0) options.onProgress(bit, total);
  }
  return done;
}

async function cut({ evidence, paddingFrom }: FuzzTarget, options: FuzzOptions, judge: Judge): Promise<number> {
  let done = 0;
  for (let length = options.start % options.stride; length < evidence.length; length += options.stride) {
    await judge(evidence.slice(0, length), `cut to ${length} bytes`, length >= paddingFrom);
    done += 1;
  }
  return done;
}
