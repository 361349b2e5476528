/**
 * What a program may call in the runtime. The loader resolves a call by the hash of its name when it runs, and accepts
 * an unknown one until then: so the names are a list, of syscalls that are active on mainnet.
 */
const SYSCALLS: readonly string[] = [
  'abort',
  'sol_alt_bn128_compression',
  'sol_alt_bn128_group_op',
  'sol_create_program_address',
  'sol_curve_group_op',
  'sol_curve_multiscalar_mul',
  'sol_curve_validate_point',
  'sol_get_clock_sysvar',
  'sol_get_epoch_rewards_sysvar',
  'sol_get_epoch_schedule_sysvar',
  'sol_get_epoch_stake',
  'sol_get_last_restart_slot',
  'sol_get_processed_sibling_instruction',
  'sol_get_rent_sysvar',
  'sol_get_return_data',
  'sol_get_stack_height',
  'sol_get_sysvar',
  'sol_invoke_signed_c',
  'sol_keccak256',
  'sol_log_',
  'sol_log_64_',
  'sol_log_compute_units_',
  'sol_log_data',
  'sol_log_pubkey',
  'sol_memcmp_',
  'sol_memcpy_',
  'sol_memmove_',
  'sol_memset_',
  'sol_panic_',
  'sol_poseidon',
  'sol_remaining_compute_units',
  'sol_secp256k1_recover',
  'sol_set_return_data',
  'sol_sha256',
  'sol_try_find_program_address',
];

const NAMES_BY_HASH: ReadonlyMap<number, string> = new Map(SYSCALLS.map((name) => [computeSyscallHash(name), name]));

const CODES_BY_NAME: ReadonlyMap<string, number> = new Map(SYSCALLS.map((name) => [name, computeSyscallHash(name)]));

/** The immediate of `call` that stands for the syscall, or undefined if programs may not call it. */
export function findSyscallHash(name: string): number | undefined {
  return CODES_BY_NAME.get(name);
}

export function findSyscallName(hash: number): string | undefined {
  return NAMES_BY_HASH.get(hash);
}

/** MurmurHash3 (x86, 32 bits, seed 0) of the name: SIMD-0178, static syscalls. */
export function computeSyscallHash(name: string): number {
  const bytes = Buffer.from(name, 'utf8');
  const whole = bytes.length & ~3;
  let hash = 0;
  for (let offset = 0; offset < whole; offset += 4) {
    hash = rotateLeft(hash ^ scramble(bytes.readInt32LE(offset)), 13);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let offset = bytes.length - 1; offset >= whole; offset -= 1) tail = (tail << 8) | (bytes[offset] ?? 0);
  hash ^= scramble(tail) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
  return Math.imul(rotateLeft(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
