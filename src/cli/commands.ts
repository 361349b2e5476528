import type { CommandEntry } from './framework/build-program.ts';

/** What stands beside each group in the help. */
export const GROUP_SUMMARIES: Readonly<Record<string, string>> = {
  network: 'networks to be in',
  node: 'the daemon on this machine',
  backup: 'copies of all that a node keeps',
  peers: 'other nodes',
  neighbours: 'peers that the VRF chose for this epoch',
  blob: 'files by what they hold',
  job: 'describe, submit and follow jobs',
  bundle: 'evidence of finished jobs',
  attest: 'evidence of confidential hardware',
  gpu: 'GPUs of this machine',
  wasm: 'WebAssembly modules, before they become jobs',
  wallet: 'what this node pays with on the chain',
  anchor: 'receipts pinned on the chain',
  audit: 'what was decided about work for others',
  reputation: 'what is known of peers, and why',
  config: 'settings and where they come from',
  help: 'topics of help',
};

/**
 * Every command, in the order of the help. Modules are loaded only when called for, which keeps the start of any command
 * to what that command needs; a test keeps the summaries equal to those of the modules.
 */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    summary: 'make an identity, its backup and a configuration',
    load: async () => (await import('./init/init.ts')).init,
  },
  {
    name: 'restore',
    summary: 'bring an identity back from its backup',
    load: async () => (await import('./restore/restore.ts')).restore,
  },
  {
    name: 'backup create',
    summary: 'write the whole data folder of the running node to one file',
    load: async () => (await import('./backup/create.ts')).backupCreate,
  },
  {
    name: 'backup verify',
    summary: 'read a backup from end to end, and check its hashes and its signature',
    load: async () => (await import('./backup/verify.ts')).backupVerify,
  },
  {
    name: 'backup restore',
    summary: 'make a data folder from a backup',
    load: async () => (await import('./backup/restore.ts')).backupRestore,
  },
  {
    name: 'doctor',
    summary: 'check what this machine can do and what is missing',
    load: async () => (await import('./doctor/doctor.ts')).doctor,
  },
  {
    name: 'network create',
    summary: 'describe a new network in a small file, and join it',
    load: async () => (await import('./network/create.ts')).networkCreate,
  },
  {
    name: 'network join',
    summary: 'make a network the one of this data folder',
    load: async () => (await import('./network/join.ts')).networkJoin,
  },
  {
    name: 'network list',
    summary: 'list the networks of this data folder',
    load: async () => (await import('./network/list.ts')).networkList,
  },
  {
    name: 'node start',
    summary: 'start the daemon',
    load: async () => (await import('./node/start.ts')).nodeStart,
  },
  {
    name: 'node stop',
    summary: 'stop the daemon and wait until it is gone',
    load: async () => (await import('./node/stop.ts')).nodeStop,
  },
  {
    name: 'node status',
    summary: 'show what the daemon is doing',
    load: async () => (await import('./node/status.ts')).nodeStatus,
  },
  {
    name: 'node logs',
    summary: 'show the log of the daemon',
    load: async () => (await import('./node/logs.ts')).nodeLogs,
  },
  {
    name: 'node why-no-work',
    summary: 'say what keeps work away from this node',
    load: async () => (await import('./node/why-no-work.ts')).nodeWhyNoWork,
  },
  {
    name: 'node drain',
    summary: 'take no new work, and let what runs come to its end',
    load: async () => (await import('./node/drain.ts')).nodeDrain,
  },
  {
    name: 'node resume',
    summary: 'take new work again after node drain or node panic',
    load: async () => (await import('./node/resume.ts')).nodeResume,
  },
  {
    name: 'node panic',
    summary: 'stop everything at once, and take no new work',
    load: async () => (await import('./node/panic.ts')).nodePanic,
  },
  {
    name: 'node repair',
    summary: 'mend a damaged database, and say what is lost',
    load: async () => (await import('./node/repair.ts')).nodeRepair,
  },
  {
    name: 'peers list',
    summary: 'list the peers that this node knows',
    isDefault: true,
    load: async () => (await import('./peers/list.ts')).peersList,
  },
  {
    name: 'peers connect',
    summary: 'dial a peer',
    load: async () => (await import('./peers/connect.ts')).peersConnect,
  },
  {
    name: 'neighbours list',
    summary: 'list the neighbours of this node, and why they are',
    isDefault: true,
    load: async () => (await import('./neighbours/list.ts')).neighboursList,
  },
  {
    name: 'neighbours verify',
    summary: 'check again why a peer is a neighbour',
    load: async () => (await import('./neighbours/verify.ts')).neighboursVerify,
  },
  {
    name: 'job init',
    summary: 'write a job file to start from',
    load: async () => (await import('./job-file/init.ts')).jobInit,
  },
  {
    name: 'job validate',
    summary: 'check a job file, and the files that it names',
    load: async () => (await import('./job-file/validate.ts')).jobValidate,
  },
  {
    name: 'job submit',
    summary: 'submit a job and follow it',
    load: async () => (await import('./job/submit.ts')).jobSubmit,
  },
  {
    name: 'job list',
    summary: 'list jobs of this node',
    load: async () => (await import('./job/list.ts')).jobList,
  },
  {
    name: 'job show',
    summary: 'show a job, its attempts and its result',
    load: async () => (await import('./job/show.ts')).jobShow,
  },
  {
    name: 'job logs',
    summary: 'show what a job prints',
    load: async () => (await import('./job/logs.ts')).jobLogs,
  },
  {
    name: 'job curves',
    summary: 'draw what a training job measures, such as its loss',
    load: async () => (await import('./job/curves/curves.ts')).jobCurves,
  },
  {
    name: 'job wait',
    summary: 'wait until a job, or every job of a batch, has ended',
    load: async () => (await import('./job/wait.ts')).jobWait,
  },
  {
    name: 'job collect',
    summary: 'come back for jobs that were submitted with --detach',
    load: async () => (await import('./job/collect.ts')).jobCollect,
  },
  {
    name: 'job result',
    summary: 'write the output files of a job',
    load: async () => (await import('./job/result.ts')).jobResult,
  },
  {
    name: 'job rate',
    summary: 'rate the providers of a job with 1 to 5 stars',
    load: async () => (await import('./job/rate.ts')).jobRate,
  },
  {
    name: 'job pause',
    summary: 'stop a job at its next checkpoint, to go on later',
    load: async () => (await import('./job/pause.ts')).jobPause,
  },
  {
    name: 'job resume',
    summary: 'go on with a paused job from its newest snapshots',
    load: async () => (await import('./job/resume.ts')).jobResume,
  },
  {
    name: 'job checkpoints',
    summary: 'list the checkpoints of a job, and which snapshots are held',
    load: async () => (await import('./job/checkpoints.ts')).jobCheckpoints,
  },
  {
    name: 'job stop',
    summary: 'stop a job for good: another name of job cancel',
    load: async () => (await import('./job/stop.ts')).jobStop,
  },
  {
    name: 'job cancel',
    summary: 'cancel a job, or all jobs of a batch',
    load: async () => (await import('./job/cancel.ts')).jobCancel,
  },
  {
    name: 'job replay',
    summary: 'run a part of a job again and compare its states',
    load: async () => (await import('./job/replay/replay.ts')).jobReplay,
  },
  {
    name: 'blob add',
    summary: 'add files, or folders of them, to the blobs of the node',
    load: async () => (await import('./blob/add.ts')).blobAdd,
  },
  {
    name: 'blob list',
    summary: 'list the blobs that are here',
    isDefault: true,
    load: async () => (await import('./blob/list.ts')).blobList,
  },
  {
    name: 'blob get',
    summary: 'write a blob to a file, or a folder of them, and fetch it first if it is not here',
    load: async () => (await import('./blob/get.ts')).blobGet,
  },
  {
    name: 'blob share',
    summary: 'make a blob public',
    load: async () => (await import('./blob/share.ts')).blobShare,
  },
  {
    name: 'blob unshare',
    summary: 'end that a blob is public',
    load: async () => (await import('./blob/share.ts')).blobUnshare,
  },
  {
    name: 'blob verify',
    summary: 'read blobs from disk and compare them with their ids',
    load: async () => (await import('./blob/verify.ts')).blobVerify,
  },
  {
    name: 'blob remove',
    summary: 'remove a blob from this node',
    load: async () => (await import('./blob/remove.ts')).blobRemove,
  },
  {
    name: 'bundle export',
    summary: 'write the evidence of a finished job to a file',
    load: async () => (await import('./bundle/export.ts')).bundleExport,
  },
  {
    name: 'bundle verify',
    summary: 'check a bundle file',
    load: async () => (await import('./bundle/verify.ts')).bundleVerify,
  },
  {
    name: 'bundle show',
    summary: 'show what is in a bundle file',
    load: async () => (await import('./bundle/show.ts')).bundleShow,
  },
  {
    name: 'attest self-test',
    summary: 'make evidence of the confidential hardware of this machine and judge it',
    isDefault: true,
    load: async () => (await import('./attest/self-test.ts')).attestSelfTest,
  },
  {
    name: 'attest verify',
    summary: 'check evidence of confidential hardware',
    load: async () => (await import('./attest/verify.ts')).attestVerify,
  },
  {
    name: 'gpu list',
    summary: 'list the GPUs of this machine, and what jobs could have of them',
    isDefault: true,
    load: async () => (await import('./gpu/list.ts')).gpuList,
  },
  {
    name: 'gpu check',
    summary: 'say what will fail with the driver, its devices and its libraries',
    load: async () => (await import('./gpu/check.ts')).gpuCheck,
  },
  {
    name: 'wasm inspect',
    summary: 'show what a module is refused for, and what is done to it before it runs',
    load: async () => (await import('./wasm/inspect.ts')).wasmInspect,
  },
  {
    name: 'wallet show',
    summary: 'show the address that pays on the chain, and what it holds',
    isDefault: true,
    load: async () => (await import('./wallet/show.ts')).walletShow,
  },
  {
    name: 'wallet airdrop',
    summary: 'get free SOL from the faucet of a local chain, devnet or testnet',
    load: async () => (await import('./wallet/airdrop.ts')).walletAirdrop,
  },
  {
    name: 'wallet export',
    summary: 'write the key of the wallet to a file that the Solana CLI reads',
    load: async () => (await import('./wallet/export.ts')).walletExport,
  },
  {
    name: 'anchor list',
    summary: 'list batches of receipts on the chain, or on their way to it',
    isDefault: true,
    load: async () => (await import('./anchor/list.ts')).anchorList,
  },
  {
    name: 'anchor flush',
    summary: 'anchor now what waits for a batch, and wait until it is final',
    load: async () => (await import('./anchor/flush.ts')).anchorFlush,
  },
  {
    name: 'anchor verify',
    summary: "have the program check on chain that a job's receipts are anchored",
    load: async () => (await import('./anchor/verify.ts')).anchorVerify,
  },
  {
    name: 'reputation show',
    summary: 'show what is known of a peer, and with --why the observations behind it',
    load: async () => (await import('./reputation/show.ts')).reputationShow,
  },
  {
    name: 'reputation list',
    summary: 'list the peers of whom anything is known, best first',
    isDefault: true,
    load: async () => (await import('./reputation/list.ts')).reputationList,
  },
  {
    name: 'audit show',
    summary: 'show what was decided about work for others',
    isDefault: true,
    load: async () => (await import('./audit/show.ts')).auditShow,
  },
  {
    name: 'audit verify',
    summary: 'check that nothing in the audit log was changed or taken out',
    load: async () => (await import('./audit/verify.ts')).auditVerify,
  },
  {
    name: 'localnet',
    summary: 'run a local chain that speaks the Solana API',
    load: async () => (await import('./localnet/localnet.ts')).localnet,
  },
  {
    name: 'config print',
    summary: 'show every setting, its value and where it comes from',
    load: async () => (await import('./config/print.ts')).configPrint,
  },
  {
    name: 'help exit-codes',
    summary: 'what the exit codes mean',
    load: async () => (await import('./help/exit-codes.ts')).helpExitCodes,
  },
];
