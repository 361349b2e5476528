/** SGX quotes through the pseudo-files of Gramine (Gramine documentation, "Attestation and Secret Provisioning"). */
import { join } from 'node:path';
import { decodeUtf8 } from '../../../lib/bytes.ts';
import { TeeError } from '../../errors.ts';
import { MAX_REPORT_BYTES, MAX_WORD_BYTES } from '../constants.ts';
import type { PseudoFiles, RawReport, ReportSource } from '../interface.ts';
import { describeFailure } from './describe-failure.ts';

const WHAT = "Gramine's attestation";
/** Intel's data centre attestation primitives; EPID is no longer served. */
const DCAP = 'dcap';

export class GramineSource implements ReportSource {
  readonly kind = 'sgx';
  readonly what = WHAT;
  readonly #files: PseudoFiles;
  readonly #root: string;

  constructor(modules: { readonly files: PseudoFiles }, options: { readonly root: string }) {
    this.#files = modules.files;
    this.#root = options.root;
  }

  async readReport(reportData: Uint8Array): Promise<RawReport> {
    try {
      const type = await readAttestationType(this.#files, this.#root);
      if (type !== DCAP) {
        const reason = `its attestation type is '${type}'; the manifest needs sgx.remote_attestation = "dcap"`;
        throw new TeeError({ code: 'TEE_PRODUCE_FAILED', what: WHAT, reason });
      }
      await this.#files.write(join(this.#root, 'user_report_data'), reportData);
      const report = await this.#files.read(join(this.#root, 'quote'), { maxBytes: MAX_REPORT_BYTES });
      return { report, auxiliary: new Uint8Array() };
    } catch (error) {
      throw describeFailure(WHAT, error);
    }
  }
}

export async function readAttestationType(files: PseudoFiles, root: string): Promise<string> {
  return decodeUtf8(await files.read(join(root, 'attestation_type'), { maxBytes: MAX_WORD_BYTES })).trim();
}
