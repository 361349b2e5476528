import { type BufferImporterResult, importer, importFile } from 'ipfs-unixfs-importer';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';

const PROFILE = { profile: 'unixfs-v1-2025' } as const;
const LEAF_BYTES = 1_048_576;
const RAW = 0x55;
const SHA2_256 = 0x12;

/** What the reference implementation made: the root's CID, and every block that is no leaf. */
export interface ReferenceBlocks {
  readonly root: string;
  readonly nodes: ReadonlyMap<string, Uint8Array>;
}

function collectBlocks() {
  const nodes = new Map<string, Uint8Array>();
  const put = async (cid: CID, block: unknown): Promise<CID> => {
    if (cid.code !== RAW && block instanceof Uint8Array) nodes.set(cid.toString(), block);
    return cid;
  };
  return { nodes, store: { put } };
}

/** A file as ipfs-unixfs-importer names it. */
export async function importBlob(bytes: Uint8Array): Promise<ReferenceBlocks> {
  const { nodes, store } = collectBlocks();
  const { cid } = await importFile({ content: bytes }, store, PROFILE);
  return { root: cid.toString(), nodes };
}

/** The tree that ipfs-unixfs-importer builds over leaves of which only the digests are known. */
export async function importLeaves(leafDigests: Uint8Array, sizeBytes: number): Promise<ReferenceBlocks> {
  const { nodes, store } = collectBlocks();
  const bufferImporter = async function* (): AsyncIterable<() => Promise<BufferImporterResult>> {
    for (let offset = 0; offset * 32 < leafDigests.length; offset += 1) {
      const digest = Digest.create(SHA2_256, leafDigests.slice(offset * 32, (offset + 1) * 32));
      const size = BigInt(Math.min(LEAF_BYTES, sizeBytes - offset * LEAF_BYTES));
      yield async () => ({ cid: CID.createV1(RAW, digest), size, block: new Uint8Array() });
    }
  };
  const options = { ...PROFILE, bufferImporter, blockWriteConcurrency: 1 };
  const { cid } = await importFile({ content: new Uint8Array() }, store, options);
  return { root: cid.toString(), nodes };
}

export interface ReferenceEntry {
  readonly path: string;
  /** Undefined for an empty folder. */
  readonly bytes?: Uint8Array;
}

/** A folder as ipfs-unixfs-importer names it: the CID of its root, and its blocks. */
export async function importFolder(entries: readonly ReferenceEntry[]): Promise<ReferenceBlocks> {
  const { nodes, store } = collectBlocks();
  const candidates = entries.map(({ path, bytes }) => (bytes === undefined ? { path } : { path, content: bytes }));
  let root = '';
  for await (const { cid } of importer(candidates, store, { ...PROFILE, wrapWithDirectory: true })) {
    root = cid.toString();
  }
  return { root, nodes };
}
