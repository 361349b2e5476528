import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type NodeErrorInfo =
  | { readonly code: 'NODE_DUPLICATE_IDENTITY'; readonly peer: string; readonly addresses: readonly string[] }
  | {
      readonly code: 'NODE_FOREIGN_DATABASE';
      readonly home: string;
      readonly owner: string;
      readonly peer: string;
    }
  | { readonly code: 'NODE_NO_CHAIN'; readonly network: string }
  | { readonly code: 'NODE_SIMULATED_TEE'; readonly network: string; readonly reason: string }
  | { readonly code: 'NODE_BAD_POLICY'; readonly path: string; readonly reason: string }
  | { readonly code: 'NODE_ANCHOR_WAITS'; readonly batch: number; readonly problem: string; readonly message: string }
  | { readonly code: 'NODE_AIRDROP_LOST'; readonly signature: string }
  | { readonly code: 'NODE_START_ABORTED' }
  | { readonly code: 'NODE_NOTHING_TO_REPAIR'; readonly path: string }
  | {
      readonly code: 'NODE_NEWER_DATA';
      readonly what: string;
      readonly found: number;
      readonly supported: number;
    }
  | { readonly code: 'NODE_BACKUP_RUNNING' }
  | { readonly code: 'NODE_BACKUP_UNWRITABLE'; readonly path: string; readonly reason: string }
  | { readonly code: 'NODE_BACKUP_UNREADABLE'; readonly path: string; readonly reason: string }
  | { readonly code: 'NODE_BACKUP_DAMAGED'; readonly path: string; readonly where: string; readonly reason: string }
  | { readonly code: 'NODE_RESTORE_NOT_EMPTY'; readonly home: string }
  | { readonly code: 'NODE_NOT_A_FOLDER'; readonly blob: string }
  | { readonly code: 'NODE_BAD_FOLDER'; readonly folder: string; readonly path: string; readonly reason: string }
  | { readonly code: 'NODE_FOLDER_TIMEOUT'; readonly folder: string; readonly timeoutMs: number };

const NODE_ERRORS: ErrorTable<NodeErrorInfo> = {
  NODE_DUPLICATE_IDENTITY: {
    retryable: false,
    message: (info) =>
      `another daemon runs under this identity (${info.peer}), seen at ${info.addresses.join(', ') || 'unknown addresses'}`,
    hint: () =>
      'Stop one of the two. Each box needs an identity of its own: run `fogproof init` with another --home there.',
  },
  NODE_FOREIGN_DATABASE: {
    retryable: false,
    message: (info) => `the data in ${info.home} is that of ${info.owner}, and the identity there is ${info.peer}`,
    hint: () =>
      'Bring back the identity that the data belongs to: `fogproof restore` takes its backup. Or start the new one in a folder of its own with --home.',
  },
  NODE_NO_CHAIN: {
    retryable: false,
    message: (info) => `the network '${info.network}' has no chain`,
    hint: () =>
      'Make a network with one: start `fogproof localnet`, or take a Solana RPC endpoint, and run `fogproof network create ID --rpc-url URL`.',
  },
  NODE_SIMULATED_TEE: {
    retryable: false,
    message: (info) =>
      `attest.simulatedKeyFile is set, and on the network '${info.network}' it is worth nothing: ${info.reason}`,
    hint: () =>
      'Remove the setting. Test networks have one that were made with `fogproof network create ID --simulated-tee`, and networks of the preset production never do.',
  },
  NODE_BAD_POLICY: {
    retryable: false,
    message: (info) => `${info.path} (attest.policyFile) is no policy: ${info.reason}`,
    hint: () => 'docs/attestation.md has the fields and an example of each kind.',
  },
  NODE_ANCHOR_WAITS: {
    retryable: true,
    message: (info) => `batch ${info.batch} cannot be anchored now: ${info.message} (${info.problem})`,
    hint: () =>
      'Its receipts are kept and it is tried again by itself; `fogproof anchor list` shows when it is through.',
  },
  NODE_AIRDROP_LOST: {
    retryable: true,
    message: (info) => `the airdrop was accepted but its transaction (${info.signature}) is not on the chain`,
    hint: () => 'Faucets of public clusters are often empty. Look at `fogproof wallet show`, then try again later.',
  },
  NODE_START_ABORTED: {
    retryable: true,
    message: () => 'the start was interrupted',
    hint: () => 'Run `fogproof node start` again.',
  },
  NODE_NOTHING_TO_REPAIR: {
    retryable: false,
    message: (info) => `there is no database at ${info.path}`,
    hint: () => 'Give the data folder of the node with --home or FOGPROOF_HOME.',
  },
  NODE_NEWER_DATA: {
    retryable: false,
    message: (info) => `${info.what} has schema version ${info.found}; this program knows up to ${info.supported}`,
    hint: () => 'A newer fogproof wrote it: use that version or newer.',
  },
  NODE_BACKUP_RUNNING: {
    retryable: true,
    message: () => 'another backup is being written',
    hint: () => 'Wait until it has ended: one is written at a time.',
  },
  NODE_BACKUP_UNWRITABLE: {
    retryable: true,
    message: (info) => `the backup ${info.path} cannot be written: ${info.reason}`,
    hint: () => 'Name a file in a folder that the daemon may write to, and that is not there yet.',
  },
  NODE_BACKUP_UNREADABLE: {
    retryable: false,
    message: (info) => `the backup ${info.path} cannot be read: ${info.reason}`,
    hint: () => 'Check the path, and that the file may be read by you.',
  },
  NODE_BACKUP_DAMAGED: {
    retryable: false,
    message: (info) => `the backup ${info.path} is not as it was written: ${info.where}: ${info.reason}`,
    hint: () => 'Take another copy of it, or an older backup; nothing of this one was put in place.',
  },
  NODE_RESTORE_NOT_EMPTY: {
    retryable: false,
    message: (info) => `the folder ${info.home} is not empty`,
    hint: () => 'Restore into a new folder with --home; move what is there away first if it is to have its name.',
  },
  NODE_NOT_A_FOLDER: {
    retryable: false,
    message: (info) => `${info.blob} is no folder`,
    hint: () =>
      'Ids of folders begin with bafybei; `fogproof blob add FOLDER` prints them. A file is had with `fogproof blob get`.',
  },
  NODE_BAD_FOLDER: {
    retryable: false,
    message: (info) =>
      `the folder ${info.folder} cannot be used${info.path === '' ? '' : ` at '${info.path}'`}: ${info.reason}`,
    hint: () => 'Whoever made it has to make it anew; files of it can still be had one by one, by their own ids.',
  },
  NODE_FOLDER_TIMEOUT: {
    retryable: true,
    message: (info) =>
      `what is in the folder ${info.folder} did not become known within ${info.timeoutMs / 60_000} minutes`,
    hint: () => 'Lists that came are kept: ask again to go on, and name peers that have all of the folder (--from).',
  },
};

export class NodeError extends DaemonError<NodeErrorInfo> {
  constructor(info: NodeErrorInfo, options?: ErrorOptions) {
    super(NODE_ERRORS, info, options);
  }
}
