//! RFC 6962 section 2.1 with SHA-256:
//!   leaf hash = SHA-256(0x00 ‖ data), node hash = SHA-256(0x01 ‖ left ‖ right),
//!   the left subtree of n > 1 leaves holds the largest power of two smaller than n.

use pinocchio::{error::ProgramError, syscalls::sol_sha256};

pub type Hash = [u8; 32];

/// Root of a tree without leaves: SHA-256("").
pub const EMPTY_ROOT: Hash = [
    227, 176, 196, 66, 152, 252, 28, 20, 154, 251, 244, 200, 153, 111, 185, 36, 39, 174, 65, 228, 100, 155, 147, 76,
    164, 149, 153, 27, 120, 82, 184, 85,
];

pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut digest = [0; 32];
    // SAFETY: a slice of slices has the layout that the syscall reads (pointer and length, 8 bytes each), and it writes
    // 32 bytes. It fails only above 20,000 parts.
    unsafe { sol_sha256(parts.as_ptr().cast(), parts.len() as u64, digest.as_mut_ptr()) };
    digest
}

pub fn leaf_hash(data: &[u8]) -> Hash {
    sha256(&[&[0x00], data])
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[0x01], left, right])
}

/// Adds leaf number `size` to the roots of the complete subtrees: subtrees of equal height are joined, as a carry ripples
/// through the bits of a counter. `size` + 1 must be below 2^`frontier.len()`.
pub fn append(frontier: &mut [Hash], size: u64, leaf: Hash) {
    let mut subtree = leaf;
    let mut bits = size;
    for slot in frontier {
        if bits & 1 == 0 {
            *slot = subtree;
            return;
        }
        subtree = node_hash(slot, &subtree);
        bits >>= 1;
    }
}

/// Root of a tree of `size` leaves: its complete subtrees joined from the smallest up, the larger one on the left.
pub fn root(frontier: &[Hash], size: u64) -> Hash {
    let mut joined = None;
    let mut bits = size;
    for subtree in frontier {
        if bits & 1 == 1 {
            joined = Some(match joined {
                None => *subtree,
                Some(right) => node_hash(subtree, &right),
            });
        }
        bits >>= 1;
    }
    joined.unwrap_or(EMPTY_ROOT)
}

/// Where a leaf stands in its tree.
pub struct Position {
    pub index: u64,
    pub size: u64,
}

/// The root that an inclusion path leads to from a leaf (RFC 9162 section 2.1.3.2, steps 1 to 4 and the first half of 5).
/// The caller compares it with the root that it trusts. Work ends with the tree's height, however long the path is.
pub fn root_from_path(leaf: &Hash, position: &Position, path: &[Hash]) -> Result<Hash, ProgramError> {
    check!("path.index", position.index < position.size, InvalidProof);
    let mut hash = *leaf;
    let mut node = position.index;
    let mut last = position.size - 1;
    for sibling in path {
        check!("path.too_long", last != 0, InvalidProof);
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    check!("path.too_short", last == 0, InvalidProof);
    Ok(hash)
}
