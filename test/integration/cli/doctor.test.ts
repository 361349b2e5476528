import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { HostCheck } from '../../../src/sandbox/interface.ts';
import { runLine } from '../../support/cli-harness.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';

describe('doctor', () => {
  it('tries the host, and says what to do about what is not well', async () => {
    await using folder = await createTemporaryFolder();
    const home = join(folder.path, 'none');
    const { exitCode, stdout } = await runLine(['doctor', '--json', '--home', home]);
    const { checks } = JSON.parse(stdout) as { checks: readonly HostCheck[] };
    const found = new Map(checks.map((check) => [check.name, check]));
    expect(found.get('data folder')).toMatchObject({ status: 'missing', remedy: 'Run `fogproof init`.' });
    expect(found.get('daemon')).toMatchObject({ status: 'degraded' });
    expect(found.get('configuration')).toMatchObject({ status: 'ok' });
    expect(found.has('isolation process')).toBe(true);
    for (const { status, remedy } of checks) expect(status === 'ok' || remedy !== null).toBe(true);
    expect(exitCode).toBe(1);
  });

  it('warns of a data folder that others may write to', async () => {
    await using folder = await createTemporaryFolder();
    const home = join(folder.path, 'home');
    await mkdir(home);
    await chmod(home, 0o777);
    const { stdout } = await runLine(['doctor', '--home', home]);
    expect(stdout).toMatch(/! data folder .*writable by others\n.*chmod 700/);
  });

  it('shows the error of a configuration that is wrong', async () => {
    const { stdout, exitCode } = await runLine(['doctor', '--json', '--home', '/nonexistent/home'], {
      environment: { FOGPROOF_PROVIDE_SLOTS: 'many' },
    });
    const { checks } = JSON.parse(stdout) as { checks: readonly HostCheck[] };
    expect(checks.find(({ name }) => name === 'configuration')).toMatchObject({
      status: 'missing',
      detail: expect.stringContaining('provide.slots'),
    });
    expect(exitCode).toBe(1);
  });
});
