/** What is done to the fleet, kind by kind. */

import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDaemonError } from '../../src/lib/errors.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import type { ChaosNode } from './chaos-node.ts';
import type { ShownJob } from './client.ts';
import type { Fleet } from './fleet.ts';
import { GOOD_LINK, type LinkRules } from './link-rules.ts';
import type { FaultKind, PlannedFault } from './plan.ts';
import { tryStartSecond } from './second-daemon.ts';

const UP_TIMEOUT_MS = 90_000;
const KIB = 1024;
const MINUTE_MS = 60_000;
const ROGUE = new URL('rogue.ts', import.meta.url).pathname;
/** Until there is a job to be overtaken, until it is, and for what comes too late, ms. */
const OVERTAKEN_FROM_MS = 20_000;
const OVERTAKEN_WITHIN_MS = 30_000;
const LATE_WITHIN_MS = 5_000;
const POLL_MS = 50;
const SMALL_BLOB_BYTES = 1_024;
/** More than a provider has room for where there is little: whatever nobody holds goes. */
const LARGE_BLOBS = 3;
const LARGE_BLOB_BYTES = 12 * 1024 * KIB;
const LOOP_TURNS = 10;
const LOOP_MOST_MS = 2_000;

export interface FaultScene {
  readonly fleet: Fleet;
  readonly fault: PlannedFault;
  readonly target: ChaosNode;
  readonly other: ChaosNode;
  /** What was last seen of the jobs under way. */
  readonly views: () => readonly ShownJob[];
  readonly signal: AbortSignal;
  readonly onFinding: (problem: string) => void;
}

type Inject = (scene: FaultScene) => Promise<void>;

const hold = async ({ fault, signal }: FaultScene): Promise<void> => {
  await sleep(fault.holdMs, undefined, { signal });
};

/** For a while all links of the target are so, or with `pair` the one to the other node. */
function onLinks(rules: (strength: number) => LinkRules, scope: 'all' | 'pair'): Inject {
  return async (scene) => {
    const { fleet, target, other, fault } = scene;
    const peers = scope === 'pair' ? [other] : fleet.nodes.filter((node) => node !== target);
    for (const peer of peers) fleet.links.set(target.name, peer.name, rules(fault.strength));
    try {
      await hold(scene);
    } finally {
      for (const peer of peers) fleet.links.set(target.name, peer.name, GOOD_LINK);
    }
  };
}

async function waitFor<Found>(
  find: () => Found | undefined,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Found | undefined> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const found = find();
    if (found !== undefined || performance.now() > deadlineMs) return found;
    await sleep(POLL_MS, undefined, { signal });
  }
}

/**
 * Of the two providers of a job one is cut off and the other stands still, until a third has committed in place of the
 * first: what the first sends when it is back is too late, and the job is still open, since the second is not back yet.
 */
const overtake: Inject = async ({ fleet, views, signal }) => {
  const isRunning = ({ state }: ShownJob['attempts'][number]): boolean => state === 'running';
  const job = await waitFor(() => views().find(({ attempts }) => attempts.filter(isRunning).length === 2), {
    timeoutMs: OVERTAKEN_FROM_MS,
    signal,
  });
  const peers = job?.attempts.filter(isRunning).map(({ provider }) => provider) ?? [];
  const [cut, ...still] = peers.flatMap((peer) => fleet.providers.find((node) => node.peer === peer) ?? []);
  if (job === undefined || cut === undefined) return;
  const [third, ...others] = fleet.providers.filter(({ peer }) => !peers.some((known) => known === peer));
  const frozen = [...still, ...others];
  const rest = fleet.nodes.filter((node) => node !== cut);
  for (const node of rest) fleet.links.set(cut.name, node.name, { ...GOOD_LINK, isCut: true });
  for (const node of frozen) node.freeze();
  try {
    const isOvertaken = (): true | undefined => {
      const now = views().find((view) => view.job === job.job);
      const has = now?.attempts.some(({ provider, state }) => provider === third?.peer && state === 'committed');
      return now === undefined || has === true ? true : undefined;
    };
    await waitFor(isOvertaken, { timeoutMs: OVERTAKEN_WITHIN_MS, signal });
    for (const node of rest) fleet.links.set(cut.name, node.name, GOOD_LINK);
    await sleep(LATE_WITHIN_MS, undefined, { signal });
  } finally {
    for (const node of rest) fleet.links.set(cut.name, node.name, GOOD_LINK);
    for (const node of frozen) node.thaw();
  }
};

/** What the operator of the target does. A daemon that dies of it is what it is for. */
function operate(actions: (client: RpcClient, scene: FaultScene) => Promise<void>): Inject {
  return async (scene) => {
    const { target, signal } = scene;
    if (target.client === undefined) return;
    try {
      await actions(target.client, scene);
    } catch (error) {
      signal.throwIfAborted();
      if (!isDaemonError(error)) throw error;
    }
  };
}

