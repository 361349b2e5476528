/** What is done to the fleet, kind by kind. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosNode } from './chaos-node.ts';
import type { Fleet } from './fleet.ts';
import { GOOD_LINK, type LinkRules } from './link-rules.ts';
import type { FaultKind, PlannedFault } from './plan.ts';
import { tryStartSecond } from './second-daemon.ts';

const UP_TIMEOUT_MS = 90_000;
const KIB = 1024;
const MINUTE_MS = 60_000;
const ROGUE = new URL('rogue.ts', import.meta.url).pathname;
const LOOP_TURNS = 10;
const LOOP_MOST_MS = 2_000;

export interface FaultScene {
  readonly fleet: Fleet;
  readonly fault: PlannedFault;
  readonly target: ChaosNode;
  readonly other: ChaosNode;
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
    fleet.disk.fill(node.pid);
    try {
      await hold(scene);
    } finally {
      fleet.disk.free(node.pid);
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
};

export async function inject(scene: FaultScene): Promise<void> {
  await INJECTIONS[scene.fault.kind](scene);
}
