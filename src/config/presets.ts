import { z } from 'zod';
import type { NetworkDefinition } from '../domain/network-definition.ts';
import { describeError } from '../lib/errors.ts';
import { ConfigError } from './errors.ts';
import { readSmallFile } from './small-file.ts';

export type PresetName = NetworkDefinition['preset'];

const presetSchema = z.strictObject({
  summary: z.string(),
  values: z.record(z.string(), z.unknown()),
  /** Holds as well while the node listens on loopback addresses only: nobody else's machine can reach it. */
  onLoopback: z.record(z.string(), z.unknown()).optional(),
  /** Settings that no other layer may change. */
  fixed: z.array(z.string()),
});
export type Preset = z.output<typeof presetSchema>;

/** `config/` lies beside both `src/` and `dist/`. */
const PRESET_FOLDER = new URL('../../config/', import.meta.url);

/** Reads `config/<name>.json`. @throws ConfigError CONFIG_UNREADABLE */
export async function readPreset(name: PresetName): Promise<Preset> {
  const { pathname } = new URL(`${name}.json`, PRESET_FOLDER);
  const path = decodeURIComponent(pathname);
  const text = await readSmallFile(path);
  try {
    return presetSchema.parse(JSON.parse(text ?? ''));
  } catch (error) {
    throw new ConfigError({ code: 'CONFIG_UNREADABLE', path, reason: describeError(error) }, { cause: error });
  }
}
