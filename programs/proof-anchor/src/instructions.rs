//! One function for each instruction, in the order of README.md. Accounts first, then data, then what the log says; a log
//! changes only after the last check.

use crate::{
    account::{check_generation, load_log, LOG_SEED},
    layout::{
        AppendArgs, Appended, BatchLeaf, Bytes, CloseArgs, Discriminator, EntryTime, LeafArgs, Log, LogLeaf, RingEntry,
        SetDelegateArgs, APPENDED_DISCRIMINATOR, FRONTIER_LEVELS, I64, LOG_DISCRIMINATOR, LOG_LEAF_DOMAIN, LOG_VERSION,
        NO_DELEGATE, RING_ENTRIES, U64,
    },
    merkle::{self, Hash, Position},
    Call,
};
use pinocchio::{
    cpi::{set_return_data, Seed, Signer},
    error::ProgramError,
    syscalls::sol_log_data,
    sysvars::{clock::Clock, Sysvar},
    Address, ProgramResult,
};
use pinocchio_system::create_account_with_minimum_balance_signed;

/// SHA-256("global:create_log")[0..8], and so on.
pub const CREATE_LOG: Discriminator = [215, 95, 248, 114, 153, 204, 208, 48];
pub const APPEND: Discriminator = [149, 120, 18, 222, 236, 225, 88, 203];
pub const SET_DELEGATE: Discriminator = [242, 30, 46, 76, 108, 235, 128, 181];
pub const VERIFY_RECENT: Discriminator = [108, 112, 26, 19, 137, 31, 80, 7];
pub const VERIFY_LOGGED: Discriminator = [119, 199, 173, 121, 101, 32, 168, 157];
pub const CLOSE_LOG: Discriminator = [70, 179, 241, 79, 9, 76, 97, 124];

const MAX_BATCH_SIZE: u64 = 1 << 32;
/// One entry more would need a subtree of 2^40 leaves, for which the frontier has no place.
const MAX_ENTRIES: u64 = (1 << FRONTIER_LEVELS) - 1;

/// Leaf kinds of a batch.
const RECEIPT: u8 = 1;
const CHECKPOINT: u8 = 2;

#[inline(never)]
pub fn create_log(call: &mut Call) -> ProgramResult {
    let [payer, owner, log_account, system_program] =
        some!("create_log.accounts", call.accounts.first_chunk_mut(), NotEnoughAccounts);
    check!("create_log.length", call.args.is_empty(), InvalidInstruction);
    check!("create_log.payer_signed", payer.is_signer(), MissingSignature);
    check!("create_log.owner_signed", owner.is_signer(), MissingSignature);
    check!("create_log.payer_writable", payer.is_writable(), NotWritable);
    check!("create_log.log_writable", log_account.is_writable(), NotWritable);
    check!("create_log.system_program", *system_program.address() == pinocchio_system::ID, WrongAddress);
    let owner_key = owner.address().to_bytes();
    let (derived, bump) = Address::try_find_program_address(&[LOG_SEED, &owner_key], call.program_id)
        .ok_or(ProgramError::InvalidSeeds)?;
    check!("create_log.address", derived == *log_account.address(), WrongAddress);
    check!("create_log.free", log_account.owned_by(&pinocchio_system::ID), AlreadyExists);

    let bump_seed = [bump];
    let seeds = [Seed::from(LOG_SEED), Seed::from(&owner_key), Seed::from(&bump_seed)];
    // Takes over an address that somebody sent lamports to, so that nobody can block it.
    create_account_with_minimum_balance_signed(
        log_account,
        size_of::<Log>(),
        call.program_id,
        payer,
        None,
        &[Signer::from(&seeds)],
    )?;

    let generation = Clock::get()?.slot;
    let mut data = log_account.try_borrow_mut()?;
    let log = Log::view_mut(&mut data).ok_or(ProgramError::InvalidAccountData)?;
    // New accounts are zeroed by the runtime.
    log.discriminator = LOG_DISCRIMINATOR;
    log.version = LOG_VERSION;
    log.bump = bump;
    log.owner = owner_key;
    log.generation = U64::new(generation);
    log.head = merkle::EMPTY_ROOT;
    Ok(())
}

