import { chmod, link, mkdir, open, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type EntryHead, refuse, shown } from '../roots/read-tar.ts';

/** Entries of all layers of an image together; Debian with a desktop has 200,000. */
const MAX_ENTRIES = 500_000;
/** PATH_MAX of linux/limits.h without the folder that it is unpacked to, NAME_MAX, and the hops of path_resolution(7). */
const MAX_PATH_BYTES = 3072;
const MAX_NAME_BYTES = 255;
const MAX_LINK_BYTES = 4095;
const MAX_HOPS = 40;
/** What an entry counts for besides its bytes. */
const BLOCK_BYTES = 4096;

/** image-spec layer.md, "Whiteouts": what a layer takes away from those below it. */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Marks of AUFS, which mean nothing here. */
const AUFS = '.wh..wh.';

interface FolderNode {
  readonly kind: 'folder';
  readonly children: Map<string, Node>;
  /** The newest layer that has it, or anything in it. */
  layer: number;
}
type Node =
  | FolderNode
  | { readonly kind: 'file'; layer: number }
  | { readonly kind: 'link'; target: string; layer: number };

/** A folder of the tree with what is above it, from the root on. */
interface Place {
  readonly folders: readonly FolderNode[];
  readonly names: readonly string[];
}

/**
 * Layers of an image put one on top of the other in an empty folder that nobody else writes to. What stands where is known
 * from the layers alone: links are resolved in this memory, never by the file system, and begin at the image's own root.
 * Files become readable by all, and lose owner, set-user-id bits, times and extended attributes.
 */
export class LayerTree {
  /** Of all that was ever written, also of what a later layer took away. */
  usedBytes = 0;
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #root: FolderNode = { kind: 'folder', children: new Map(), layer: 0 };
  #entries = 0;
  #layer = 0;

  constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** What follows is in a layer above all so far. */
  beginLayer(): void {
    this.#layer += 1;
  }

