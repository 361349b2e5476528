import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeError } from '../../src/lib/errors.ts';
import type { DcapCase } from './cases.ts';

/** Brought by whoever runs this; no dependencies of ours. */
const QVL = '@phala/dcap-qvl';
const QVL_WEB = '@phala/dcap-qvl-web';

export const INSTALL = `npm i --prefix FOLDER ${QVL}@0.3.9 ${QVL_WEB}@0.3.3`;

export interface DcapLibrary {
  readonly name: string;
  readonly version: string;
  /** A status, or why it was refused. */
  judge(given: DcapCase): string;
}

type Callable = (...inputs: readonly unknown[]) => unknown;

/** @throws TypeError for a library that has another form than the versions in `INSTALL` */
export async function loadLibraries(folder: string): Promise<readonly DcapLibrary[]> {
  const require = createRequire(join(resolve(folder), 'index.js'));
  const verify = pick(require(QVL), 'verify');
  const path = require.resolve(QVL_WEB);
  const web: unknown = await import(pathToFileURL(path).href);
  pick(web, 'initSync')({ module: await readFile(path.replace(/\.js$/u, '_bg.wasm')) });
  const verifyWeb = pick(web, 'js_verify');
  return [
    {
      name: QVL,
      version: await readVersion(folder, QVL),
      judge: (given) => judge(given, (collateral, seconds) => verify(given.quote, collateral, seconds)),
    },
    {
      name: QVL_WEB,
      version: await readVersion(folder, QVL_WEB),
      judge: (given) => judge(given, (collateral, seconds) => verifyWeb(given.quote, collateral, BigInt(seconds))),
    },
  ];
}

function judge({ collateral, atMs }: DcapCase, verify: (collateral: unknown, seconds: number) => unknown): string {
  if (collateral === null) return 'not asked: it needs collateral';
  try {
    const result = verify(JSON.parse(new TextDecoder().decode(collateral)), Math.floor(atMs / 1000));
    return String(read(result, 'status'));
  } catch (error) {
    return `refused: ${typeof error === 'string' ? error : describeError(error)}`;
  }
}

function pick(library: unknown, name: string): Callable {
  const found = read(library, name);
  if (typeof found === 'function') return found as Callable;
  throw new TypeError(`the library has no function ${name}`);
}

function read(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

async function readVersion(folder: string, name: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8'));
  return String(read(manifest, 'version'));
}
