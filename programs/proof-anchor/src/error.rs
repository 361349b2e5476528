use pinocchio::error::ProgramError;

/// Custom error codes of the program; README.md says when each is given.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum AnchorError {
    InvalidInstruction = 6000,
    NotEnoughAccounts = 6001,
    MissingSignature = 6002,
    NotWritable = 6003,
    WrongAddress = 6004,
    WrongProgramOwner = 6005,
    NotALog = 6006,
    AlreadyExists = 6007,
    NotAuthorised = 6008,
    WrongGeneration = 6009,
    SizeMismatch = 6010,
    EmptyBatch = 6011,
    LogFull = 6012,
    EntryNotInRing = 6013,
    InvalidLeafKind = 6014,
    InvalidProof = 6015,
    SameSlot = 6016,
    InvalidDestination = 6017,
}

impl From<AnchorError> for ProgramError {
    #[inline(always)]
    fn from(error: AnchorError) -> Self {
        ProgramError::Custom(error as u32)
    }
}
