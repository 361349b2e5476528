//! What is checked of a log account before anything in it is believed.

use crate::{
    layout::{Bytes, Key, Log, LOG_DISCRIMINATOR, LOG_VERSION},
    merkle::sha256,
};
use pinocchio::{account::RefMut, error::ProgramError, AccountView, Address};

pub const LOG_SEED: &[u8] = b"log";

/// The log in `account`. That it may be written to is not checked here: the runtime refuses changes of a read-only
/// account, and instructions that make any check it first.
pub fn load_log<'a>(program_id: &Address, account: &'a mut AccountView) -> Result<RefMut<'a, Log>, ProgramError> {
    check!("log.program", account.owned_by(program_id), WrongProgramOwner);
    let address = account.address().to_bytes();
    let data = account.try_borrow_mut()?;
    let log = some!("log.size", RefMut::filter_map(data, Log::view_mut).ok(), NotALog);
    check!("log.discriminator", log.discriminator == LOG_DISCRIMINATOR, NotALog);
    check!("log.version", log.version == LOG_VERSION, NotALog);
    check!("log.address", program_address(program_id, &log.owner, log.bump) == address, WrongAddress);
    Ok(log)
}

/// The formula behind Solana's program derived addresses. That the result is no public key, and that the bump is the
/// canonical one, was checked by `create_log`, which stores no other; here it only ties the log's owner to its address.
fn program_address(program_id: &Address, owner: &Key, bump: u8) -> Key {
    sha256(&[LOG_SEED, owner, &[bump], program_id.as_ref(), b"ProgramDerivedAddress"])
}

pub fn check_generation(log: &Log, generation: u64) -> Result<(), ProgramError> {
    check!("log.generation", log.generation.get() == generation, WrongGeneration);
    Ok(())
}
