/** NVIDIA's reference manifests by their names (RIM service API, version 1; names as NVIDIA's attestation SDK forms them). */
import { z } from 'zod';
import { parseJson } from '../../dcap/collateral/collateral.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceCrypto } from '../../interface.ts';
import type { NvidiaClaims } from '../../nvidia/interface.ts';
import { parseReferenceManifest } from '../../nvidia/rim/reference-manifest.ts';
import { verifyManifest } from '../../nvidia/rim/verify-manifest.ts';
import { findRoot } from '../../nvidia/roots.ts';
import { decodeBase64 } from '../../x509/pem.ts';
import { MAX_DOCUMENT_BYTES, REFRESH_AFTER_MS } from '../constants.ts';
import { assertPassed } from './assert-passed.ts';
import type { DocumentRequest } from './document-source.ts';

const SERVICE = 'https://rim.attestation.nvidia.com';
const NAME = /^[\w.-]{1,128}$/u;

const answerSchema = z.object({ id: z.string().max(256), rim: z.string().max(MAX_DOCUMENT_BYTES) });

/** Of driver and VBIOS of a GPU; a switch is not asked here. */
export function nameManifests({ chip, chipInfo, driverVersion, vbiosVersion, board }: NvidiaClaims): readonly string[] {
  if (driverVersion === null || board === null) return [];
  const driver = chip === 'GH100' ? 'NV_GPU_DRIVER_GH100' : `NV_GPU_CC_DRIVER_${chipInfo ?? chip}`;
  const { project, projectSku, chipSku } = board;
  const vbios = `${project}_${projectSku}_${chipSku}_${vbiosVersion.replaceAll('.', '').toUpperCase()}`;
  return [`${driver}_${driverVersion}`, `NV_GPU_VBIOS_${vbios}`];
}

/** XML. @throws TeeError TEE_MALFORMED if it is no name */
export function requestManifest(name: string, crypto: EvidenceCrypto): DocumentRequest<Uint8Array> {
  const what = `NVIDIA's manifest ${name}`;
  if (!NAME.test(name)) throw malformed(what, 'that is no name');
  return {
    what,
    url: `${SERVICE}/v1/rim/${name}`,
    chainHeader: null,
    refreshAfterMs: REFRESH_AFTER_MS,
    open: async ({ body }, atMs) => {
      const { id, rim } = parseJson(what, body, answerSchema);
      if (id !== name) throw malformed(what, `it is ${id.slice(0, 128)}`);
      const xml = decodeBase64(rim);
      if (xml === undefined) throw malformed(what, 'it is not base64');
      const manifest = parseReferenceManifest(xml);
      const role = name.includes('DRIVER') ? 'driver' : 'vbios';
      assertPassed(what, await verifyManifest({ role, manifest, root: findRoot('rim'), atMs, crypto }));
      return xml;
    },
  };
}

function malformed(what: string, reason: string): TeeError {
  return new TeeError({ code: 'TEE_MALFORMED', what, offset: 0, reason });
}
