/** Reads `nvidia-smi -q -x`. Its document type is nvsmi_device_v8 to v13.dtd; elements that are not known here are passed over. */
import { DOMParser, type Element, onWarningStopParsing } from '@xmldom/xmldom';
import { gpuUuidSchema } from '../../domain/gpu.ts';
import type { GpuDevice, GpuProcess, GpuSlice, GpuSnapshot } from './interface.ts';

/** 16 GPUs with many processes are some 400 KiB. */
export const MAX_SMI_BYTES = 4 * 2 ** 20;
const MAX_DEVICES = 64;
const MAX_SLICES = 64;
const MAX_PROCESSES = 4096;
const MEBIBYTE = 2 ** 20;

const DOCUMENT_TYPE = /^<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v[0-9]{1,3}\.dtd">/;
const DECLARATION = /^\s*<\?xml version="1\.0"( encoding="[A-Za-z0-9-]{1,20}")?\s*\?>\s*/;
/** Entities, comments, CDATA and instructions: none of them is nvidia-smi's, and programs choose what a process is called. */
const FOREIGN = /<[!?]/;
/** Answers that say that the GPU, or the way to it, is broken. */
const ERROR = /ERR!|unknown error|gpu is lost|gpu requires reset/i;

export type SmiReading =
  | { readonly kind: 'read'; readonly snapshot: Pick<GpuSnapshot, 'driver' | 'cuda' | 'devices'> }
  | { readonly kind: 'garbled'; readonly reason: string };

/** Never throws. Names of processes are chosen by whoever runs them: what does not add up is not believed in part. */
export function parseSmi(output: string): SmiReading {
  const text = output.replace(DECLARATION, '').replace(DOCUMENT_TYPE, '');
  if (output.length > MAX_SMI_BYTES) return garbled(`it is longer than ${MAX_SMI_BYTES} characters`);
  if (FOREIGN.test(text)) return garbled('it holds what nvidia-smi does not write');
  const root = parseXml(text);
  if (root?.tagName !== 'nvidia_smi_log') return garbled('it is not the log of nvidia-smi');
  const elements = children(root, 'gpu');
  const attached = Number(field(root, 'attached_gpus') ?? elements.length);
  if (elements.length !== attached || elements.length > MAX_DEVICES) {
    return garbled(`it says ${attached} GPUs and describes ${elements.length}`);
  }
  const devices = elements.map(readDevice);
  const broken = devices.find((device) => typeof device === 'string');
  if (typeof broken === 'string') return garbled(broken);
  const known = devices.filter((device) => typeof device !== 'string');
  if (new Set(known.map(({ uuid }) => uuid)).size < known.length) return garbled('two GPUs have one UUID');
  const version = (name: string): string | null => /^[0-9][0-9.]{0,30}$/.exec(field(root, name) ?? '')?.[0] ?? null;
  return {
    kind: 'read',
    snapshot: { driver: version('driver_version'), cuda: version('cuda_version'), devices: known },
  };
}

function garbled(reason: string): SmiReading {
  return { kind: 'garbled', reason };
}

function parseXml(text: string): Element | null {
  try {
    return new DOMParser({ locator: false, onError: onWarningStopParsing }).parseFromString(text.trim(), 'text/xml')
      .documentElement;
  } catch {
    return null;
  }
}

function children(parent: Element | undefined, name: string): readonly Element[] {
  const found: Element[] = [];
  for (let node = parent?.firstChild ?? null; node !== null; node = node.nextSibling) {
    if (node.nodeType === 1 && (node as Element).tagName === name) found.push(node as Element);
  }
  return found;
}

/** Text at a path of element names, each of which is there once; null where it is not, or where it is not available. */
function field(parent: Element, ...path: readonly string[]): string | null {
  let element: Element | undefined = parent;
  for (const name of path) {
    const found = children(element, name);
    if (found.length !== 1) return null;
    element = found[0];
  }
  const text = element?.textContent?.trim() ?? '';
  return text === '' || /^\[?(n\/a|not supported|none|deprecated)\]?$/i.test(text) ? null : text;
}

