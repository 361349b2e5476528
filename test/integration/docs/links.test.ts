import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const FOLDERS = ['docs', 'examples', 'circuits', 'programs', 'config', 'schema'];
const FILES = [
  ...readdirSync(ROOT)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(ROOT, name)),
  ...FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(ROOT, folder, name)),
  ),
];
const LINK = /\]\(([^)#\s]+)(?:#[^)]*)?\)/g;
/** Paths in code spans that begin with a folder of the repository; a `*` or an upper-case word is a placeholder. */
const NAMED_PATH = /`((?:src|test|scripts|examples|docs|config|bench|schema)\/[a-z0-9/._-]+)`/g;

/** What `npm ci`, a build or a run puts there. */
const MADE_LATER = /^(dist|node_modules)\/|\/build\/|^docs\/demo\.svg$/;

function findMatches(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].flatMap(([, path]) => (path === undefined ? [] : [path]));
}

describe.each(FILES.map((file) => [relative(ROOT, file), file] as const))('%s', (_, file) => {
  const text = readFileSync(file, 'utf8');

  it('links to files that exist', () => {
    const links = findMatches(text, LINK).filter((link) => !/^[a-z]+:/.test(link));
    expect(links.filter((link) => !existsSync(join(dirname(file), link)))).toEqual([]);
  });

  it('names files and folders that exist', () => {
    const named = findMatches(text, NAMED_PATH).filter((path) => !MADE_LATER.test(path));
    const isThere = (path: string): boolean => existsSync(join(ROOT, path)) || existsSync(join(dirname(file), path));
    expect(named.filter((path) => !isThere(path))).toEqual([]);
  });
});
