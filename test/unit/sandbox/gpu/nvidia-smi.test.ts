import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNvidiaSmi } from '../../../../src/sandbox/gpu/nvidia-smi.ts';

describe('parseNvidiaSmi', () => {
  it('reads one GPU a line, memory in MiB', () => {
    const output = 'NVIDIA H100 80GB HBM3, 81559, 550.144.03\nNVIDIA GeForce RTX 3070, 8192, 535.86.09\n';
    expect(parseNvidiaSmi(output)).toEqual([
      { model: 'NVIDIA H100 80GB HBM3', memoryBytes: 81_559 * 2 ** 20, driver: '550.144.03' },
      { model: 'NVIDIA GeForce RTX 3070', memoryBytes: 8192 * 2 ** 20, driver: '535.86.09' },
    ]);
  });

  it('claims nothing from an error message or a field that the driver could not tell', () => {
    expect(parseNvidiaSmi('NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.')).toEqual(
      [],
    );
    expect(parseNvidiaSmi('NVIDIA A100, [N/A], 550.1\n')).toEqual([]);
    expect(parseNvidiaSmi('')).toEqual([]);
  });

  it('survives any text', () => {
    fc.assert(fc.property(fc.string(), (text) => parseNvidiaSmi(text).every((gpu) => gpu.memoryBytes >= 0)));
  });
});
