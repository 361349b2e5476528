/**
 * npm leaves optional packages of other platforms out of the lock file when the registry in use does not serve them, and
 * `npm ci` then refuses that very file. This adds what is missing: the version that the parent names, and the platform
 * that the package's own name says. Run it after every change of dependencies.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LOCK_FILE = join(import.meta.dirname, '../package-lock.json');
const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'];

const HELP = `Usage: scripts/node scripts/complete-lockfile.ts [--check]

  --check  only tell whether something is missing`;

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly license?: unknown;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  packages: Record<string, LockedPackage>;
}

/** Where Node.js would find `name` from `path`, folder by folder upwards. */
function isLocked(lock: LockFile, path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const candidate = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (lock.packages[candidate] !== undefined) return true;
    if (folder === '') return false;
  }
}

function describeMissing(name: string, version: string, parent: LockedPackage): LockedPackage {
  const words = name.replace(/^@[^/]+\//, '').split(/[-_]/);
  const os = SYSTEMS.filter((system) => words.includes(system));
  const cpu = PROCESSORS.filter((processor) => words.includes(processor));
  if (cpu.length === 0 || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new TypeError(`${name}@${version}: its platform or version cannot be told; lock it by hand`);
  }
  return {
    version,
    cpu,
    ...(parent.dev === true ? { dev: true } : {}),
    ...(typeof parent.license === 'string' ? { license: parent.license } : {}),
    optional: true,
    ...(os.length > 0 ? { os } : {}),
    ...(words.includes('musl') ? { libc: ['musl'] } : {}),
  } as LockedPackage;
}

/** The names of what was missing; `lock` then holds it. */
function complete(lock: LockFile): readonly string[] {
  const added: string[] = [];
  for (const [path, parent] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      if (isLocked(lock, path, name)) continue;
      lock.packages[`node_modules/${name}`] = describeMissing(name, version, parent);
      added.push(name);
    }
  }
  lock.packages = Object.fromEntries(
    Object.entries(lock.packages).sort(([one], [other]) => one.localeCompare(other, 'en')),
  );
  return added;
}

function main(args: readonly string[]): void {
  if (args.includes('--help')) return console.log(HELP);
  // npm wrote it.
  const lock = JSON.parse(readFileSync(LOCK_FILE, 'utf8')) as LockFile;
  const added = complete(lock);
  if (added.length === 0) return console.log('the lock file is complete');
  if (args.includes('--check')) {
    console.error(`missing in package-lock.json: ${added.join(', ')}\nRun scripts/node scripts/complete-lockfile.ts`);
    process.exitCode = 1;
    return;
  }
  writeFileSync(LOCK_FILE, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`added to package-lock.json: ${added.join(', ')}`);
}

main(process.argv.slice(2));
