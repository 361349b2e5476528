import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { GpuPlaces } from '../../src/sandbox/gpu/places.ts';
import { renderSmiLog, type SmiGpu, type SmiLog } from './smi-log.ts';

export const DRIVER = '550.54.15';

/** Devices of every Linux stand in for those of a GPU: they can be opened without being root, and told apart. */
const STAND_INS = ['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom'];

export interface GpuTreeOptions {
  readonly gpus: readonly SmiGpu[];
  readonly driver?: string;
  /** Of the libraries; that of the driver by default. */
  readonly libraries?: string;
  /** Output of `nvidia-smi -L`. */
  readonly list?: string;
  /** Capabilities of slices: `gpu0/mig/gi1/access` to their minors. */
  readonly capabilities?: Readonly<Record<string, number>>;
  /** Names below dev that are not made. */
  readonly missing?: readonly string[];
  readonly log?: Partial<SmiLog>;
}

/** The parts of a host that tell of GPUs, faked in a folder of its own. */
export class GpuTree implements Disposable {
  readonly folder: string;
  readonly places: GpuPlaces;

  constructor(options: GpuTreeOptions) {
    this.folder = mkdtempSync(join(tmpdir(), 'fogproof-gpus-'));
    chmodSync(this.folder, 0o755);
    const { driver = DRIVER, gpus } = options;
    this.places = {
      proc: join(this.folder, 'proc'),
      sys: join(this.folder, 'sys'),
      dev: join(this.folder, 'dev'),
      cdi: [join(this.folder, 'etc/cdi'), join(this.folder, 'run/cdi')],
      nvidiaSmi: join(this.folder, 'bin/nvidia-smi'),
      ldconfig: join(this.folder, 'bin/ldconfig'),
      dmesg: null,
    };
    this.write(
      'proc/driver/nvidia/version',
      `NVRM version: NVIDIA UNIX x86_64 Kernel Module  ${driver}  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc\n`,
    );
    this.write('proc/driver/nvidia/params', 'ModifyDeviceFiles: 1\n');
    for (const gpu of gpus) this.#addGpu(gpu);
    for (const [path, minor] of Object.entries(options.capabilities ?? {})) {
      this.write(`proc/driver/nvidia/capabilities/${path}`, `DeviceFileMinor: ${minor}\nDeviceFileMode: 292\n`);
    }
    this.#makeNodes(options);
    this.#makeLibraries(options.libraries ?? driver);
    this.setLog({ driver, gpus, ...options.log });
    this.write('list.txt', options.list ?? '');
    this.writeTool(
      'nvidia-smi',
      `case "$1" in -q) cat ${this.folder}/log.xml ;; -L) cat ${this.folder}/list.txt ;; *) exit 6 ;; esac`,
    );
  }

  /** What nvidia-smi says from now on. */
  setLog(log: SmiLog): void {
    this.write('log.xml', renderSmiLog(log));
  }

  write(path: string, content: string): string {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  writeTool(name: string, script: string): void {
    chmodSync(this.write(`bin/${name}`, `#!/bin/sh\n${script}\n`), 0o755);
  }

  libraryPath(name: string): string {
    return join(this.folder, 'lib', name);
  }

  #addGpu({ uuid, model, bus, minor }: SmiGpu): void {
    const place = bus.slice(4).toLowerCase();
    this.write(
      `proc/driver/nvidia/gpus/${place}/information`,
      `Model: \t\t ${model}\nIRQ:   \t\t 92\nGPU UUID: \t ${uuid}\nVideo BIOS: \t 96.00.74.00.1c\nBus Type: \t PCIe\n` +
        `Bus Location: \t ${place}\nDevice Minor: \t ${minor}\nGPU Excluded:\t No\n`,
    );
    this.write(`sys/bus/pci/devices/${place}/vendor`, '0x10de\n');
    this.write(`sys/bus/pci/devices/${place}/class`, '0x030200\n');
  }

  #makeNodes({ gpus, capabilities = {}, missing = [] }: GpuTreeOptions): void {
    const caps = Object.values(capabilities).map((minor) => `nvidia-caps/nvidia-cap${minor}`);
    const names = [
      'nvidiactl',
      'nvidia-uvm',
      'nvidia-uvm-tools',
      ...gpus.map(({ minor }) => `nvidia${minor}`),
      ...caps,
    ];
    names.forEach((name, index) => {
      if (missing.includes(name)) return;
      const path = join(this.places.dev, name);
      mkdirSync(dirname(path), { recursive: true });
      symlinkSync(STAND_INS[index % STAND_INS.length] ?? '/dev/null', path);
    });
  }

  #makeLibraries(version: string): void {
    const names = ['libcuda.so.1', 'libnvidia-ml.so.1', 'libnvidia-ptxjitcompiler.so.1', 'libnvidia-nvvm.so.4'];
    for (const soname of names) {
      const file = `${soname.replace(/\.[0-9]$/, '')}.${version}`;
      this.write(`lib/${file}`, `library ${file}\n`);
      symlinkSync(file, this.libraryPath(soname));
    }
    const lines = names.map((name) => `\t${name} (libc6,x86-64) => ${this.libraryPath(name)}`);
    const arm = lines.map((line) => line.replace('x86-64', 'AArch64'));
    this.write(
      'ldconfig.txt',
      ['4 libs found in cache', ...lines, ...arm, '\tlibc.so.6 (libc6,x86-64) => /lib/libc.so.6', ''].join('\n'),
    );
    this.writeTool('ldconfig', `cat ${this.folder}/ldconfig.txt`);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
