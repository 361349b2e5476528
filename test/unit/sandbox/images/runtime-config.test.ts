import { describe, expect, it } from 'vitest';
import {
  createRuntimeConfig,
  createRuntimeSeccomp,
  runtimeConfigSchema,
} from '../../../../src/sandbox/executors/container/runtime-config.ts';
import { COMMAND_CALLS, COMMAND_CONDITIONS } from '../../../../src/sandbox/isolation/seccomp/command-calls.ts';
import { createCommandRules } from '../../../../src/sandbox/isolation/seccomp/command-filter.ts';

const PROCESS = { args: ['/bin/x'], env: ['LD_PRELOAD=/evil.so'], cwd: '/', uid: 1000, gid: 7 };
const config = createRuntimeConfig({ process: PROCESS, seccomp: createRuntimeSeccomp('x64'), rlimits: null });

describe('the configuration of a runtime', () => {
  it('maps one user to nobody, drops everything, and names nothing of the host', () => {
    expect(config.linux.uidMappings).toEqual([{ containerID: 1000, hostID: 65_534, size: 1 }]);
    expect(config.linux.gidMappings).toEqual([{ containerID: 7, hostID: 65_534, size: 1 }]);
    expect(Object.values(config.process.capabilities)).toEqual([[], [], [], [], []]);
    expect(config.process.noNewPrivileges).toBe(true);
    expect(config.linux.namespaces).toHaveLength(7);
    expect(config.mounts.filter(({ type }) => type === 'bind').map(({ source }) => source)).toEqual([
      '/dev/shm',
      '/tmp',
      '/output',
    ]);
  });

  it('has neither hooks nor devices nor anything else that is not in its schema', () => {
    expect(runtimeConfigSchema.safeParse({ ...config, hooks: { prestart: [{ path: '/bin/sh' }] } }).success).toBe(
      false,
    );
    const linux = { ...config.linux, devices: [] };
    expect(runtimeConfigSchema.safeParse({ ...config, linux }).success).toBe(false);
    const capabilities = { ...config.process.capabilities, effective: ['CAP_SYS_ADMIN'] };
    expect(runtimeConfigSchema.safeParse({ ...config, process: { ...config.process, capabilities } }).success).toBe(
      false,
    );
  });

  it.each(['x64', 'arm64'])('allows the calls of commands on %s and no others', (architecture) => {
    const seccomp = createRuntimeSeccomp(architecture);
    const rules = createCommandRules(architecture);
    if (seccomp === null || rules === null) throw new TypeError('there is a table');
    const plain = seccomp.syscalls.flatMap(({ names, action, args }) =>
      action === 'SCMP_ACT_ALLOW' && args === undefined ? names : [],
    );
    expect(plain).toHaveLength(rules.allowed.length);
    const known = new Set(COMMAND_CALLS.flatMap(({ calls }) => Object.keys(calls)));
    expect(plain.filter((name) => !known.has(name))).toEqual([]);
    const conditional = seccomp.syscalls.flatMap(({ names, args }) => (args === undefined ? [] : names));
    expect(new Set(conditional)).toEqual(new Set(COMMAND_CONDITIONS.map(({ call }) => call)));
    expect(conditional.filter((name) => plain.includes(name))).toEqual([]);
    expect(seccomp.syscalls.at(-1)).toEqual({
      names: ['clone3', 'io_uring_setup'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: 38,
    });
    expect(seccomp.syscalls.find(({ names }) => names[0] === 'clone')?.args).toEqual([
      { index: 0, value: 0x7e02_0000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
    ]);
  });

  it('has no list for other architectures', () => {
    expect(createRuntimeSeccomp('ia32')).toBeNull();
  });
});
