import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { EvidenceCrypto, EvidenceProducer } from '../interface.ts';
import { DocumentCache } from './collateral/document-cache.ts';
import { DocumentSource } from './collateral/document-source.ts';
import type { FetchDocument } from './collateral/fetch-document.ts';
import { VendorEndorser } from './collateral/vendor-endorser.ts';
import { CONFIGFS_TSM_ROOT, GRAMINE_ROOT } from './constants.ts';
import { ConfigfsTsmSource, readTsmProvider } from './hardware/configfs-tsm-source.ts';
import { GramineSource, readAttestationType } from './hardware/gramine-source.ts';
import { HardwareProducer } from './hardware/hardware-producer.ts';
import type { GpuCollector, PseudoFiles, ReportSource } from './interface.ts';
import { CommandGpuCollector } from './nvidia/command-gpu-collector.ts';

export interface DetectModules {
  readonly files: PseudoFiles;
  readonly fetch: FetchDocument;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: EvidenceCrypto;
  readonly logger: Logger;
}

export interface DetectOptions {
  /** Folder of the vendors' documents: `attestation` of the data folder. */
  readonly cacheFolder: string;
  /** Of a PCCS; null: Intel's own service. */
  readonly collateralUrl: string | null;
  readonly isOffline: boolean;
  /** With `{nonce}` in it; empty: no evidence of GPUs. */
  readonly nvidiaCommand: readonly string[];
  /** Of this machine; others in tests. */
  readonly roots?: { readonly configfsTsm: string; readonly gramine: string; readonly devices: string };
}

/** One place that was looked at. */
export interface TeeFinding {
  /** `configfs-tsm`, `Gramine`, `NVIDIA`. */
  readonly what: string;
  /** Path or command. */
  readonly place: string;
  readonly isThere: boolean;
  /** What is there, or what is missing and how it could come there. */
  readonly detail: string;
}

export interface Detection {
  /** Null: this process runs in no trusted execution environment that is known here. */
  readonly producer: EvidenceProducer | null;
  readonly findings: readonly TeeFinding[];
}

const NONCE_BYTES = 32;
const ROOTS = { configfsTsm: CONFIGFS_TSM_ROOT, gramine: GRAMINE_ROOT, devices: '/dev' } as const;

interface Found {
  readonly finding: TeeFinding;
  readonly source: ReportSource | null;
}

/**
 * Looks what hardware is there and asks it for its name; only GPUs of a confidential machine are tried. Never throws for
 * what is or is not there.
 */
export async function detectProducer(modules: DetectModules, options: DetectOptions): Promise<Detection> {
  const roots = options.roots ?? ROOTS;
  const configfs = await findConfigfsTsm(modules, roots);
  const gramine = await findGramine(modules, roots.gramine);
  const nvidia = await findCommand(options.nvidiaCommand);
  const source = configfs.source ?? gramine.source;
  if (source === null) return { producer: null, findings: [configfs.finding, gramine.finding, nvidia] };
  const documents = new DocumentSource(
    { ...modules, cache: new DocumentCache({ folder: options.cacheFolder }) },
    { isOffline: options.isOffline },
  );
  const endorser = new VendorEndorser({ ...modules, documents }, { collateralUrl: options.collateralUrl });
  const collector = new CommandGpuCollector({ ...modules, documents }, { command: options.nvidiaCommand });
  const gpus = nvidia.isThere ? await tryGpus(modules, collector, nvidia) : { finding: nvidia, collector: null };
  const producer = new HardwareProducer({ source, endorser, gpus: gpus.collector });
  return { producer, findings: [configfs.finding, gramine.finding, gpus.finding] };
}

/** Asked once, with a nonce that nobody waits for: GPUs outside of confidential mode, and drivers that hang, are found here. */
async function tryGpus(
  { random }: DetectModules,
  collector: GpuCollector,
  finding: TeeFinding,
): Promise<{ readonly finding: TeeFinding; readonly collector: GpuCollector | null }> {
  try {
    const { manifests } = await collector.collect(random.bytes(NONCE_BYTES), { signal: new AbortController().signal });
    const detail = `evidence of GPUs, with ${manifests.length} manifests of NVIDIA's`;
    return { finding: { ...finding, detail }, collector };
  } catch (error) {
    return { finding: { ...finding, isThere: false, detail: describeError(error) }, collector: null };
  }
}

async function findConfigfsTsm(
  modules: DetectModules,
  { configfsTsm: root, devices }: NonNullable<DetectOptions['roots']>,
): Promise<Found> {
  const found = (isThere: boolean, detail: string): TeeFinding => ({
    what: 'configfs-tsm',
    place: root,
    isThere,
    detail,
  });
  if (!(await modules.files.exists(root))) {
    return { finding: found(false, await explainNoConfigfs(modules.files, devices)), source: null };
  }
  try {
    const { provider, kind } = await readTsmProvider(modules, root);
    if (kind === undefined) {
      return { finding: found(false, `its provider '${provider}' is not known here`), source: null };
    }
    return { finding: found(true, `${kind} (${provider})`), source: new ConfigfsTsmSource(modules, { root, kind }) };
  } catch (error) {
    return { finding: found(false, describeError(error)), source: null };
  }
}

/** The older interfaces need calls (ioctl) that Node cannot make. */
async function explainNoConfigfs(files: PseudoFiles, devices: string): Promise<string> {
  for (const device of ['sev-guest', 'tdx_guest']) {
    if (await files.exists(join(devices, device))) {
      return `${join(devices, device)} is there without it: Linux 6.7 or later is needed, and \`mount -t configfs none /sys/kernel/config\``;
    }
  }
  return 'there is none, nor a device of a SEV-SNP or TDX guest: this is no confidential VM, or its driver is not loaded';
}

async function findGramine({ files }: DetectModules, root: string): Promise<Found> {
  const found = (isThere: boolean, detail: string): TeeFinding => ({ what: 'Gramine', place: root, isThere, detail });
  if (!(await files.exists(join(root, 'attestation_type')))) {
    return { finding: found(false, 'there is none: this process runs in no SGX enclave of Gramine'), source: null };
  }
  try {
    const type = await readAttestationType(files, root);
    if (type === 'dcap') return { finding: found(true, 'sgx (dcap)'), source: new GramineSource({ files }, { root }) };
    const detail = `its attestation type is '${type}': the manifest needs sgx.remote_attestation = "dcap"`;
    return { finding: found(false, detail), source: null };
  } catch (error) {
    return { finding: found(false, describeError(error)), source: null };
  }
}

/** Whether it works is known once it is asked; a command that is not there need not be. */
async function findCommand([file]: readonly string[]): Promise<TeeFinding> {
  if (file === undefined) {
    return { what: 'NVIDIA', place: 'attest.nvidiaCommand', isThere: false, detail: 'no command is set' };
  }
  const folders = isAbsolute(file) ? [''] : (process.env['PATH'] ?? '').split(delimiter).filter((path) => path !== '');
  for (const folder of folders) {
    const path = join(folder, file);
    if (await isExecutable(path))
      return { what: 'NVIDIA', place: path, isThere: true, detail: 'asked for evidence of GPUs' };
  }
  const detail = "there is no such command: it is NVIDIA's attestation CLI, and needed for evidence of GPUs only";
  return { what: 'NVIDIA', place: file, isThere: false, detail };
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
