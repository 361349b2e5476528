import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTemplate, Fleet } from '../../scripts/chaos/fleet.ts';
import { tryStartSecond } from '../../scripts/chaos/second-daemon.ts';

const TIMEOUT_MS = 60_000;

describe('Fleet', () => {
  it('starts a daemon again that died at its armed point, lets no second one in, and stops in order', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'fogproof-chaos-test-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const template = await createTemplate(join(folder, 'template'), ['rita'], { from: 'dist', signal });
    const fleet = stack.use(
      await Fleet.open({
        from: 'dist',
        folder: join(folder, 'run'),
        template,
        requesters: ['rita'],
        providers: [],
        draw: () => 0.5,
        signal,
      }),
    );
    const node = fleet.node('rita');
    node.crashAt = '*:after:1';
    fleet.start();
    await fleet.untilUp(node, TIMEOUT_MS);
    expect(fleet.deaths).toMatchObject([{ life: 1, signal: 'SIGKILL', points: ['meta:after:1'], wasUp: false }]);
    expect(node.life).toBe(2);
    expect(node.readPoints()).toContain('meta');
    expect(await tryStartSecond(fleet, node)).toBeNull();
    expect(await fleet.stop()).toEqual([]);
    expect(fleet.deaths.at(-1)).toMatchObject({ life: 2, exitCode: 0, points: [] });
  });
});
