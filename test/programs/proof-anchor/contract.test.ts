import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseIdl } from '../../../scripts/programs/idl/idl.ts';
import { decodeImage } from '../../../scripts/programs/image.ts';
import { scanProgram } from '../../../scripts/programs/scan.ts';
import {
  LOG_BYTES,
  LOG_DISCRIMINATOR,
  PROOF_ANCHOR_ERROR_CODES,
  PROOF_ANCHOR_ERRORS,
} from '../../../src/chain/generated/proof-anchor.ts';
import { computeLocalProgramAddress } from '../../../src/domain/chain.ts';
import { LogRig } from '../../support/log-rig.ts';
import { readProgram } from '../../support/program-chain.ts';

const FOLDER = join(import.meta.dirname, '../../../programs/proof-anchor');
const read = (path: string): string => readFileSync(join(FOLDER, path), 'utf8');
const idl = parseIdl(read('idl.json'));

/** `pub const NAME: Discriminator = [..];` of a Rust file. */
function readDiscriminators(path: string): Map<string, readonly number[]> {
  const found = read(path).matchAll(/pub const (\w+): Discriminator = \[([\d, ]+)\];/g);
  return new Map([...found].map(([, name = '', bytes = '']) => [name, bytes.split(',').map(Number)]));
}

describe('proof-anchor in Rust, IDL, TypeScript and README', () => {
  it('has the same discriminators', () => {
    const instructions = idl.instructions.map(
      ({ name, discriminator }) => [name.toUpperCase(), discriminator] as const,
    );
    expect([...readDiscriminators('src/instructions.rs')]).toEqual(instructions);
    const [log] = idl.accounts;
    const [appended] = idl.events;
    expect([...readDiscriminators('src/layout.rs')]).toEqual([
      ['LOG_DISCRIMINATOR', log?.discriminator],
      ['APPENDED_DISCRIMINATOR', appended?.discriminator],
    ]);
    expect([...LOG_DISCRIMINATOR]).toEqual(log?.discriminator);
  });

  it('has the same account size, on chain too', () => {
    const rig = LogRig.created();
    const data = rig.chain.read(rig.log)?.data ?? new Uint8Array();
    expect(data.length).toBe(LOG_BYTES);
    expect(data.subarray(0, 8)).toEqual(LOG_DISCRIMINATOR);
    expect(read('src/layout.rs')).toContain(`size_of::<Log>() == ${LOG_BYTES}`);
    expect(read('README.md')).toContain(`\`Log\` (${LOG_BYTES.toLocaleString('en')} bytes`);
  });

  it('has the same errors', () => {
    const rust = [...read('src/error.rs').matchAll(/^ {4}(\w+) = (\d+),$/gm)].map(([, name, code]) => [
      name,
      Number(code),
    ]);
    expect(rust).toEqual(idl.errors.map(({ code, name }) => [name, code]));
    expect(Object.entries(PROOF_ANCHOR_ERROR_CODES)).toEqual(rust);
    expect(Object.entries(PROOF_ANCHOR_ERRORS).map(([code, { name }]) => [name, Number(code)])).toEqual(rust);
    const readme = [...read('README.md').matchAll(/^\| (60\d\d) \| (\w+) \|/gm)].map(([, code, name]) => [
      name,
      Number(code),
    ]);
    expect(readme).toEqual(rust);
  });

  it('names the address of local chains', () => {
    expect(idl.address).toBe(computeLocalProgramAddress('proof-anchor'));
  });

  it('has an id of its own for each check', () => {
    const files = ['lib', 'account', 'instructions', 'merkle'].map((name) => read(`src/${name}.rs`)).join('\n');
    const ids = [...files.matchAll(/\b(?:check|some|refuse)!\(\s*"([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBe([...files.matchAll(/\b(?:check|some|refuse)!\(/g)].length);
    expect(files).not.toMatch(/AnchorError::/);
  });
});

describe('the artefact', () => {
  it('calls these syscalls alone: none that ends the program in a panic', () => {
    const memory = ['sol_memcmp_', 'sol_memcpy_', 'sol_memmove_', 'sol_memset_'];
    const { syscalls } = scanProgram(decodeImage(readProgram('proof_anchor')));
    expect(syscalls.filter((name) => !memory.includes(name))).toEqual([
      'sol_get_sysvar',
      'sol_invoke_signed_c',
      'sol_log_data',
      'sol_set_return_data',
      'sol_sha256',
      'sol_try_find_program_address',
    ]);
  });
});
