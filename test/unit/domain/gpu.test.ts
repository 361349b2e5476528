import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  areGpusWanted,
  findGpuClass,
  findGpuModelKey,
  findRequestClass,
  type GpuRequest,
  gpuModelKeySchema,
  isGpuRequestCovered,
  isGpuWanted,
  migProfileSchema,
} from '../../../src/domain/gpu.ts';
import { gpuRequests } from '../../support/domain-arbitraries.ts';

const GIB = 2 ** 30;
const ANY: GpuRequest = { count: 1, minMemoryBytes: 0, models: [], mig: null };
const H100 = { model: 'NVIDIA H100 80GB HBM3', memoryBytes: 80 * GIB, mig: null };
const RTX = { model: 'NVIDIA GeForce RTX 4090', memoryBytes: 24 * GIB, mig: null };
const SLICE = { ...H100, memoryBytes: 10 * GIB, mig: '1g.10gb' };

describe('models of GPUs', () => {
  it.each([
    ['NVIDIA H100 80GB HBM3', 'h100', 'gpu-datacentre'],
    ['NVIDIA H100 PCIe', 'h100', 'gpu-datacentre'],
    ['NVIDIA H100 NVL', 'h100', 'gpu-datacentre'],
    ['NVIDIA A100-SXM4-40GB', 'a100', 'gpu-datacentre'],
    ['NVIDIA A100 80GB PCIe', 'a100', 'gpu-datacentre'],
    ['NVIDIA A10G', 'a10g', 'gpu-datacentre'],
    ['NVIDIA L40S', 'l40s', 'gpu-datacentre'],
    ['Tesla V100-SXM2-16GB', 'v100', 'gpu-datacentre'],
    ['Tesla T4', 't4', 'gpu-datacentre'],
    ['NVIDIA GH200 480GB', 'gh200', 'gpu-datacentre'],
    ['NVIDIA GeForce RTX 4090', 'rtx-4090', 'gpu-consumer'],
    ['NVIDIA GeForce RTX 3070 Ti', 'rtx-3070-ti', 'gpu-consumer'],
    ['NVIDIA GeForce GTX 1080 Ti', 'gtx-1080-ti', 'gpu-consumer'],
    ['NVIDIA RTX A6000', 'rtx-a6000', 'gpu-consumer'],
    ['NVIDIA RTX 6000 Ada Generation', 'rtx-6000-ada', 'gpu-consumer'],
    ['Quadro RTX 8000', 'quadro-rtx-8000', 'gpu-consumer'],
  ])('%s is %s of %s', (name, key, capabilityClass) => {
    expect(findGpuModelKey(name)).toBe(key);
    expect(findGpuClass(key)).toBe(capabilityClass);
  });

  it('has no key for a name that says nothing, and belongs to the lesser class then', () => {
    expect(findGpuModelKey('NVIDIA GPU')).toBeNull();
    expect(findGpuModelKey('')).toBeNull();
    expect(findGpuClass(null)).toBe('gpu-consumer');
  });

  it('gives a key that a request may name, whatever a driver calls its product', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (name) => {
        const key = findGpuModelKey(name);
        expect(key === null || gpuModelKeySchema.safeParse(key).success).toBe(true);
      }),
    );
  });

  it.each(['1g.10gb', '7g.80gb', '1g.10gb+me', '1g.24gb+gfx', '2g.20gb-me', '1c.3g.40gb', '1g.5gb+me.all'])(
    '%s is a profile',
    (profile) => expect(migProfileSchema.safeParse(profile).success).toBe(true),
  );

  it.each(['', '10gb', '8g.80gb', '1g.10GB', '1g.10gb+me+me+me', '../1g.10gb', '1g.10gb\n'])('%j is none', (profile) =>
    expect(migProfileSchema.safeParse(profile).success).toBe(false),
  );
});

describe('requests for GPUs', () => {
  it('are met by what has the memory, the model and the form', () => {
    expect(isGpuWanted(ANY, RTX)).toBe(true);
    expect(isGpuWanted({ ...ANY, minMemoryBytes: 40 * GIB }, RTX)).toBe(false);
    expect(isGpuWanted({ ...ANY, models: ['h100', 'rtx-4090'] }, RTX)).toBe(true);
    expect(isGpuWanted({ ...ANY, models: ['h100'] }, RTX)).toBe(false);
    expect(isGpuWanted(ANY, SLICE)).toBe(false);
    expect(isGpuWanted({ ...ANY, mig: '1g.10gb' }, SLICE)).toBe(true);
    expect(isGpuWanted({ ...ANY, mig: '1g.10gb' }, H100)).toBe(false);
  });

  it('take as many as they name, and nothing is given to who asks for nothing', () => {
    expect(areGpusWanted(undefined, undefined)).toBe(true);
    expect(areGpusWanted(undefined, [H100])).toBe(false);
    expect(areGpusWanted(ANY, undefined)).toBe(false);
    expect(areGpusWanted({ ...ANY, count: 2 }, [H100])).toBe(false);
    expect(areGpusWanted({ ...ANY, count: 2 }, [H100, RTX])).toBe(true);
  });

  it('are of the narrowest class that they need', () => {
    expect(findRequestClass(ANY)).toBe('gpu-consumer');
    expect(findRequestClass({ ...ANY, models: ['h100', 'a100'] })).toBe('gpu-datacentre');
    expect(findRequestClass({ ...ANY, models: ['h100', 'rtx-4090'] })).toBe('gpu-consumer');
    expect(findRequestClass({ ...ANY, mig: '1g.10gb' })).toBe('gpu-datacentre');
  });

  it('of a job are covered by the terms that they were made of, and by none that hold less', () => {
    fc.assert(
      fc.property(gpuRequests, gpuRequests, (asked, terms) => {
        expect(isGpuRequestCovered(asked, asked)).toBe(true);
        expect(isGpuRequestCovered(asked, undefined)).toBe(false);
        expect(isGpuRequestCovered(undefined, asked)).toBe(false);
        if (!isGpuRequestCovered(asked, terms)) return;
        expect(terms.count).toBe(asked.count);
        expect(terms.minMemoryBytes).toBeGreaterThanOrEqual(asked.minMemoryBytes);
      }),
    );
  });
});