const drawSmallBlob = (): Uint8Array => new Uint8Array(randomBytes(SMALL_BLOB_BYTES));

/** Small enough for the database, and new each time. */
const tidy = operate(async (client, { signal }) => {
  const { blob } = await client.call('blob.addBytes', { bytes: drawSmallBlob() }, { signal });
  await client.call('blob.remove', { blob }, { signal });
});

/** A small blob makes room for large ones and is added again. */
const putBack = operate(async (client, { target, signal }) => {
  const bytes = drawSmallBlob();
  const path = join(target.folder, 'large');
  await client.call('blob.addBytes', { bytes }, { signal });
  try {
    for (let large = 0; large < LARGE_BLOBS; large += 1) {
      await writeFile(path, randomBytes(LARGE_BLOB_BYTES), { signal });
      await client.call('blob.add', { path }, { signal });
    }
  } finally {
    await rm(path, { force: true });
  }
  await client.call('blob.addBytes', { bytes }, { signal });
});

function withControl(change: (strength: number) => Parameters<ChaosNode['control']>[0]): Inject {
  return async (scene) => {
    scene.target.control(change(scene.fault.strength));
    try {
      await hold(scene);
    } finally {
      scene.target.control({ clockOffsetMs: 0, writeDelayMs: 0 });
    }
  };
}

const INJECTIONS: Record<FaultKind, Inject> = {
  kill: async ({ target }) => void target.kill(),
  'kill all': async ({ fleet }) => {
    for (const node of fleet.nodes) node.kill();
  },
  'kill in recovery': async ({ target, fault }) => {
    target.crashAt = `*:${fault.strength < 0.5 ? 'before' : 'after'}:${1 + (fault.other % 12)}`;
    target.kill();
  },
  'restart loop': async ({ fleet, target, fault, signal }) => {
    for (let turn = 0; turn < LOOP_TURNS; turn += 1) {
      target.kill();
      // Different for each turn, and the same for the same seed.
      await sleep((fault.other * (turn + 1) * 97) % LOOP_MOST_MS, undefined, { signal });
    }
    await fleet.untilUp(target, UP_TIMEOUT_MS);
  },
  'stop in order': async ({ target, onFinding }) => {
    if (!(await target.stop())) onFinding(`${target.name} did not stop in order within 20 s`);
  },
  freeze: async (scene) => {
    scene.target.freeze();
    try {
      await hold(scene);
    } finally {
      scene.target.thaw();
    }
  },
  'cut pair': onLinks(() => ({ ...GOOD_LINK, isCut: true }), 'pair'),
  isolate: onLinks(() => ({ ...GOOD_LINK, isCut: true }), 'all'),
  delay: onLinks((strength) => ({ ...GOOD_LINK, delayMs: 50 + 350 * strength }), 'all'),
  loss: onLinks((strength) => ({ ...GOOD_LINK, lossProbability: 0.02 + 0.2 * strength }), 'all'),
  throttle: onLinks((strength) => ({ ...GOOD_LINK, bytesPerSecond: (16 + 112 * strength) * KIB }), 'all'),
  corrupt: onLinks((strength) => ({ ...GOOD_LINK, flipProbability: 0.05 * strength, resetProbability: 0.02 }), 'all'),
  'full disk': async (scene) => {
    const { fleet } = scene;
    const node = fleet.nodes.find(({ home }) => home === fleet.disk?.home);
    if (node?.pid === undefined || fleet.disk === undefined) return;
    fleet.harms.begin('full disk', node.name);
    fleet.disk.fill(node.pid);
    try {
      await hold(scene);
    } finally {
      fleet.disk.free(node.pid);
      fleet.harms.end('full disk', node.name);
    }
  },
  'slow disk': withControl((strength) => ({ writeDelayMs: Math.round(20 + 480 * strength) })),
  'clock forward': withControl((strength) => ({ clockOffsetMs: Math.round(MINUTE_MS * (1 + 9 * strength)) })),
  'clock back': withControl((strength) => ({ clockOffsetMs: -Math.round(MINUTE_MS * (1 + 9 * strength)) })),
  'second daemon': async ({ target, fleet, onFinding }) => {
    const problem = await tryStartSecond(fleet, target);
    if (problem !== null) onFinding(problem);
  },
  rogue: async ({ target, fault, signal }) => {
    const child = fork(ROGUE, [String(fault.other), target.address, String(fault.holdMs)], { signal, stdio: 'ignore' });
    child.once('error', () => undefined);
    await once(child, 'exit');
  },
  overtake,
  tidy,
  'put back': putBack,
};

export async function inject(scene: FaultScene): Promise<void> {
  await INJECTIONS[scene.fault.kind](scene);
}

/** From the beginning again, and again. */
export function* endlessly<Item>(items: readonly Item[]): Generator<Item> {
  while (items.length > 0) yield* items;
}
