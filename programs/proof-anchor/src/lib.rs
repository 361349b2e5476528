//! proof-anchor: an append-only log of Merkle roots, one account a node. README.md is its contract.
//!
//! `layout` is the bytes, `merkle` the hashing, `account` what is checked of a log before it is used, and `instructions`
//! one function for each instruction. Nothing here allocates, panics, or knows the program's own address.
#![no_std]
// The program exists on chain only; for any other target the crate is empty.
#![cfg(any(target_os = "solana", target_arch = "bpf"))]

#[macro_use]
mod check;
mod account;
mod error;
mod instructions;
mod layout;
mod merkle;

use pinocchio::{nostd_panic_handler, program_entrypoint, AccountView, Address, ProgramResult};

/// The most accounts that an instruction takes (`create_log`). More may be passed; they are not looked at.
const MAX_ACCOUNTS: usize = 4;

program_entrypoint!(process_instruction, MAX_ACCOUNTS);
nostd_panic_handler!();

/// What one call of the program was given. By reference, since functions take five registers of arguments on chain.
struct Call<'a> {
    program_id: &'a Address,
    accounts: &'a mut [AccountView],
    /// Instruction data behind the discriminator.
    args: &'a [u8],
}

fn process_instruction(program_id: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    // Data that are shorter have the discriminator of no instruction.
    let (discriminator, args) = data.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let call = &mut Call { program_id, accounts, args };
    match discriminator {
        &instructions::CREATE_LOG => instructions::create_log(call),
        &instructions::APPEND => instructions::append(call),
        &instructions::SET_DELEGATE => instructions::set_delegate(call),
        &instructions::VERIFY_RECENT => instructions::verify_recent(call),
        &instructions::VERIFY_LOGGED => instructions::verify_logged(call),
        &instructions::CLOSE_LOG => instructions::close_log(call),
        _ => refuse!("dispatch.unknown", InvalidInstruction),
    }
}
