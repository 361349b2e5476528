import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

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

/** Of an unpacked archive, but for `hidden`, names of which the command has its own too. Nothing in it is followed: bubblewrap resolves links in what it binds, so no link is bound. */
export function viewArchive(folder: string, hidden: readonly string[] = []): RootView {
  const isOwn = (name: string): boolean => OWN.has(name) || hidden.includes(name);
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !isOwn(name));
  return {
    folders: new Set(entries.map(({ name }) => name)),
    arguments: entries.flatMap((entry) => {
      const source = join(folder, entry.name);
      if (entry.isSymbolicLink()) return ['--symlink', readlinkSync(source), `/${entry.name}`];
      return ['--ro-bind', source, `/${entry.name}`];
    }),
  };
}

/** Of this host: links among its system folders stay links. */
export function viewHost(): RootView {
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
      '/etc',
      ...found.flatMap(({ path, isLink }) =>
        isLink ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path],
      ),
      ...HOST_FILES.flatMap((path) => ['--ro-bind-try', path, path]),
    ],
  };
}
