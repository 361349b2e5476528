/** Writes logs in the form of `nvidia-smi -q -x`; nothing here was recorded (test/fixtures/gpu/README.md). */

export interface SmiSlice {
  readonly gpuInstance: number;
  readonly computeInstance?: number;
  readonly memoryMebibytes: number;
  readonly usedMebibytes?: number;
}

export interface SmiProcess {
  readonly pid: number;
  readonly type?: string;
  readonly name?: string;
  readonly gpuInstance?: number;
}

export interface SmiGpu {
  readonly uuid: string;
  readonly model: string;
  readonly bus: string;
  readonly minor: number;
  readonly memoryMebibytes: number;
  readonly usedMebibytes?: number;
  readonly utilisation?: string;
  readonly computeMode?: string;
  readonly persistence?: string;
  readonly ecc?: string;
  readonly uncorrectable?: number;
  readonly mig?: 'Enabled' | 'Disabled' | 'N/A';
  readonly pendingMig?: 'Enabled' | 'Disabled' | 'N/A';
  readonly slices?: readonly SmiSlice[];
  readonly processes?: readonly SmiProcess[] | null;
}

export interface SmiLog {
  readonly driver?: string;
  readonly cuda?: string;
  readonly attached?: number;
  readonly gpus: readonly SmiGpu[];
}

const tag = (name: string, content: string | number): string => `<${name}>${content}</${name}>`;

function renderSlice(slice: SmiSlice, index: number): string {
  const { gpuInstance, computeInstance = 0, memoryMebibytes, usedMebibytes = 12 } = slice;
  const memory = tag('total', `${memoryMebibytes} MiB`) + tag('used', `${usedMebibytes} MiB`);
  return tag(
    'mig_device',
    tag('index', index) +
      tag('gpu_instance_id', gpuInstance) +
      tag('compute_instance_id', computeInstance) +
      tag('device_attributes', tag('shared', tag('multiprocessor_count', 16))) +
      tag('fb_memory_usage', memory),
  );
}

function renderProcess({ pid, type = 'C', name = 'python3', gpuInstance }: SmiProcess): string {
  return tag(
    'process_info',
    tag('gpu_instance_id', gpuInstance ?? 'N/A') +
      tag('compute_instance_id', gpuInstance === undefined ? 'N/A' : 0) +
      tag('pid', pid) +
      tag('type', type) +
      tag('process_name', name) +
      tag('used_memory', '512 MiB'),
  );
}

function renderGpu(gpu: SmiGpu): string {
  const { mig = 'N/A', slices = [], processes = [], uncorrectable = 0 } = gpu;
  const ecc = gpu.ecc ?? 'N/A';
  const parts = [
    tag('product_name', gpu.model),
    tag('persistence_mode', gpu.persistence ?? 'Enabled'),
    tag('mig_mode', tag('current_mig', mig) + tag('pending_mig', gpu.pendingMig ?? mig)),
    tag('mig_devices', slices.length === 0 ? 'None' : slices.map(renderSlice).join('')),
    tag('uuid', gpu.uuid),
    tag('minor_number', gpu.minor),
    tag('pci', tag('pci_bus_id', gpu.bus)),
    tag('fb_memory_usage', tag('total', `${gpu.memoryMebibytes} MiB`) + tag('used', `${gpu.usedMebibytes ?? 4} MiB`)),
    tag('compute_mode', gpu.computeMode ?? 'Default'),
    tag('utilization', tag('gpu_util', gpu.utilisation ?? '0 %') + tag('memory_util', '0 %')),
    tag('ecc_mode', tag('current_ecc', ecc) + tag('pending_ecc', ecc)),
    tag('ecc_errors', tag('volatile', tag('sram_uncorrectable', 0) + tag('dram_uncorrectable', uncorrectable))),
    processes === null ? '' : tag('processes', processes.map(renderProcess).join('')),
  ];
  return `<gpu id="${gpu.bus}">${parts.join('\n')}</gpu>`;
}

export function renderSmiLog({ driver = '550.54.15', cuda = '12.4', attached, gpus }: SmiLog): string {
  return [
    '<?xml version="1.0" ?>',
    '<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">',
    '<nvidia_smi_log>',
    tag('timestamp', 'Sun Nov 22 17:00:00 2026'),
    tag('driver_version', driver),
    tag('cuda_version', cuda),
    tag('attached_gpus', attached ?? gpus.length),
    ...gpus.map(renderGpu),
    '</nvidia_smi_log>',
    '',
  ].join('\n');
}

const uuidOf = (index: number): string => `GPU-${String(index).padStart(8, '0')}-1111-2222-3333-444444444444`;
const busOf = (index: number): string => `00000000:${(0x1b + index).toString(16).toUpperCase()}:00.0`;

export function h100(index: number, change: Partial<SmiGpu> = {}): SmiGpu {
  return {
    uuid: uuidOf(index),
    model: 'NVIDIA H100 80GB HBM3',
    bus: busOf(index),
    minor: index,
    memoryMebibytes: 81_559,
    ecc: 'Enabled',
    mig: 'Disabled',
    ...change,
  };
}

export function rtx4090(index: number, change: Partial<SmiGpu> = {}): SmiGpu {
  return {
    uuid: uuidOf(index),
    model: 'NVIDIA GeForce RTX 4090',
    bus: busOf(index),
    minor: index,
    memoryMebibytes: 24_564,
    persistence: 'Disabled',
    ...change,
  };
}
