/**
 * The folders of src/, lowest layer first, as data for the linter (oxlint.config.ts) and for docs/architecture.md.
 * Folders of later steps stand here already, so that their place is not argued about again.
 */
export const LAYERS: readonly (readonly string[])[] = [
  ['lib'],
  ['domain'],
  ['config'],
  ['telemetry'],
  ['storage'],
  ['identity', 'beacon', 'vrf', 'proofs', 'reputation', 'blob'],
  ['bundle'],
  ['network', 'chain', 'wasm', 'tee'],
  ['sandbox', 'localnet'],
  ['privacy'],
  ['market'],
  ['scheduler'],
  ['assurance'],
  ['rpc'],
  ['node'],
  ['sim', 'cli'],
];

/** Folders whose every file is free of I/O, clock and logger. Anybody above may import them by value. */
const PURE_FOLDERS: ReadonlySet<string> = new Set(['lib', 'domain', 'vrf', 'proofs', 'wasm']);

/** Files that may be imported by value from above besides interface.ts and errors.ts: pure code and tables. */
const OPEN_FILES: Readonly<Record<string, readonly string[]>> = {
  storage: ['namespaces.ts', 'codecs.ts'],
  reputation: ['beta-model.ts'],
  bundle: ['verify.ts'],
  market: ['pricing.ts'],
  scheduler: ['job-machine.ts'],
  rpc: ['client.ts'],
};

/** Those that construct: node/ builds the daemon, cli/ what needs none, sim/ many nodes. */
const CONSTRUCTING_FOLDERS: ReadonlySet<string> = new Set(['node', 'cli', 'sim']);

/** Deepest nesting of folders below src/ that the rules are written for. */
const DEEPEST = 4;

export interface RestrictedPattern {
  readonly message: string;
  readonly group?: string[];
  readonly regex?: string;
  readonly allowTypeImports?: boolean;
}

export interface LayerOverride {
  readonly files: string[];
  readonly patterns: RestrictedPattern[];
}

/** One entry for each folder and depth: what its files must not import. */
export function computeLayerOverrides(): readonly LayerOverride[] {
  return LAYERS.flatMap((folders, level) =>
    folders.flatMap((folder) =>
      Array.from({ length: DEEPEST }, (_, index) => index + 1).map((depth) => ({
        files: [`**/src/${folder}/${'*/'.repeat(depth - 1)}*.ts`],
        patterns: computePatterns({ folder, level, prefix: '../'.repeat(depth) }),
      })),
    ),
  );
}

function computePatterns(place: { folder: string; level: number; prefix: string }): RestrictedPattern[] {
  const { folder, level, prefix } = place;
  const above = LAYERS.slice(level + 1).flat();
  const reachable = LAYERS.slice(0, level + 1)
    .flat()
    .filter((other) => other !== folder && !PURE_FOLDERS.has(other));
  const patterns: RestrictedPattern[] = [
    { group: [`${prefix}main.ts`], message: 'main.ts is imported by nobody (style guide, section 2).' },
  ];
  if (above.length > 0) {
    const names = above.join('|');
    const escaped = prefix.replaceAll('.', '\\.');
    patterns.push({
      regex: `^${escaped}(${names})/`,
      message: `${folder}/ is below that folder: never import upward, not even types; declare a port in ${folder}/interface.ts instead (style guide, section 2).`,
    });
  }
  if (!CONSTRUCTING_FOLDERS.has(folder)) {
    patterns.push(...reachable.map((other) => computeInsidesPattern(other, prefix)));
  }
  return patterns;
}

function computeInsidesPattern(other: string, prefix: string): RestrictedPattern {
  const open = ['interface.ts', 'errors.ts', ...(OPEN_FILES[other] ?? [])];
  return {
    group: [`${prefix}${other}/**`, ...open.map((file) => `!${prefix}${other}/${file}`)],
    allowTypeImports: true,
    message: `From outside, ${other}/ is ${open.join(', ')}; node/ alone constructs implementations (style guide, section 2).`,
  };
}
