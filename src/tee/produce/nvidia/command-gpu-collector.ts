import { areBytesEqual, encodeHex } from '../../../lib/bytes.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceCrypto } from '../../interface.ts';
import { parseCollectedEvidence } from '../../nvidia/collected-evidence.ts';
import { readDeviceClaims } from '../../nvidia/device-claims.ts';
import type { NvidiaClaims } from '../../nvidia/interface.ts';
import { parseMeasurementReport } from '../../nvidia/measurement-report.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { splitPem } from '../../x509/pem.ts';
import type { DocumentSource } from '../collateral/document-source.ts';
import { nameManifests, requestManifest } from '../collateral/nvidia-documents.ts';
import { COLLECT_TIMEOUT_MS, MAX_COLLECTED_BYTES } from '../constants.ts';
import type { GpuCollector, GpuEvidence } from '../interface.ts';
import { runCommand } from './run-command.ts';

const PLACE_OF_NONCE = '{nonce}';

export interface CommandGpuCollectorModules {
  readonly documents: DocumentSource;
  readonly crypto: EvidenceCrypto;
  readonly logger: Logger;
}

/** GPU evidence by a command that prints what `nvattest collect-evidence` prints. */
export class CommandGpuCollector implements GpuCollector {
  readonly #modules: CommandGpuCollectorModules;
  readonly #command: readonly string[];
  readonly #timeoutMs: number;

  constructor(
    modules: CommandGpuCollectorModules,
    options: { readonly command: readonly string[]; readonly timeoutMs?: number },
  ) {
    this.#modules = modules;
    this.#command = options.command;
    this.#timeoutMs = options.timeoutMs ?? COLLECT_TIMEOUT_MS;
  }

  async collect(nonce: Uint8Array, { signal }: { readonly signal: AbortSignal }): Promise<GpuEvidence> {
    const argv = this.#fillIn(encodeHex(nonce));
    const limits = { timeoutMs: this.#timeoutMs, maxBytes: MAX_COLLECTED_BYTES, signal };
    const report = await runCommand(argv, limits);
    const claims = parseCollectedEvidence(report).map(({ report: own, certificates }) => {
      const parsed = parseMeasurementReport(own);
      if (!areBytesEqual(parsed.requesterNonce, nonce))
        throw this.#failed('a GPU answers another nonce than it was given');
      const [leaf] = splitPem(certificates, 'CERTIFICATE');
      if (leaf === undefined) throw this.#failed('a GPU comes without certificates');
      return readDeviceClaims(parsed, parseCertificate(leaf));
    });
    return { report, certificates: [], manifests: await this.#findManifests(claims, signal) };
  }

  #fillIn(nonce: string): readonly [string, ...string[]] {
    const [file, ...rest] = this.#command.map((word) => word.replaceAll(PLACE_OF_NONCE, nonce));
    const hasNonce = this.#command.some((word) => word.includes(PLACE_OF_NONCE));
    if (file !== undefined && hasNonce) return [file, ...rest];
    throw this.#failed(`attest.nvidiaCommand has no place for the nonce: put ${PLACE_OF_NONCE} there`);
  }

  /** NVIDIA has not published one for every VBIOS; whether that is accepted is for the requester's policy to say. */
  async #findManifests(claims: readonly NvidiaClaims[], signal: AbortSignal): Promise<Uint8Array[]> {
    const { documents, crypto, logger } = this.#modules;
    const found = await Promise.all(
      [...new Set(claims.flatMap(nameManifests))].map(async (name) => {
        try {
          return [await documents.obtain(requestManifest(name, crypto), signal)];
        } catch (error) {
          if (!(error instanceof TeeError)) throw error;
          logger.warn({ manifest: name, reason: error.message }, 'evidence of the GPUs goes without a manifest');
          return [];
        }
      }),
    );
    return found.flat();
  }

  #failed(reason: string): TeeError {
    return new TeeError({ code: 'TEE_PRODUCE_FAILED', what: 'the command for GPU evidence', reason });
  }
}