  /** @throws SandboxError SANDBOX_ROOT_REFUSED for what a layer may not hold; Error of the file system */
  async add(head: EntryHead, content: Readable): Promise<void> {
    this.#use(0);
    this.#entries += 1;
    if (this.#entries > MAX_ENTRIES) throw refuse(`it has more than ${MAX_ENTRIES} entries`);
    const parts = readParts(head.name);
    const name = parts.pop();
    if (name === undefined) {
      if (head.type !== 'directory') throw refuse('its root is no folder');
    } else if (parts.some((part) => part.startsWith(WHITEOUT)) || name.startsWith(WHITEOUT)) {
      await this.#takeAway(parts, name, head.name);
    } else await this.#make(await this.#enter(parts, head.name), name, head, content);
  }

  async #make(parent: Place, name: string, head: EntryHead, content: Readable): Promise<void> {
    const folder = lastOf(parent);
    const existing = folder.children.get(name);
    const path = pathOf(parent, name);
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refuse(`the path ${shown(path)} is too long`);
    switch (head.type) {
      case 'directory':
        if (existing?.kind === 'folder') existing.layer = this.#layer;
        else await this.#makeFolder(parent, name);
        return;
      case 'file':
      case 'contiguous-file':
        await this.#clear(parent, name);
        await this.#writeFile(path, head.mode ?? 0, content);
        folder.children.set(name, { kind: 'file', layer: this.#layer });
        return;
      case 'symlink':
        await this.#clear(parent, name);
        await this.#makeLink(path, head.linkname ?? '');
        folder.children.set(name, { kind: 'link', target: head.linkname ?? '', layer: this.#layer });
        return;
      case 'link':
        return await this.#makeHardLink(parent, name, head.linkname ?? '');
      default:
        throw refuse(`${shown(head.name)} is neither file, folder nor link (${head.type ?? 'of an unknown type'})`);
    }
  }

  /**
   * The folder at a path, made where it is missing, through links as a program inside would go.
   * @param shownPath for messages
   */
  async #enter(parts: readonly string[], shownPath: string): Promise<Place> {
    const place = await this.#walk(parts, shownPath, async (at, name) => await this.#makeFolder(at, name));
    if (place === undefined) throw refuse(`${shown(shownPath)} lies in what is no folder`);
    // What this layer puts there keeps what is above it, when the layer takes away what those below it had.
    for (const folder of place.folders) folder.layer = this.#layer;
    return place;
  }

  /** Undefined where the path ends before its end, unless `missing` makes the folder. @throws SandboxError where it goes round in circles */
  async #walk(
    parts: readonly string[],
    shownPath: string,
    missing?: (at: Place, name: string) => Promise<FolderNode>,
  ): Promise<Place | undefined> {
    const folders: FolderNode[] = [this.#root];
    const names: string[] = [];
    const left = parts.toReversed();
    let hops = 0;
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (folders.length > 1) folders.pop();
        names.pop();
        continue;
      }
      const here: Place = { folders, names };
      const node = lastOf(here).children.get(part) ?? (await missing?.(here, part));
      if (node?.kind === 'folder') {
        folders.push(node);
        names.push(part);
      } else if (node?.kind === 'link') {
        hops += 1;
        if (hops > MAX_HOPS) throw refuse(`${shown(shownPath)} leads through too many links`);
        if (node.target.startsWith('/')) {
          folders.length = 1;
          names.length = 0;
        }
        left.push(...node.target.split('/').toReversed());
      } else return undefined;
    }
    return { folders, names };
  }

  async #makeFolder(parent: Place, name: string): Promise<FolderNode> {
    await this.#clear(parent, name);
    this.#use(0);
    const path = pathOf(parent, name);
    if (Buffer.byteLength(name) > MAX_NAME_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) {
      throw refuse(`the path ${shown(path)} is too long`);
    }
    await mkdir(this.#on(path));
    // The mode given to mkdir is less the umask of this process.
    await chmod(this.#on(path), 0o755);
    const made: FolderNode = { kind: 'folder', children: new Map(), layer: this.#layer };
    lastOf(parent).children.set(name, made);
    return made;
  }

  async #writeFile(path: string, mode: number, content: Readable): Promise<void> {
    await using file = await open(this.#on(path), 'wx');
    for await (const chunk of content) {
      const bytes = chunk as Uint8Array;
      this.#use(bytes.length);
      await file.write(bytes);
    }
    await file.chmod((mode & 0o111) === 0 ? 0o644 : 0o755);
  }

  /** Nobody follows it here, and in the sandbox it begins at the sandbox's own root: it cannot lead out of it. */
  async #makeLink(path: string, target: string): Promise<void> {
    if (target === '' || target.includes('\0') || Buffer.byteLength(target) > MAX_LINK_BYTES) {
      throw refuse(`the link ${shown(path)} leads nowhere`);
    }
    await symlink(target, this.#on(path));
  }

  async #makeHardLink(parent: Place, name: string, linkname: string): Promise<void> {
    const parts = readParts(linkname);
    const targetName = parts.pop() ?? '';
    const place = await this.#walk(parts, linkname);
    const target = place && lastOf(place).children.get(targetName);
    if (place === undefined || target?.kind !== 'file') {
      throw refuse(`${shown(pathOf(parent, name))} is a hard link to what is no file before it`);
    }
    if (lastOf(parent).children.get(name) === target) return;
    await this.#clear(parent, name);
    await link(this.#on(pathOf(place, targetName)), this.#on(pathOf(parent, name)));
    lastOf(parent).children.set(name, { kind: 'file', layer: this.#layer });
  }

  async #takeAway(parts: readonly string[], name: string, shownPath: string): Promise<void> {
    const isMark = (part: string): boolean => part.startsWith(AUFS) && part !== OPAQUE;
    if (isMark(name) || parts.some(isMark)) return;
    if (parts.some((part) => part.startsWith(WHITEOUT))) throw refuse(`${shown(shownPath)} lies in what is taken away`);
    const gone = name.slice(WHITEOUT.length);
    if (name !== OPAQUE && (gone === '' || gone === '.' || gone === '..')) {
      throw refuse(`${shown(shownPath)} takes away what has no name`);
    }
    const place = await this.#walk(parts, shownPath);
    if (place === undefined) return;
    const names = name === OPAQUE ? [...lastOf(place).children.keys()] : [gone];
    for (const each of names) await this.#removeLower(place, each);
  }

  /** What layers below this one have there; what this one has stays, wherever in it the whiteout stands. */
  async #removeLower(parent: Place, name: string): Promise<void> {
    const node = lastOf(parent).children.get(name);
    if (node === undefined) return;
    if (node.layer < this.#layer) return await this.#clear(parent, name);
    if (node.kind !== 'folder') return;
    const inner: Place = { folders: [...parent.folders, node], names: [...parent.names, name] };
    for (const child of node.children.keys()) await this.#removeLower(inner, child);
  }

  async #clear(parent: Place, name: string): Promise<void> {
    const { children } = lastOf(parent);
    if (!children.has(name)) return;
    await rm(this.#on(pathOf(parent, name)), { recursive: true });
    children.delete(name);
  }

  #on(path: string): string {
    return join(this.#folder, path);
  }

  #use(bytes: number): void {
    this.usedBytes += bytes === 0 ? BLOCK_BYTES : bytes;
    if (this.usedBytes > this.#maxBytes) throw refuse(`unpacked it takes more than ${this.#maxBytes} bytes`);
  }
}

function lastOf({ folders }: Place): FolderNode {
  // There is always the root.
  return folders.at(-1) as FolderNode;
}

function pathOf({ names }: Place, name: string): string {
  return [...names, name].join('/');
}

/** Parts of a path from the root of the image; some tools write them absolute. @throws SandboxError */
function readParts(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  const isBad = parts.some((part) => part === '..' || part.includes('\0') || Buffer.byteLength(part) > MAX_NAME_BYTES);
  if (isBad) throw refuse(`the path ${shown(name)} leads out of the root, or has a part that no file can have`);
  return parts;
}
