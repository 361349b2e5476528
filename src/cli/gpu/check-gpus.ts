import { formatSize } from '../../lib/quantity.ts';
import { gatherFacts } from '../../sandbox/gpu/gather-facts.ts';
import { findGpuPlaces } from '../../sandbox/gpu/places.ts';
import { type GpuFacts, type GpuFinding, runPreflight } from '../../sandbox/gpu/preflight.ts';
import type { HostCheck } from '../../sandbox/interface.ts';

const NAME = 'GPU';

/** GPUs as `doctor` tells of them; none is no fault. */
export async function checkGpus(signal: AbortSignal): Promise<readonly HostCheck[]> {
  return describeGpus(await gatherFacts(findGpuPlaces(), { signal }));
}

/** One line for the GPUs, and one for each thing that is wrong with them. Notes are for `gpu check`. */
export function describeGpus(facts: GpuFacts): readonly HostCheck[] {
  const grave = runPreflight(facts).filter(({ weight }) => weight !== 'note');
  const { devices, driver } = facts.snapshot;
  if (devices.length === 0 && grave.length === 0) {
    return [{ name: NAME, status: 'ok', detail: 'no NVIDIA GPU found: the box offers its CPU', remedy: null }];
  }
  const listed = devices.map(({ model, memoryBytes }) =>
    memoryBytes === null ? model : `${model} (${formatSize(memoryBytes)})`,
  );
  const summary: HostCheck = {
    name: NAME,
    status: 'ok',
    detail: `${listed.join(', ')}, driver ${driver}`,
    remedy: null,
  };
  return [...(listed.length === 0 ? [] : [summary]), ...grave.map(toCheck)];
}

/** A box without GPUs still does work, so none of it is missing. */
function toCheck({ code, detail, remedy }: GpuFinding): HostCheck {
  return { name: NAME, status: 'degraded', detail: `${code}: ${detail}`, remedy };
}