function readDevice(gpu: Element): GpuDevice | string {
  const uuid = field(gpu, 'uuid');
  const bus = normaliseBus(field(gpu, 'pci', 'pci_bus_id') ?? gpu.getAttribute('id') ?? '');
  if (bus === null) return 'a GPU has no PCI address';
  const processes = children(children(gpu, 'processes')[0], 'process_info');
  const slices = children(children(gpu, 'mig_devices')[0], 'mig_device');
  if (processes.length > MAX_PROCESSES || slices.length > MAX_SLICES) return `${bus} has too many processes or slices`;
  const isNamed = uuid !== null && gpuUuidSchema.safeParse(uuid).success;
  const utilisation = /^([0-9]{1,3}) %$/.exec(field(gpu, 'utilization', 'gpu_util') ?? '')?.[1];
  return {
    // One that does not even tell its UUID is listed under its address, so that it is missed by nobody.
    uuid: isNamed ? uuid : `GPU-unknown-${bus.replaceAll(/[^0-9a-f]/g, '-')}`,
    model: (field(gpu, 'product_name') ?? 'unknown').slice(0, 100),
    bus,
    minor: readCount(field(gpu, 'minor_number')),
    memoryBytes: readMebibytes(field(gpu, 'fb_memory_usage', 'total')),
    usedBytes: readMebibytes(field(gpu, 'fb_memory_usage', 'used')),
    utilisation: utilisation === undefined ? null : Math.min(1, Number(utilisation) / 100),
    computeMode: readComputeMode(field(gpu, 'compute_mode')),
    hasEcc: readSwitch(field(gpu, 'ecc_mode', 'current_ecc')),
    uncorrectedErrors: readUncorrected(gpu),
    isPersistent: readSwitch(field(gpu, 'persistence_mode')),
    mig: readMig(field(gpu, 'mig_mode', 'current_mig'), field(gpu, 'mig_mode', 'pending_mig')),
    slices: slices.flatMap(readSlice),
    processes: children(gpu, 'processes').length === 1 ? processes.flatMap(readProcess) : null,
    faults: isNamed ? listFaults(gpu) : ['uuid: not told', ...listFaults(gpu)],
  };
}

/** nvidia-smi writes the domain with eight digits and capitals, sysfs with four and small letters. */
function normaliseBus(text: string): string | null {
  const found = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i.exec(text.trim());
  if (found === null) return null;
  const [, domain = '', bus, device, number] = found;
  return `${domain.slice(-4)}:${bus}:${device}.${number}`.toLowerCase();
}

function readCount(text: string | null): number | null {
  return text !== null && /^[0-9]{1,9}$/.test(text) ? Number(text) : null;
}

function readMebibytes(text: string | null): number | null {
  const found = /^([0-9]{1,9}) MiB$/.exec(text ?? '')?.[1];
  return found === undefined ? null : Number(found) * MEBIBYTE;
}

function readSwitch(text: string | null): boolean | null {
  if (text === 'Enabled') return true;
  return text === 'Disabled' ? false : null;
}

function readMig(current: string | null, pending: string | null): GpuDevice['mig'] {
  const isOn = readSwitch(current);
  const willBe = readSwitch(pending);
  if (isOn === null) return null;
  if (willBe !== null && willBe !== isOn) return 'pending';
  return isOn ? 'on' : 'off';
}

function readComputeMode(text: string | null): GpuDevice['computeMode'] {
  if (text === 'Default') return 'default';
  if (text === 'Prohibited') return 'prohibited';
  return text?.startsWith('Exclusive') === true ? 'exclusive' : null;
}

/** Sums what is there: older drivers have a total, newer ones a figure for each kind of memory. */
function readUncorrected(gpu: Element): number | null {
  const volatile = children(children(gpu, 'ecc_errors')[0], 'volatile')[0];
  const names = ['sram_uncorrectable', 'sram_uncorrectable_parity', 'sram_uncorrectable_secded', 'dram_uncorrectable'];
  const counts = names.flatMap((name) => (volatile === undefined ? [] : (readCount(field(volatile, name)) ?? [])));
  return counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0);
}

function readSlice(element: Element): readonly GpuSlice[] {
  const gpuInstance = readCount(field(element, 'gpu_instance_id'));
  const computeInstance = readCount(field(element, 'compute_instance_id'));
  if (gpuInstance === null || computeInstance === null) return [];
  return [
    {
      gpuInstance,
      computeInstance,
      uuid: null,
      profile: null,
      memoryBytes: readMebibytes(field(element, 'fb_memory_usage', 'total')),
      usedBytes: readMebibytes(field(element, 'fb_memory_usage', 'used')),
    },
  ];
}

/** Types are C, G, C+G and M+C (nvidia-smi(1), "Processes"); what is of none of them is taken to compute. */
function readProcess(element: Element): readonly GpuProcess[] {
  const pid = readCount(field(element, 'pid'));
  if (pid === null) return [];
  const isCompute = field(element, 'type') !== 'G';
  return [{ pid, isCompute, gpuInstance: readCount(field(element, 'gpu_instance_id')) }];
}

/** What processes are called is no answer of the driver. */
function listFaults(gpu: Element): readonly string[] {
  const faults: string[] = [];
  const visit = (element: Element, path: string, depth: number): void => {
    for (let node = element.firstChild; node !== null; node = node.nextSibling) {
      if (node.nodeType !== 1 || depth > 5) continue;
      const child = node as Element;
      if (child.tagName === 'processes') continue;
      const name = path === '' ? child.tagName : `${path}.${child.tagName}`;
      const text = child.textContent?.trim() ?? '';
      if (child.firstChild?.nodeType !== 3 || text.length > 60) visit(child, name, depth + 1);
      else if (ERROR.test(text) && faults.length < 16) faults.push(`${name}: ${text}`.slice(0, 120));
      else visit(child, name, depth + 1);
    }
  };
  visit(gpu, '', 0);
  return faults;
}
