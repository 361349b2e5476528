import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/sandbox/errors.ts';
import { ALLOWED_CALL_NAMES, createChildFilter } from '../../../src/sandbox/isolation/seccomp/allow-list.ts';
import { buildFilter } from '../../../src/sandbox/isolation/seccomp/bpf.ts';
import { runFilter } from '../../support/bpf-machine.ts';

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const X64 = 0xc000003e;
const ARM64 = 0xc00000b7;
const filter = createChildFilter('x64') ?? new Uint8Array(0);
const judge = (number: number, ...parameters: number[]): number =>
  runFilter(filter, { number, architecture: X64, arguments: parameters });

describe('seccomp filter on x86-64', () => {
  it.each([
    ['read', 0],
    ['write', 1],
    ['mmap', 9],
    ['futex', 202],
    ['exit_group', 231],
    ['openat', 257],
  ])('allows %s', (_name, number) => expect(judge(number)).toBe(ALLOW));

  it.each([
    ['socket', 41],
    ['connect', 42],
    ['socketpair', 53],
    ['fork', 57],
    ['vfork', 58],
    ['kill', 62],
    ['ptrace', 101],
    ['mount', 165],
    ['unshare', 272],
    ['setns', 308],
    ['bpf', 321],
    ['userfaultfd', 323],
    ['io_uring_setup', 425],
    ['keyctl', 250],
    ['process_vm_writev', 311],
    ['memfd_create', 319],
    ['execveat', 322],
    ['perf_event_open', 298],
    ['a number that no kernel has', 9999],
  ])('denies %s', (_name, number) => expect(judge(number)).toBe(EPERM));

  it('makes threads and no processes', () => {
    expect(judge(56, 0x003d0f00)).toBe(ALLOW);
    expect(judge(56, 17)).toBe(EPERM);
    expect(judge(56, 0x10000000)).toBe(EPERM);
    expect(judge(435)).toBe(ENOSYS);
  });

  it('limits ioctl, prctl and prlimit64 by their arguments', () => {
    expect(judge(16, 0, 0x5421)).toBe(ALLOW);
    expect(judge(16, 0, 0x5412)).toBe(EPERM);
    expect(judge(157, 15)).toBe(ALLOW);
    expect(judge(157, 22)).toBe(EPERM);
    expect(judge(302, 0, 7, 0, 1)).toBe(ALLOW);
    expect(judge(302, 0, 7, 1, 0)).toBe(EPERM);
  });

  it('kills calls of the x32 ABI and of other architectures', () => {
    expect(judge(0x40000000 + 1)).toBe(KILL);
    expect(runFilter(filter, { number: 1, architecture: 0x40000003 })).toBe(KILL);
    expect(runFilter(filter, { number: 64, architecture: ARM64 })).toBe(KILL);
  });
});

describe('docs/sandbox.md', () => {
  it('lists every call that is allowed, and no other', () => {
    const text = readFileSync(new URL('../../../docs/sandbox.md', import.meta.url), 'utf8');
    const list = text.slice(text.indexOf('| allowed |'), text.indexOf('| by argument |'));
    const named = [...list.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name);
    expect(named).toHaveLength(ALLOWED_CALL_NAMES.length);
    expect(new Set(named)).toEqual(new Set(ALLOWED_CALL_NAMES));
  });
});

describe('seccomp filter elsewhere', () => {
  it('has numbers of its own on arm64 and none on others', () => {
    const arm = createChildFilter('arm64') ?? new Uint8Array(0);
    expect(runFilter(arm, { number: 64, architecture: ARM64 })).toBe(ALLOW);
    expect(runFilter(arm, { number: 198, architecture: ARM64 })).toBe(EPERM);
    expect(createChildFilter('riscv64')).toBeNull();
  });

  it('refuses to build what a jump cannot reach over', () => {
    const values = Array.from({ length: 200 }, (_, index) => index);
    const rules = { architecture: X64, hasX32: true, allowed: [], ifBits: [], unlessBits: [], unknown: [] };
    expect(() => buildFilter({ ...rules, ifArgument: [{ number: 1, argument: 0, values }] })).toThrow(SandboxError);
  });
});
