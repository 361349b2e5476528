/** What `job init` writes: every field, with its default, so that nothing has to be looked up. */
export const COMMAND_TEMPLATE = `# A job for fogproof. Check it with: fogproof job validate FILE
# Every field is explained in docs/job-spec.md; paths are relative to this file.

name: my-job

workload:
  kind: command
  root: ./root.tar.gz           # file system that the program sees, read-only: tar -C FOLDER -czf root.tar.gz .
  program: /bin/program         # in the root
  arguments: []                 # text only: put numbers in quotes
  environment: {}               # NAME: "value"
  limits:
    cpus: 1                     # processors, such as 0.5 or 2
    processes: 64               # with threads
    scratch: 64MiB              # of /tmp, and as much again of /dev/shm

inputs: {}                      # path in the job: file or folder here
#  /data.csv: ./data.csv

resources:                      # hard limits of one run; what it writes to /output is its result
  memory: 256MiB                # with all that it writes
  wallTime: 5m
  output: 64MiB
  logs: 1MiB

# checkpoints: { everyRounds: 1 }  # a training program: it can be paused, moved and go on (docs/training.md)
replicas: 1                     # providers that each run the whole job; their results are compared byte for byte
# quorum: 1                     # equal results needed; more than half of the replicas
deadline: 1h                    # from submit
retries: 3                      # other providers tried when one fails
priceCeiling: 0                 # most that one run may cost, in base units; 0 is unpaid
priority: normal                # low, normal, high or critical
private: false                  # true: encrypted on every disk, handed to nobody else
`;

export const CONTAINER_TEMPLATE = `# A job for fogproof. Check it with: fogproof job validate FILE
# Every field is explained in docs/job-spec.md; paths are relative to this file.

name: my-job

workload:
  kind: container
  image: ./image                # OCI image layout (skopeo copy docker://NAME oci:image), a tar of one, or docker save
  # reference: latest           # where the layout has several
  # digest: sha256:…            # of the manifest; another image is refused
  # entrypoint: [/bin/program]  # in place of the image's
  arguments: []                 # in place of the image's command; text only: put numbers in quotes
  environment: {}               # NAME: "value"
  limits:
    cpus: 1                     # processors, such as 0.5 or 2
    processes: 64               # with threads
    scratch: 64MiB              # of /tmp, and as much again of /dev/shm

inputs: {}                      # path in the job: file or folder here
#  /data.csv: ./data.csv

resources:                      # hard limits of one run; what it writes to /output is its result
  memory: 256MiB                # with all that it writes
  wallTime: 5m
  output: 64MiB
  logs: 1MiB

replicas: 1                     # providers that each run the whole job; their results are compared byte for byte
# quorum: 1                     # equal results needed; more than half of the replicas
deadline: 1h                    # from submit
retries: 3                      # other providers tried when one fails
priceCeiling: 0                 # most that one run may cost, in base units; 0 is unpaid
priority: normal                # low, normal, high or critical
private: false                  # true: encrypted on every disk, handed to nobody else
`;

export const WASM_TEMPLATE = `# A job for fogproof. Check it with: fogproof job validate FILE
# Every field is explained in docs/job-spec.md; paths are relative to this file.

name: my-job

workload:
  kind: wasm
  module: ./job.wasm            # the WebAssembly module to run
  abi: wasi                     # wasi: a command with _start; fogproof: fogproof_init and fogproof_step
  arguments: []                 # text only: put numbers in quotes
  environment: {}               # NAME: "value"
  # seed: 1                     # of the job's random numbers; drawn anew for each submit if absent

inputs: {}                      # path in the job: file or folder here
#  /data.csv: ./data.csv

resources:                      # hard limits of one run
  memory: 256MiB
  fuel: 10G                     # instructions, counted exactly
  wallTime: 5m
  output: 64MiB
  logs: 1MiB

# checkpoints:                  # abi fogproof has them by default; they let a job be paused, moved and replayed
#   everyFuel: 4G               # or everySteps: 100; with abi wasi everyRounds: 10; or: checkpoints: none
#   holder: 12D3KooW…           # node that is given each snapshot; absent: the one that submits
#   sealed: false               # true: encrypted; that is the default where private is true

replicas: 1                     # providers that each run the whole job
# quorum: 1                     # equal results needed; more than half of the replicas
isolation: process              # weakest that you accept: process or bubblewrap
deadline: 1h                    # from submit
retries: 3                      # other providers tried when one fails
priceCeiling: 0                 # most that one run may cost, in base units; 0 is unpaid
priority: normal                # low, normal, high or critical
private: false                  # true: encrypted on every disk, handed to nobody else
# confidential:                 # inputs and outputs are sealed; providers prove their hardware before they get the key
#   policy: ./policy.yaml       # what evidence is accepted (docs/attestation.md); module and arguments stay readable
`;
