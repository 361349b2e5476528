/** Names of the inputs and outputs of a model, characters; also of what a child says of them. */
export const MAX_TENSOR_NAME_CHARS = 256;
/** Inputs and outputs of one model. */
export const MAX_MODEL_TENSORS = 256;
/** Graphs within graphs; protobuf itself reads no more than 100 messages within one another. */
export const MAX_MODEL_DEPTH = 48;
/** Fields of a model that are looked at before it is refused: some 20 ms. Models of 10,000 nodes have some 200,000. */
export const MAX_MODEL_FIELDS = 1_000_000;
/** Larger ones are hashed off the event loop: some 0.1 ms. */
export const SYNC_HASH_BYTES = 128 * 1024;
/** Memory of a child besides what its jobs are given: Node and ONNX Runtime themselves, some 130 MiB. */
export const INFERENCE_OVERHEAD_BYTES = 256 * 1024 * 1024;
/** Processes and threads of a child besides those of the model. */
export const INFERENCE_OVERHEAD_TASKS = 24;
/** How often the node looks at a child's memory and CPU time, and says that it lives. */
export const INFERENCE_BEAT_MS = 100;
/** Longest wait for a child to be ready; loading 46 MB of libraries takes a loaded machine a while. */
export const INFERENCE_START_TIMEOUT_MS = 30_000;
/** Share of a job's memory that models which are kept warm may hold when another one is loaded. */
export const WARM_MODEL_SHARE = 0.5;
/** What an entry of the result cache takes besides its arrays. */
export const CACHE_ENTRY_BYTES = 512;
/** Largest part of the result cache that the answer to one item may take. */
export const CACHE_ENTRY_SHARE = 1 / 8;
/** Elements of an output up to which a streamed line holds them. */
export const MAX_STREAMED_ELEMENTS = 64;
/** Messages of a child, as JSON. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
/** Bytes of an output that a child writes at a time. */
export const DATA_CHUNK_BYTES = 256 * 1024;
