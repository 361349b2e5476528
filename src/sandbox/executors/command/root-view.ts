import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join, posix } from 'node:path';

/** What a command sees of a root: its top entries, each bound read-only or made again as a link. */
export interface RootView {
  readonly folders: ReadonlySet<string>;
  /** Of bubblewrap. */
  readonly arguments: readonly string[];
}

/** A command has its own of these. */
const OWN = new Set(['proc', 'dev', 'tmp', 'output']);
/** System folders of a host that a program may need; nothing of /etc but how libraries are found. */
const HOST_PATHS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
const HOST_FILES = ['/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/alternatives'];

/** What a view leaves out, and where it lies in the sandbox. */
export interface ViewOptions {
  /** Names of which the sandbox has its own besides those that it always has. */
  readonly hidden?: readonly string[];
  readonly at?: string;
}

/** Of an unpacked archive. Nothing in it is followed: bubblewrap resolves links in what it binds, so no link is bound. */
export function viewArchive(folder: string, { hidden = [], at = '/' }: ViewOptions = {}): RootView {
  const isOwn = (name: string): boolean => OWN.has(name) || hidden.includes(name);
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !isOwn(name));
  return {
    folders: new Set(entries.map(({ name }) => name)),
    arguments: entries.flatMap((entry) => {
      const source = join(folder, entry.name);
      if (entry.isSymbolicLink()) return ['--symlink', readlinkSync(source), posix.join(at, entry.name)];
      return ['--ro-bind', source, posix.join(at, entry.name)];
    }),
  };
}

/** Of this host: links among its system folders stay links. @param at where it lies in the sandbox */
export function viewHost(at = '/'): RootView {
  const found = HOST_PATHS.flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ path, isLink: stat.isSymbolicLink() }];
  });
  return {
    folders: new Set([...found.map(({ path }) => path.slice(1)), 'etc']),
    arguments: [
      '--perms',
      '0755',
      '--dir',
      posix.join(at, '/etc'),
      ...found.flatMap(({ path, isLink }) =>
        isLink ? ['--symlink', readlinkSync(path), posix.join(at, path)] : ['--ro-bind', path, posix.join(at, path)],
      ),
      ...HOST_FILES.flatMap((path) => ['--ro-bind-try', path, posix.join(at, path)]),
    ],
  };
}
