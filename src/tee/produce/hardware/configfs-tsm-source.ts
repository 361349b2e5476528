/**
 * Reports through configfs-tsm of Linux (Documentation/ABI/testing/configfs-tsm-report): a folder of one's own, `inblob`
 * written, `outblob` read. `generation` counts the writes: if it counts more than ours, what was read may answer another's.
 */
import { join } from 'node:path';
import { decodeUtf8, encodeHex } from '../../../lib/bytes.ts';
import { describeError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import { systemErrorCode } from '../../../lib/system-error.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { TeeError } from '../../errors.ts';
import { MAX_AUXILIARY_BYTES, MAX_REPORT_BYTES, MAX_WORD_BYTES } from '../constants.ts';
import type { HardwareKind, PseudoFiles, RawReport, ReportSource } from '../interface.ts';
import { describeFailure } from './describe-failure.ts';

const WHAT = 'configfs-tsm';
const PROVIDERS: Readonly<Record<string, HardwareKind>> = { sev_guest: 'sev-snp', tdx_guest: 'tdx' };
const FOLDER_NAME_BYTES = 8;

export interface ConfigfsTsmModules {
  readonly files: PseudoFiles;
  readonly random: Random;
  readonly logger: Logger;
}

export class ConfigfsTsmSource implements ReportSource {
  readonly kind: HardwareKind;
  readonly what = WHAT;
  readonly #modules: ConfigfsTsmModules;
  readonly #root: string;

  constructor(modules: ConfigfsTsmModules, options: { readonly root: string; readonly kind: HardwareKind }) {
    this.kind = options.kind;
    this.#modules = modules;
    this.#root = options.root;
  }

  async readReport(reportData: Uint8Array): Promise<RawReport> {
    return withFolder(this.#modules, this.#root, async (folder) => {
      const provider = await readWord(this.#modules.files, join(folder, 'provider'));
      if (PROVIDERS[provider] !== this.kind) throw failed(`its provider is now '${provider}'`);
      return readAnswer(this.#modules.files, folder, reportData);
    });
  }
}

/** What the kernel calls the hardware. @throws TeeError TEE_PRODUCE_FAILED, TEE_BUSY */
export async function readTsmProvider(
  modules: ConfigfsTsmModules,
  root: string,
): Promise<{ readonly provider: string; readonly kind: HardwareKind | undefined }> {
  return withFolder(modules, root, async (folder) => {
    const provider = await readWord(modules.files, join(folder, 'provider'));
    return { provider, kind: Object.hasOwn(PROVIDERS, provider) ? PROVIDERS[provider] : undefined };
  });
}

async function readAnswer(files: PseudoFiles, folder: string, reportData: Uint8Array): Promise<RawReport> {
  const before = await readGeneration(files, folder);
  await files.write(join(folder, 'inblob'), reportData);
  const report = await files.read(join(folder, 'outblob'), { maxBytes: MAX_REPORT_BYTES });
  const auxiliary = await readAuxiliary(files, folder);
  const after = await readGeneration(files, folder);
  if (after !== before + 1) {
    const reason = `its folder was written to ${after - before} times where once was expected`;
    throw new TeeError({ code: 'TEE_BUSY', what: WHAT, reason });
  }
  return { report, auxiliary };
}

/** The kernel hides `auxblob` where the hardware has none. */
async function readAuxiliary(files: PseudoFiles, folder: string): Promise<Uint8Array> {
  try {
    return await files.read(join(folder, 'auxblob'), { maxBytes: MAX_AUXILIARY_BYTES });
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return new Uint8Array();
    throw error;
  }
}

async function readGeneration(files: PseudoFiles, folder: string): Promise<number> {
  const text = await readWord(files, join(folder, 'generation'));
  if (!/^\d{1,15}$/u.test(text)) throw failed('its generation is no number');
  return Number(text);
}

async function readWord(files: PseudoFiles, path: string): Promise<string> {
  return decodeUtf8(await files.read(path, { maxBytes: MAX_WORD_BYTES })).trim();
}

/** A folder of our own, which goes whatever happens: each one holds memory of the kernel. */
async function withFolder<Result>(
  { files, random, logger }: ConfigfsTsmModules,
  root: string,
  use: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = join(root, `fogproof-${encodeHex(random.bytes(FOLDER_NAME_BYTES))}`);
  try {
    await files.makeFolder(folder);
    try {
      return await use(folder);
    } finally {
      await files.removeFolder(folder).catch((error: unknown) => {
        logger.warn({ folder, reason: describeError(error) }, 'a folder of configfs-tsm could not be removed');
      });
    }
  } catch (error) {
    throw describeFailure(WHAT, error);
  }
}

function failed(reason: string): TeeError {
  return new TeeError({ code: 'TEE_PRODUCE_FAILED', what: WHAT, reason });
}
