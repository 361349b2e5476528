/** Name and version of the rewriting rules; equal across replicas, changed whenever an output byte may change. */
export const INSTRUMENTER = 'fogproof-instrument/2';

/** Bytes of one page of linear memory (WebAssembly core specification, section 4.2.8). */
export const PAGE_BYTES = 65_536;
/** Pages that 32-bit addresses can reach (core specification, section 4.2.8). */
export const MAX_PAGES = 65_536;

/** Prefix of everything that the instrumenter exports; a module that exports such a name itself is refused. */
export const RESERVED_PREFIX = 'fogproof:';
/** i64 global: fuel left. */
export const FUEL_EXPORT = 'fogproof:fuel';
/** i32 global: stack slots left. */
export const STACK_EXPORT = 'fogproof:stack';
/** The start function, which runs metered after instantiation. */
export const START_EXPORT = 'fogproof:start';
/** Followed by the index of each mutable global. */
export const GLOBAL_EXPORT_PREFIX = 'fogproof:global:';
/**
 * Followed by the index of each mutable float global of a stepping module: functions () -> bits and (bits) -> (), since
 * the JavaScript interface may change the bits of a NaN.
 */
export const READ_BITS_PREFIX = 'fogproof:read-bits:';
export const WRITE_BITS_PREFIX = 'fogproof:write-bits:';

/**
 * Stack slots (8 bytes each, roughly) that nested calls may take together. The sandbox gives the child a native stack
 * of 64 MiB: 256 bytes a slot, where the widest frames measured take 16 (docs/decisions/0001-instrumenter.md).
 */
export const STACK_SLOTS = 262_144;
/** Slots charged for a call besides its locals and operands: return address, frame pointer, instance, spills. */
export const FRAME_SLOTS = 8;
/** A function that calls nothing and needs no more than this runs without stack accounting. */
export const LEAF_FREE_SLOTS = 256;
/** A function that calls nothing, has no loop and costs no more than this leaves the fuel check to its caller. */
export const LEAF_FREE_FUEL = 256;

/** Bytes of linear memory that a bulk operation handles for one unit of fuel, as a power of two. */
export const BULK_BYTES_PER_FUEL_LOG2 = 3;
/** Fuel for one page that memory grows by: the kernel clears it. */
export const PAGE_FUEL = 256;
/** Fuel for growing memory at all: the engine maps it and makes a new buffer object. */
export const GROW_FUEL = 1000;
/** What the stack global holds when the host had no memory to give; no program reaches it. */
export const HOST_MEMORY_MARK = -2_147_483_648;

/** Largest module accepted, in bytes. CPython for WASI is 25 MB. */
export const MAX_MODULE_BYTES = 128 * 1024 * 1024;
/** Largest rewritten function body: V8's limit (kV8MaxWasmFunctionSize). */
export const MAX_BODY_BYTES = 7_654_321;
/** Most locals of a function: V8's limit of 50,000 less what the instrumenter adds. */
export const MAX_LOCALS = 49_990;
/** Entries that all tables of a module may hold together: 16 MiB of the child's heap. */
export const MAX_TABLE_ENTRIES = 1_048_576;
/** Items of one section; V8's own limits are a million (types, functions, globals, exports). */
export const MAX_SECTION_ITEMS = 1_000_000;
/** Parameters or results of one function: V8's limit (kV8MaxWasmFunctionParams). */
export const MAX_SIGNATURE = 1000;
/** Mutable globals of a stepping module: all of them are in each snapshot (domain/snapshot.ts, MAX_GLOBALS_BYTES). */
export const MAX_MUTABLE_GLOBALS = 65_536;
