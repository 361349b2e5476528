import { encodeUtf8 } from '../../../lib/bytes.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { hasCommonName, parsePemChain } from '../../dcap/checks/check-chains.ts';
import { NAMES } from '../../dcap/constants.ts';
import { parsePckExtension } from '../../dcap/quote/pck-extension.ts';
import { parseQuote } from '../../dcap/quote/quote.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceCrypto } from '../../interface.ts';
import { parseEndorsement } from '../../sev-snp/endorsement.ts';
import { parseReport, type SevSnpReport } from '../../sev-snp/report.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { readCertificateTable } from '../hardware/certificate-table.ts';
import type { Endorsements, Endorser, HardwareKind, RawReport } from '../interface.ts';
import { isEndorsedBy, requestAmdRevocationList, requestVcek } from './amd-documents.ts';
import type { DocumentSource } from './document-source.ts';
import {
  requestPckRevocationList,
  requestQeIdentity,
  requestRootRevocationList,
  requestTcbInfo,
} from './intel-documents.ts';

export interface VendorEndorserModules {
  readonly documents: DocumentSource;
  readonly crypto: EvidenceCrypto;
  readonly logger: Logger;
}

export interface VendorEndorserOptions {
  /** Address of a PCCS; null: Intel's own service. AMD's service has no such stand-in. */
  readonly collateralUrl: string | null;
}

/** What AMD and Intel say of the platform that made a report. */
export class VendorEndorser implements Endorser {
  readonly #modules: VendorEndorserModules;
  readonly #service: string | null;

  constructor(modules: VendorEndorserModules, options: VendorEndorserOptions) {
    this.#modules = modules;
    this.#service = options.collateralUrl;
  }

  async endorse(
    kind: HardwareKind,
    raw: RawReport,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Endorsements> {
    return kind === 'sev-snp' ? this.#endorseSnp(raw, signal) : this.#endorseQuote(kind, raw.report, signal);
  }

  async #endorseSnp({ report: bytes, auxiliary }: RawReport, signal: AbortSignal): Promise<Endorsements> {
    const report = parseReport(bytes);
    const given = readCertificateTable(auxiliary).find((certificate) => isEndorsedBy(report, certificate));
    const certificate = given ?? (await this.#fetchVcek(report, signal));
    return { certificates: [certificate], collateral: await this.#findRevocationList(certificate, signal) };
  }

  async #fetchVcek(report: SevSnpReport, signal: AbortSignal): Promise<Uint8Array> {
    const request = requestVcek(report, this.#modules.crypto);
    if (request === undefined) {
      const what = 'the certificate of the key that signed the report';
      const reason =
        report.signingKey === 'vlek'
          ? 'the key is the cloud provider’s (VLEK): its host has to hand the certificate to the guest, and did not'
          : 'the host gives none that fits, and the report does not say from where at AMD to fetch it';
      throw new TeeError({ code: 'TEE_COLLATERAL_UNAVAILABLE', what, url: null, reason });
    }
    return this.#modules.documents.obtain(request, signal);
  }

  /** A policy may do without it (acceptUnchecked), and only the requester knows its own: its absence is not the end here. */
  async #findRevocationList(certificate: Uint8Array, signal: AbortSignal): Promise<Uint8Array | null> {
    const { documents, crypto, logger } = this.#modules;
    try {
      const { product } = parseEndorsement(parseCertificate(certificate));
      return await documents.obtain(requestAmdRevocationList(product, crypto), signal);
    } catch (error) {
      if (!(error instanceof TeeError)) throw error;
      logger.warn(
        { reason: error.message },
        'evidence goes without a revocation list, which only policies with acceptUnchecked: [revocation] take: see that this machine reaches AMD',
      );
      return null;
    }
  }

  async #endorseQuote(kind: 'tdx' | 'sgx', report: Uint8Array, signal: AbortSignal): Promise<Endorsements> {
    const { documents, crypto } = this.#modules;
    const service = this.#service;
    const { fmspc, authority } = readPlatform(report);
    const [tcbInfo, qeIdentity, rootList, pckList] = await Promise.all([
      documents.obtain(requestTcbInfo({ kind, service, fmspc }, crypto), signal),
      documents.obtain(requestQeIdentity({ kind, service }, crypto), signal),
      documents.obtain(requestRootRevocationList({ service }, crypto), signal),
      documents.obtain(requestPckRevocationList({ service, authority }, crypto), signal),
    ]);
    const bundle = {
      tcb_info_issuer_chain: tcbInfo.issuerChain,
      tcb_info: tcbInfo.text,
      tcb_info_signature: tcbInfo.signature,
      qe_identity_issuer_chain: qeIdentity.issuerChain,
      qe_identity: qeIdentity.text,
      qe_identity_signature: qeIdentity.signature,
      root_ca_crl: rootList,
      pck_crl: pckList,
    };
    return { certificates: [], collateral: encodeUtf8(JSON.stringify(bundle)) };
  }
}

function readPlatform(report: Uint8Array): { readonly fmspc: string; readonly authority: 'platform' | 'processor' } {
  const { leaf } = parsePemChain("the quote's certificates", parseQuote(report).qe.chainPem);
  const { fmspc } = parsePckExtension(leaf);
  const [platform] = NAMES.pckAuthorities;
  return { fmspc, authority: hasCommonName(leaf.issuerText, [platform]) ? 'platform' : 'processor' };
}
