import type { ExecutorKind } from '../../../domain/capability.ts';
import type { BlobId, PeerKey } from '../../../domain/ids.ts';
import { readImage } from '../../../domain/image.ts';
import { QuietHours } from '../../../domain/quiet-hours.ts';

/** As the operator writes it (docs/policy.md). */
export interface PolicyOptions {
  readonly allow: {
    readonly kinds: 'any' | readonly ExecutorKind[];
    /** Blob ids, or `sha256:` and the digest. */
    readonly images: 'any' | readonly string[];
    readonly networks: 'any' | readonly string[];
  };
  /** Wins over `allow`. */
  readonly deny: {
    readonly kinds: readonly ExecutorKind[];
    readonly images: readonly string[];
    readonly requesters: readonly PeerKey[];
    readonly networks: readonly string[];
  };
  /** Of each requester but the node itself; null: no bound. */
  readonly quotas: {
    readonly concurrentAttempts: number | null;
    readonly attemptsPerHour: number | null;
    readonly cpuTimePerDayMs: number | null;
  };
  readonly quietHours: { readonly zone: string; readonly windows: readonly string[] };
}

export const OPEN_POLICY: PolicyOptions = {
  allow: { kinds: 'any', images: 'any', networks: 'any' },
  deny: { kinds: [], images: [], requesters: [], networks: [] },
  quotas: { concurrentAttempts: null, attemptsPerHour: null, cpuTimePerDayMs: null },
  quietHours: { zone: 'UTC', windows: [] },
};

/** Lists that say of a requester whether its jobs are taken at all. */
export interface RequesterLists {
  readonly allowRequesters: 'anyone' | readonly PeerKey[];
  readonly trustedRequesters: readonly PeerKey[];
}

/** The same, ready to be asked thousands of times a second. Never changes. */
export interface OperatorPolicy {
  readonly allow: {
    readonly kinds: ReadonlySet<ExecutorKind> | null;
    readonly images: ReadonlySet<BlobId> | null;
    readonly networks: ReadonlySet<string> | null;
    /** Those that are trusted among them. */
    readonly requesters: ReadonlySet<PeerKey> | null;
  };
  readonly deny: {
    readonly kinds: ReadonlySet<ExecutorKind>;
    readonly images: ReadonlySet<BlobId>;
    readonly requesters: ReadonlySet<PeerKey>;
    readonly networks: ReadonlySet<string>;
  };
  readonly quotas: PolicyOptions['quotas'];
  readonly quietHours: QuietHours;
}

export function compilePolicy(
  { allow, deny, quotas, quietHours }: PolicyOptions,
  { allowRequesters, trustedRequesters }: RequesterLists,
): OperatorPolicy {
  return {
    allow: {
      kinds: allow.kinds === 'any' ? null : new Set(allow.kinds),
      images: allow.images === 'any' ? null : readImages(allow.images),
      networks: allow.networks === 'any' ? null : new Set(allow.networks),
      requesters: allowRequesters === 'anyone' ? null : new Set([...allowRequesters, ...trustedRequesters]),
    },
    deny: {
      kinds: new Set(deny.kinds),
      images: readImages(deny.images),
      requesters: new Set(deny.requesters),
      networks: new Set(deny.networks),
    },
    quotas,
    quietHours: new QuietHours(quietHours),
  };
}

function readImages(names: readonly string[]): ReadonlySet<BlobId> {
  return new Set(names.flatMap((name) => readImage(name) ?? []));
}