#[inline(never)]
pub fn append(call: &mut Call) -> ProgramResult {
    let [authority, log_account] = some!("append.accounts", call.accounts.first_chunk_mut(), NotEnoughAccounts);
    let args = some!("append.length", AppendArgs::view(call.args), InvalidInstruction);
    check!("append.signed", authority.is_signer(), MissingSignature);
    check!("append.writable", log_account.is_writable(), NotWritable);
    let log_key = log_account.address().to_bytes();
    let authority_key = authority.address().to_bytes();
    let mut log = load_log(call.program_id, log_account)?;
    // Zeros stand for no delegate; they are also the address of the system program, for which nobody holds a key.
    check!("append.nobody", authority_key != NO_DELEGATE, NotAuthorised);
    check!("append.authority", authority_key == log.owner || authority_key == log.delegate, NotAuthorised);
    check_generation(&log, args.generation.get())?;
    let entry = log.size.get();
    check!("append.expected_size", args.expected_size.get() == entry, SizeMismatch);
    check!("append.batch_not_empty", args.batch_size.get() != 0, EmptyBatch);
    check!("append.batch_size", args.batch_size.get() <= MAX_BATCH_SIZE, EmptyBatch);
    check!("append.full", entry < MAX_ENTRIES, LogFull);

    let clock = Clock::get()?;
    let size = entry + 1;
    merkle::append(&mut log.frontier, entry, log_leaf_hash(&args.batch_root, args.batch_size));
    log.head = merkle::root(&log.frontier, size);
    log.size = U64::new(size);
    log.ring[ring_index(entry)] = RingEntry {
        batch_root: args.batch_root,
        batch_size: args.batch_size,
        slot: U64::new(clock.slot),
        unix_time: I64::new(clock.unix_timestamp),
    };
    emit(&Appended {
        discriminator: APPENDED_DISCRIMINATOR,
        log: log_key,
        authority: authority_key,
        generation: log.generation,
        entry: U64::new(entry),
        batch_root: args.batch_root,
        batch_size: args.batch_size,
        head: log.head,
    });
    Ok(())
}

#[inline(never)]
pub fn set_delegate(call: &mut Call) -> ProgramResult {
    let [owner, log_account] = some!("set_delegate.accounts", call.accounts.first_chunk_mut(), NotEnoughAccounts);
    let args = some!("set_delegate.length", SetDelegateArgs::view(call.args), InvalidInstruction);
    check!("set_delegate.signed", owner.is_signer(), MissingSignature);
    check!("set_delegate.writable", log_account.is_writable(), NotWritable);
    let mut log = load_log(call.program_id, log_account)?;
    check!("set_delegate.owner", owner.address().to_bytes() == log.owner, NotAuthorised);

    log.delegate = args.delegate;
    Ok(())
}

#[inline(never)]
pub fn verify_recent(call: &mut Call) -> ProgramResult {
    let [log_account] = some!("verify_recent.accounts", call.accounts.first_chunk_mut(), NotEnoughAccounts);
    let length = size_of::<LeafArgs>() + path_bytes(call.args, size_of::<LeafArgs>());
    check!("verify_recent.length", call.args.len() == length, InvalidInstruction);
    let (args, rest) = LeafArgs::split(call.args).ok_or(ProgramError::InvalidInstructionData)?;
    let (path, _) = split_path(rest).ok_or(ProgramError::InvalidInstructionData)?;
    let log = load_log(call.program_id, log_account)?;
    check_generation(&log, args.generation.get())?;
    let (entry, size) = (args.entry.get(), log.size.get());
    check!("verify_recent.not_there_yet", entry < size, EntryNotInRing);
    check!("verify_recent.left_the_ring", size - entry <= RING_ENTRIES as u64, EntryNotInRing);
    let anchored = &log.ring[ring_index(entry)];
    let root = batch_root_from_path(args, anchored.batch_size, path)?;
    check!("verify_recent.root", root == anchored.batch_root, InvalidProof);

    set_return_data(EntryTime { slot: anchored.slot, unix_time: anchored.unix_time }.as_bytes());
    Ok(())
}

