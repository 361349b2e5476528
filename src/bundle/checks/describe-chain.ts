import type { PeerKey } from '../../domain/ids.ts';
import type { OpenedAttempt } from '../open-evidence.ts';
import { shortPeer, valueOf } from './check.ts';

/** What an attempt says of its checkpoints, in plain words; empty where it has none. */
export function describeChain({ chain, inherited, lease }: OpenedAttempt): readonly string[] {
  switch (chain.kind) {
    case 'none':
      return [];
    case 'missing':
      return ['It signed the root of a checkpoint chain, which is not in this file.'];
    case 'refused':
      return ['Its checkpoint chain does not hold.'];
    case 'verified': {
      const { start, links } = chain.chain;
      const last = links.at(-1)?.step ?? start.step;
      const count = `${links.length + 1} ${links.length === 0 ? 'checkpoint' : 'checkpoints'}`;
      const span = links.length === 0 ? `after step ${last}` : `from step ${start.step} to step ${last}`;
      const resume = valueOf(lease)?.resume;
      return [
        `It committed to its state at ${count}, ${span}.`,
        ...(resume === undefined ? [] : [describeLine(resume.step, inherited)]),
      ];
    }
    default:
      return chain satisfies never;
  }
}

function describeLine(step: number, inherited: OpenedAttempt['inherited']): string {
  if (inherited.length === 0) return `It inherited the state after step ${step}; from whom is not in this file.`;
  const words: string[] = [];
  let at = step;
  for (const { lease } of inherited.toReversed()) {
    const value = valueOf(lease);
    words.push(
      `that after step ${at} from ${value === undefined ? 'an attempt whose lease is refused' : nameOf(value)}`,
    );
    at = value?.resume?.step ?? 0;
  }
  const [first = '', ...others] = words;
  const oldest = inherited[0] === undefined ? undefined : valueOf(inherited[0].lease);
  const end =
    oldest !== undefined && oldest.resume === undefined
      ? 'which began at the beginning'
      : 'and who before is not in this file';
  return `It inherited ${[first.replace('that', 'the state'), ...others].join(', which had inherited ')}, ${end}.`;
}

function nameOf({ provider, attempt }: { readonly provider: PeerKey; readonly attempt: number }): string {
  return `provider ${shortPeer(provider)} (attempt ${attempt + 1})`;
}
