import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeWork } from '../../../src/cli/doctor/checks.ts';
import {
  checkAppArmor,
  checkClock,
  checkPorts,
  checkTeeDevices,
  type HostRoots,
  judgeDisk,
} from '../../../src/cli/doctor/host-checks.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { toJsonForm } from '../../../src/rpc/json-form.ts';
import { exampleResult } from '../../support/fake-rpc-modules.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';

/** A machine that has these files. */
async function fakeTree(files: Readonly<Record<string, string>>) {
  const folder = await createTemporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, path)), { recursive: true });
    await writeFile(join(folder.path, path), text);
  }
  const at = (name: string): string => join(folder.path, name);
  const roots: HostRoots = { proc: at('proc'), sys: at('sys'), dev: at('dev'), etc: at('etc') };
  return { roots, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

const APPARMOR = { 'sys/module/apparmor/parameters/enabled': 'Y\n' };
const RESTRICTING = { ...APPARMOR, 'proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1\n' };

describe('doctor, on machines that are not this one', () => {
  it.each([
    ['no AppArmor', {}, 'ok', 'not in force'],
    ['AppArmor that restricts nothing', APPARMOR, 'ok', 'lets programs make'],
    ['AppArmor that restricts user namespaces', RESTRICTING, 'degraded', 'restrict_unprivileged_userns=1'],
    ['the same with a profile', { ...RESTRICTING, 'etc/apparmor.d/bwrap-userns-restrict': '' }, 'ok', 'has a profile'],
  ])('%s', async (_, files, status, detail) => {
    await using tree = await fakeTree(files as Readonly<Record<string, string>>);
    const check = await checkAppArmor(tree.roots);
    expect(check).toMatchObject({ status, detail: expect.stringContaining(detail) });
    expect(check.remedy === null).toBe(status === 'ok');
  });

  it('devices of confidential guests, with and without what evidence is asked through', async () => {
    await using none = await fakeTree({});
    await using old = await fakeTree({ 'dev/sev-guest': '' });
    await using whole = await fakeTree({ 'dev/tdx_guest': '', 'sys/kernel/config/tsm/report/.keep': '' });
    expect(await checkTeeDevices(none.roots)).toMatchObject({ status: 'ok', remedy: null });
    expect(await checkTeeDevices(old.roots)).toMatchObject({
      status: 'degraded',
      detail: expect.stringContaining('without configfs-tsm'),
      remedy: expect.stringContaining('6.7'),
    });
    expect(await checkTeeDevices(whole.roots)).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('tdx_guest'),
    });
  });

  const CHRONY = 'A29FC801,162.159.200.1,4,1700000000.1,0.000123,0.0001,0.0002,-10.1,0.0,0.05,0.01,0.001,64.2,Normal';
  it.each([
    [{ timedatectl: 'yes\n', chronyc: null }, 'ok', 'timedatectl'],
    [{ timedatectl: 'no\n', chronyc: null }, 'degraded', 'not synchronised'],
    [{ timedatectl: null, chronyc: null }, 'degraded', 'nothing here says'],
    [{ timedatectl: 'no\n', chronyc: `${CHRONY}\n` }, 'ok', 'off by 0.1 ms'],
    [{ timedatectl: null, chronyc: CHRONY.replace('Normal', 'Not synchronised') }, 'degraded', 'not synchronised'],
    [{ timedatectl: 'yes', chronyc: '506 Cannot talk to daemon' }, 'ok', 'timedatectl'],
  ])('a clock of which its tools say %j', (tools, status, detail) => {
    const check = checkClock(tools);
    expect(check).toMatchObject({ status, detail: expect.stringContaining(detail) });
    expect(check.remedy === null).toBe(status === 'ok');
  });

  it('a port that is free, that the node has, that another program has', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { readonly port: number };
    const address = `/ip4/127.0.0.1/tcp/${port}`;
    const taken = await checkPorts([address], []);
    expect(taken).toMatchObject({ status: 'missing', remedy: expect.stringContaining(`${port}`) });
    expect(await checkPorts([address], [`${address}/p2p/12D3KooW`])).toMatchObject({ status: 'ok' });
    server.close();
    await once(server, 'close');
    expect(await checkPorts([address, '/ip4/127.0.0.1/tcp/0'], [])).toMatchObject({ status: 'ok' });
    expect(await checkPorts(['/ip4/192.0.2.1/tcp/4717'], [])).toMatchObject({ status: 'missing' });
  });

  it.each([
    [{ freeBytes: 100, freeInodes: 50_000 }, 'ok', 'stores may come to'],
    [{ freeBytes: 100, freeInodes: null }, 'ok', 'free'],
    [{ freeBytes: 100, freeInodes: 12 }, 'degraded', '12 inodes'],
    [{ freeBytes: 10, freeInodes: null }, 'degraded', 'kept free'],
    [{ freeBytes: 60, freeInodes: null }, 'degraded', 'may come to'],
  ])('a disk with %j', (found, status, detail) => {
    const check = judgeDisk({ name: 'disk', ...found }, { reserveDiskBytes: 10, maxBytes: 80 });
    expect(check).toMatchObject({ status, detail: expect.stringContaining(detail) });
    expect(check.remedy === null).toBe(status === 'ok');
  });

  it('a node that was drained, and that was stopped', () => {
    const { provider } = toJsonForm(exampleResult('node.status'));
    expect(describeWork(provider)).toMatchObject({ status: 'ok' });
    for (const reason of ['drain', 'panic'] as const) {
      const check = describeWork({ ...provider, closed: { reason, sinceMs: UnixMs(0) } });
      expect(check).toMatchObject({ status: 'degraded', remedy: expect.stringContaining('node resume') });
    }
  });
});
