import { CID } from 'multiformats/cid';
import { DAG_CBOR_CODE, RAW_CODE, SHA2_256 } from '../lib/cid.ts';
import { LINK_BYTES, Link, writeLinkBytes } from '../lib/link.ts';
import { ProofsError } from './errors.ts';

const DIGEST_BYTES = 32;

/** The 32-byte SHA-256 in the id of an object or a blob. @throws ProofsError PROOFS_NO_DIGEST */
export function readIdDigest(id: string): Uint8Array {
  const bytes = new Uint8Array(LINK_BYTES);
  for (const codec of [DAG_CBOR_CODE, RAW_CODE]) {
    if (writeLinkBytes(bytes, 0, new Link(codec, id))) return bytes.slice(LINK_BYTES - DIGEST_BYTES);
  }
  return readAnyDigest(id);
}

function readAnyDigest(id: string): Uint8Array {
  try {
    const { multihash } = CID.parse(id);
    if (multihash.code === SHA2_256 && multihash.digest.length === DIGEST_BYTES) return multihash.digest.slice();
  } catch (error) {
    throw new ProofsError({ code: 'PROOFS_NO_DIGEST', id: id.slice(0, 80) }, { cause: error });
  }
  throw new ProofsError({ code: 'PROOFS_NO_DIGEST', id: id.slice(0, 80) });
}
