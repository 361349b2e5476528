import { describe, expect, it } from 'vitest';
import {
  createCommandFilter,
  createGpuCommandFilter,
} from '../../../../src/sandbox/isolation/seccomp/command-filter.ts';
import { GPU_FRONTEND_REQUESTS, UVM_REQUESTS } from '../../../../src/sandbox/isolation/seccomp/gpu-requests.ts';
import { runFilter } from '../../../support/bpf-machine.ts';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const MACHINES = [
  ['x64', 0xc000003e, 16, 41],
  ['arm64', 0xc00000b7, 29, 198],
] as const;

describe.each(MACHINES)('filter of a command with GPUs on %s', (name, architecture, ioctl, socket) => {
  const filter = createGpuCommandFilter(name) ?? new Uint8Array();
  const plain = createCommandFilter(name) ?? new Uint8Array();
  const judge = (program: Uint8Array, request: number): number =>
    runFilter(program, { number: ioctl, architecture, arguments: [3, request] });

  it.each(Object.entries(GPU_FRONTEND_REQUESTS))('lets %s through, whatever its size', (_, request) => {
    for (const size of [0, 0xc020_0000, 0xc0b0_0000, 0x4008_0000]) {
      expect(judge(filter, (size | request) >>> 0)).toBe(ALLOW);
      expect(judge(plain, (size | request) >>> 0)).toBe(EPERM);
    }
  });

  it.each(Object.entries(UVM_REQUESTS))('lets %s through', (_, request) => {
    expect(judge(filter, request)).toBe(ALLOW);
    expect(judge(plain, request)).toBe(EPERM);
  });

  it.each([
    ['of another type', 0x472a],
    ['of a number that is not listed', 0x4601],
    ['of the tools that trace', 56],
    ['of reading other memory', 36],
    ['of a terminal: TIOCSTI', 0x5412],
    ['of a file system: FS_IOC_SETFLAGS', 0x4008_6602],
  ])('refuses a request %s', (_, request) => expect(judge(filter, request)).toBe(EPERM));

  it('judges all other calls as that of any command', () => {
    expect(judge(filter, 0x5413)).toBe(ALLOW);
    for (let number = 0; number < 470; number += 1) {
      if (number === ioctl) continue;
      const call = { number, architecture, arguments: [1, 1, 1] };
      expect(runFilter(filter, call)).toBe(runFilter(plain, call));
    }
    expect(runFilter(filter, { number: socket, architecture, arguments: [2] })).toBe(EPERM);
  });
});

it('is none on an architecture without a table', () => expect(createGpuCommandFilter('mips')).toBeNull());