#[inline(never)]
pub fn verify_logged(call: &mut Call) -> ProgramResult {
    let [log_account] = some!("verify_logged.accounts", call.accounts.first_chunk_mut(), NotEnoughAccounts);
    let paths = size_of::<LeafArgs>() + size_of::<U64>();
    let log_path = paths + path_bytes(call.args, paths);
    let length = log_path + path_bytes(call.args, log_path);
    check!("verify_logged.length", call.args.len() == length, InvalidInstruction);
    let (args, rest) = LeafArgs::split(call.args).ok_or(ProgramError::InvalidInstructionData)?;
    let (batch_size, rest) = U64::split(rest).ok_or(ProgramError::InvalidInstructionData)?;
    let (path, rest) = split_path(rest).ok_or(ProgramError::InvalidInstructionData)?;
    let (log_path, _) = split_path(rest).ok_or(ProgramError::InvalidInstructionData)?;
    let log = load_log(call.program_id, log_account)?;
    check_generation(&log, args.generation.get())?;
    let (entry, size) = (args.entry.get(), log.size.get());
    check!("verify_logged.not_there_yet", entry < size, EntryNotInRing);
    // The batch size is the caller's word until the head confirms it: the leaf of the log is made of root and size.
    let batch_root = batch_root_from_path(args, *batch_size, path)?;
    let leaf = log_leaf_hash(&batch_root, *batch_size);
    let head = merkle::root_from_path(&leaf, &Position { index: entry, size }, log_path)?;
    check!("verify_logged.head", head == log.head, InvalidProof);
    Ok(())
}

#[inline(never)]
pub fn close_log(call: &mut Call) -> ProgramResult {
    let [owner, log_account, destination] =
        some!("close_log.accounts", call.accounts.first_chunk_mut(), NotEnoughAccounts);
    let args = some!("close_log.length", CloseArgs::view(call.args), InvalidInstruction);
    check!("close_log.signed", owner.is_signer(), MissingSignature);
    check!("close_log.log_writable", log_account.is_writable(), NotWritable);
    check!("close_log.destination_writable", destination.is_writable(), NotWritable);
    check!("close_log.destination", destination.address() != log_account.address(), InvalidDestination);
    let log = load_log(call.program_id, log_account)?;
    check!("close_log.owner", owner.address().to_bytes() == log.owner, NotAuthorised);
    check_generation(&log, args.generation.get())?;
    // A log made anew in the slot in which it was closed would have the same generation.
    check!("close_log.slot", Clock::get()?.slot > log.generation.get(), SameSlot);
    drop(log);
    let lamports =
        some!("close_log.lamports", destination.lamports().checked_add(log_account.lamports()), InvalidDestination);

    destination.set_lamports(lamports);
    log_account.set_lamports(0);
    log_account.close()
}

fn ring_index(entry: u64) -> usize {
    entry as usize % RING_ENTRIES
}

fn log_leaf_hash(batch_root: &Hash, batch_size: U64) -> Hash {
    let leaf = LogLeaf { domain: LOG_LEAF_DOMAIN, batch_root: *batch_root, batch_size };
    merkle::leaf_hash(leaf.as_bytes())
}

fn batch_root_from_path(args: &LeafArgs, batch_size: U64, path: &[Hash]) -> Result<Hash, ProgramError> {
    let BatchLeaf { kind, .. } = args.leaf;
    check!("leaf.kind", kind == RECEIPT || kind == CHECKPOINT, InvalidLeafKind);
    let position = Position { index: args.leaf_index.get(), size: batch_size.get() };
    merkle::root_from_path(&merkle::leaf_hash(args.leaf.as_bytes()), &position, path)
}

/// Bytes of a path (u32 n, then n hashes) that begins at `offset`. One whose count is cut off has the length of an empty
/// one, which the data are too short for.
fn path_bytes(data: &[u8], offset: usize) -> usize {
    let count = data.get(offset..).and_then(|path| path.first_chunk()).map_or(0, |count| u32::from_le_bytes(*count));
    size_of::<u32>() + count as usize * size_of::<Hash>()
}

fn split_path(data: &[u8]) -> Option<(&[Hash], &[u8])> {
    let (path, rest) = data.split_at_checked(path_bytes(data, 0))?;
    Some((path.get(size_of::<u32>()..)?.as_chunks().0, rest))
}

fn emit(event: &Appended) {
    let fields: [&[u8]; 1] = [event.as_bytes()];
    // SAFETY: a slice of slices has the layout that the syscall reads (pointer and length, 8 bytes each).
    unsafe { sol_log_data(fields.as_ptr().cast(), fields.len() as u64) };
}
