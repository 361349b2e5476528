import { describe, expect, it } from 'vitest';
import { createCommandFilter } from '../../../../src/sandbox/isolation/seccomp/command-filter.ts';
import { runFilter } from '../../../support/bpf-machine.ts';

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const X64 = 0xc000003e;
const filter = createCommandFilter('x64') ?? new Uint8Array(0);
const judge = (number: number, ...parameters: number[]): number =>
  runFilter(filter, { number, architecture: X64, arguments: parameters });

describe('the filter of commands on x86-64', () => {
  it.each([
    ['read', 0],
    ['openat', 257],
    ['fork', 57],
    ['execve', 59],
    ['wait4', 61],
    ['mkdir', 83],
    ['bind', 49],
  ])('allows %s', (_name, number) => expect(judge(number)).toBe(ALLOW));

  it.each([
    ['ptrace', 101],
    ['chroot', 161],
    ['mount', 165],
    ['umount2', 166],
    ['pivot_root', 155],
    ['init_module', 175],
    ['kexec_load', 246],
    ['add_key', 248],
    ['keyctl', 250],
    ['mknod', 133],
    ['mknodat', 259],
    ['unshare', 272],
    ['perf_event_open', 298],
    ['setns', 308],
    ['process_vm_readv', 310],
    ['finit_module', 313],
    ['bpf', 321],
    ['userfaultfd', 323],
    ['open_tree', 428],
    ['move_mount', 429],
    ['fsopen', 430],
    ['setuid', 105],
    ['a number that no kernel has', 9999],
  ])('denies %s', (_name, number) => expect(judge(number)).toBe(EPERM));

  it('makes processes and threads, and no namespace', () => {
    expect(judge(56, 17)).toBe(ALLOW);
    expect(judge(56, 0x003d_0f00)).toBe(ALLOW);
    for (const flag of [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]) {
      expect(judge(56, flag + 17)).toBe(EPERM);
    }
    expect(judge(435)).toBe(ENOSYS);
  });

  it('makes sockets between processes, and none of a network', () => {
    for (const call of [41, 53]) {
      expect(judge(call, 1)).toBe(ALLOW);
      for (const family of [0, 2, 10, 16, 17, 40]) expect(judge(call, family)).toBe(EPERM);
    }
  });

  it('changes limits of the caller alone, types nothing into a terminal, and stays with its personality', () => {
    expect(judge(302, 0)).toBe(ALLOW);
    expect(judge(302, 1)).toBe(EPERM);
    expect(judge(16, 0, 0x5412)).toBe(EPERM);
    expect(judge(157, 4)).toBe(EPERM);
    expect(judge(135, 0x0004_0000)).toBe(EPERM);
  });

  it('kills what calls by another table', () => {
    expect(runFilter(filter, { number: 0, architecture: 0x40000003, arguments: [] })).toBe(KILL);
    expect(judge(0x4000_0000)).toBe(KILL);
  });

  it('is there for arm64, and for no unknown architecture', () => {
    expect(createCommandFilter('arm64')).not.toBeNull();
    expect(createCommandFilter('mips')).toBeNull();
  });
});
