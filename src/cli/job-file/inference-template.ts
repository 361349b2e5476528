/** What `job init --kind inference` writes: every field, with its default, so that nothing has to be looked up. */
export const INFERENCE_TEMPLATE = `# A job for fogproof. Check it with: fogproof job validate FILE
# Every field is explained in docs/job-spec.md and docs/inference.md; paths are relative to this file.

name: my-job

workload:
  kind: inference
  model: ./model.onnx           # weights inside: external data files are refused
  provider: cpu
  threads: 1                    # of one call
  optimization: all             # none, basic, extended or all
  deterministic: true           # kernels that do the same each time on one machine
  batching: off                 # or { maxRows: 32 }: items that do not depend on each other, in one call
  caching: false                # true: a provider may answer with what it computed before for you, and says so

inputs:                         # one item each: an array of NumPy (.npy), or a folder with one for each input of the model
  /input: ./items               # gives /output/ITEM/OUTPUT.npy

resources:                      # hard limits of one run
  memory: 512MiB                # model, arrays, and what the runtime takes to run it
  wallTime: 5m
  output: 64MiB
  logs: 1MiB                    # results are told as they come, as long as they fit

replicas: 1                     # providers that each run the whole job; their results are compared byte for byte
# quorum: 1                     # equal results needed; more than half of the replicas
# comparisons:                  # differences that replicas may have
#   - { path: /output/a/scores.npy, element: npy, absolute: "1e-6", relative: "1e-5" }
deadline: 1h                    # from submit
retries: 3                      # other providers tried when one fails
priceCeiling: 0                 # most that one run may cost, in base units; 0 is unpaid
priority: normal                # low, normal, high or critical
private: false                  # true: encrypted on every disk, handed to nobody else
`;
