import type { HostCapacity, HostMeasure } from '../../src/sandbox/interface.ts';

const GIB = 2 ** 30;

/** A host that has what a test says. */
export class FakeHostCapacity implements HostCapacity {
  measured = 0;
  error: Error | null = null;
  value: HostMeasure = {
    memory: { limitBytes: 8 * GIB, availableBytes: 4 * GIB, childrenBytes: 0 },
    diskFreeBytes: 100 * GIB,
    loopDelayMs: 1,
    cpuPressure: 10,
  };

  async measure(): Promise<HostMeasure> {
    this.measured += 1;
    if (this.error !== null) throw this.error;
    return this.value;
  }

  setMemory(memory: Partial<HostMeasure['memory']>): void {
    this.value = { ...this.value, memory: { ...this.value.memory, ...memory } };
  }

  [Symbol.dispose](): void {}
}
