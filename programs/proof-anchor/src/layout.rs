//! Bytes of the account, of the instructions and of the event. Every type here consists of bytes alone, so that it has
//! alignment 1, no padding and no invalid value, and reads like the tables of README.md.

use crate::merkle::Hash;

/// # Safety
/// The type must have alignment 1, no padding, and be valid whatever its bytes are.
pub unsafe trait Bytes: Sized {
    /// None unless `bytes` has exactly the size of the type.
    #[inline(always)]
    fn view(bytes: &[u8]) -> Option<&Self> {
        const { assert!(align_of::<Self>() == 1) };
        if bytes.len() != size_of::<Self>() {
            return None;
        }
        // SAFETY: the size was compared, the alignment is 1, and every bit pattern is valid by the trait's contract.
        Some(unsafe { &*bytes.as_ptr().cast::<Self>() })
    }

    /// None unless `bytes` has exactly the size of the type.
    #[inline(always)]
    fn view_mut(bytes: &mut [u8]) -> Option<&mut Self> {
        const { assert!(align_of::<Self>() == 1) };
        if bytes.len() != size_of::<Self>() {
            return None;
        }
        // SAFETY: as in `view`; the borrow of `bytes` is exclusive.
        Some(unsafe { &mut *bytes.as_mut_ptr().cast::<Self>() })
    }

    /// The type from the front of `bytes`, and what follows it. None if `bytes` is shorter.
    #[inline(always)]
    fn split(bytes: &[u8]) -> Option<(&Self, &[u8])> {
        let (head, rest) = bytes.split_at_checked(size_of::<Self>())?;
        Some((Self::view(head)?, rest))
    }

    #[inline(always)]
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: there is no padding by the trait's contract, so all bytes are initialised.
        unsafe { core::slice::from_raw_parts((self as *const Self).cast(), size_of::<Self>()) }
    }
}

/// Unsigned 64-bit integer, little-endian, at any address.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct U64([u8; 8]);

impl U64 {
    #[inline(always)]
    pub fn new(value: u64) -> Self {
        Self(value.to_le_bytes())
    }

    #[inline(always)]
    pub fn get(&self) -> u64 {
        u64::from_le_bytes(self.0)
    }
}

/// Signed 64-bit integer, little-endian, at any address.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct I64([u8; 8]);

impl I64 {
    #[inline(always)]
    pub fn new(value: i64) -> Self {
        Self(value.to_le_bytes())
    }
}

pub type Discriminator = [u8; 8];
pub type Key = [u8; 32];

pub const NO_DELEGATE: Key = [0; 32];

/// SHA-256("account:Log")[0..8]
pub const LOG_DISCRIMINATOR: Discriminator = [237, 13, 143, 41, 50, 68, 106, 125];
pub const LOG_VERSION: u8 = 1;
pub const FRONTIER_LEVELS: usize = 40;
pub const RING_ENTRIES: usize = 64;

#[repr(C)]
pub struct Log {
    pub discriminator: Discriminator,
    pub version: u8,
    pub bump: u8,
    pub reserved: [u8; 6],
    pub owner: Key,
    pub delegate: Key,
    pub generation: U64,
    pub size: U64,
    pub head: Hash,
    pub frontier: [Hash; FRONTIER_LEVELS],
    pub ring: [RingEntry; RING_ENTRIES],
}

#[repr(C)]
pub struct RingEntry {
    pub batch_root: Hash,
    pub batch_size: U64,
    pub slot: U64,
    pub unix_time: I64,
}

#[repr(C)]
pub struct AppendArgs {
    pub generation: U64,
    pub expected_size: U64,
    pub batch_root: Hash,
    pub batch_size: U64,
}

#[repr(C)]
pub struct SetDelegateArgs {
    pub delegate: Key,
}

#[repr(C)]
pub struct CloseArgs {
    pub generation: U64,
}

/// What `verify_recent` and `verify_logged` begin with.
#[repr(C)]
pub struct LeafArgs {
    pub generation: U64,
    pub entry: U64,
    pub leaf: BatchLeaf,
    pub leaf_index: U64,
}

/// Data of a leaf of a batch.
#[repr(C)]
pub struct BatchLeaf {
    pub kind: u8,
    pub digest: [u8; 32],
}

/// Data of a leaf of the log.
#[repr(C)]
pub struct LogLeaf {
    pub domain: [u8; 17],
    pub batch_root: Hash,
    pub batch_size: U64,
}

pub const LOG_LEAF_DOMAIN: [u8; 17] = *b"fogproof/anchor@1";

/// SHA-256("event:Appended")[0..8]
pub const APPENDED_DISCRIMINATOR: Discriminator = [239, 219, 62, 30, 214, 168, 93, 16];

#[repr(C)]
pub struct Appended {
    pub discriminator: Discriminator,
    pub log: Key,
    pub authority: Key,
    pub generation: U64,
    pub entry: U64,
    pub batch_root: Hash,
    pub batch_size: U64,
    pub head: Hash,
}

#[repr(C)]
pub struct EntryTime {
    pub slot: U64,
    pub unix_time: I64,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<RingEntry>() == 56);
    assert!(size_of::<Log>() == 4992);
    assert!(offset_of!(Log, owner) == 16);
    assert!(offset_of!(Log, delegate) == 48);
    assert!(offset_of!(Log, generation) == 80);
    assert!(offset_of!(Log, size) == 88);
    assert!(offset_of!(Log, head) == 96);
    assert!(offset_of!(Log, frontier) == 128);
    assert!(offset_of!(Log, ring) == 1408);
    assert!(size_of::<BatchLeaf>() == 33);
    assert!(size_of::<LogLeaf>() == 57);
};

// SAFETY: each is repr(C) or repr(transparent), and of bytes and byte arrays alone.
unsafe impl Bytes for Log {}
unsafe impl Bytes for AppendArgs {}
unsafe impl Bytes for SetDelegateArgs {}
unsafe impl Bytes for CloseArgs {}
unsafe impl Bytes for LeafArgs {}
unsafe impl Bytes for BatchLeaf {}
unsafe impl Bytes for LogLeaf {}
unsafe impl Bytes for Appended {}
unsafe impl Bytes for EntryTime {}
unsafe impl Bytes for U64 {}
