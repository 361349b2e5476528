import { parseDocument } from 'yaml';
import { readFileLayer } from './layers.ts';
import { computeDataPaths } from './paths.ts';
import { readSmallFile, writeSmallFile } from './small-file.ts';

/** What `init` writes: every line is a comment, so that defaults stay defaults when they change. */
const TEMPLATE = `# Settings of this node. \`fogproof config print\` shows every one, its value and where it comes from.
# Stronger than this file: flags, then FOGPROOF_* variables (provide.slots is FOGPROOF_PROVIDE_SLOTS).
# Weaker: the network's preset, then the defaults. Sizes and durations may have units: 512MiB, 30s.

# network: local                      # id of a joined network
# listen: [/ip4/0.0.0.0/tcp/4717]
# bootstrap: []                       # peers to begin with, besides the network's own
# region: eu-central

# provide:
#   enabled: true                     # take other peers' jobs
#   slots: 4                          # jobs at once
#   maxMemoryBytes: 4GiB              # of one job
#   maxWallTimeMs: 1h                 # of one job
#   allowRequesters: anyone           # or a list of peer ids
#   trustedRequesters: []             # peer ids whose jobs may run without bubblewrap
#   pricesPerHour: { cpu: "0" }       # base units of the network's token

# chain:
#   rpcUrls: []                       # Solana RPC endpoints instead of the network's
#   keypairFile: null                 # Solana CLI keypair file that pays
#   anchor: { received: true, provided: false, maxWaitMs: 5m }

# blobs: { maxBytes: 20GiB }
# snapshots: { maxBytes: 4GiB }
# log: { level: info }
`;

/** Writes the commented template unless there is a file. @throws ConfigError CONFIG_UNWRITABLE */
export async function createConfigFile(home: string): Promise<void> {
  await writeSmallFile(computeDataPaths(home).config, TEMPLATE, { existing: 'keep' });
}

/** Sets one key and leaves the rest, comments too, as it is. @throws ConfigError CONFIG_UNREADABLE, CONFIG_UNWRITABLE */
export async function setInConfigFile(home: string, key: string, value: string): Promise<void> {
  const path = computeDataPaths(home).config;
  const text = (await readSmallFile(path)) ?? TEMPLATE;
  readFileLayer(text, path);
  const document = parseDocument(text);
  document.setIn(key.split('.'), value);
  await writeSmallFile(path, document.toString(), { existing: 'replace' });
}
