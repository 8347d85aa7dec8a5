//! The audit log's Merkle tree (RFC 6962, section 2.1) over `tlog_tiles`.
//!
//! Must hold: A1. The state keeps only the [`Frontier`], the roots of the complete subtrees; interior hashes go to
//! the store in the dense order of `tlog_tiles` and are read back through [`Hashes`] for proofs.

mod tree;

pub use tree::Tree;

use sekisho_types::id::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tlog_tiles::tlog::{self, Hash, HashReader};

/// A proof does not hold, or a needed hash is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The proof does not lead to the stated root.
    #[error("the Merkle proof does not verify")]
    BadProof,
    /// Asked for a record or size beyond the tree.
    #[error("the log has {size} records; {asked} was asked for")]
    Range {
        /// Records in the tree.
        size: u64,
        /// What was asked.
        asked: u64,
    },
    /// The store lacks an interior hash.
    #[error("an interior hash is missing")]
    Missing,
}

/// Longest proof that is parsed: a tree of 2^64 records has paths of 64 hashes, consistency proofs one more.
pub const PROOF_MAX: usize = 65;

/// The right edge of the tree: everything needed to append and to compute the root.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    roots: BTreeMap<u64, Digest>,
}

/// Interior hashes that one appended record completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The record's index.
    pub record: u64,
    /// Index of the first hash in the dense order.
    pub first_hash: u64,
    /// The hashes, consecutive from there.
    pub hashes: Vec<Digest>,
}

/// Reads interior hashes by dense index.
pub trait Hashes {
    /// The hash at `index`, or `None` if it is not held.
    fn hash(&self, index: u64) -> Option<Digest>;
}

impl<F: Fn(u64) -> Option<Digest>> Hashes for F {
    fn hash(&self, index: u64) -> Option<Digest> {
        self(index)
    }
}

pub(crate) struct Reader<'h, H: ?Sized>(pub(crate) &'h H);

impl<H: Hashes + ?Sized> HashReader for Reader<'_, H> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let found: Option<Vec<Hash>> =
            indexes.iter().map(|i| self.0.hash(*i).map(|d| Hash(d.0))).collect();
        found.ok_or(tlog::Error::InvalidTile)
    }
}

impl Hashes for BTreeMap<u64, Digest> {
    fn hash(&self, index: u64) -> Option<Digest> {
        self.get(&index).copied()
    }
}

impl Frontier {
    /// The frontier of the first `size` records of a tree whose hashes are at hand.
    ///
    /// # Errors
    /// [`MerkleError::Missing`].
    pub fn read<H: Hashes + ?Sized>(size: u64, hashes: &H) -> Result<Self, MerkleError> {
        let indexes = tlog::sub_tree_index(0, size, Vec::new()).into_iter();
        let roots = indexes.map(|index| Some((index, hashes.hash(index)?)));
        let roots = roots.collect::<Option<_>>().ok_or(MerkleError::Missing)?;
        Ok(Self { size, roots })
    }

    /// Number of records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the complete subtrees, by dense index: what a store needs to prove records that follow.
    pub fn roots(&self) -> impl Iterator<Item = (u64, Digest)> {
        self.roots.iter().map(|(index, root)| (*index, *root))
    }

    /// Appends one record.
    ///
    /// # Errors
    /// [`MerkleError::Missing`] only if the frontier was decoded from damaged bytes.
    pub fn append(&mut self, record: &[u8]) -> Result<Appended, MerkleError> {
        let at = self.size;
        let hashes = tlog::stored_hashes(at, record, &Reader(&self.roots))
            .map_err(|_read| MerkleError::Missing)?;
        let first_hash = tlog::stored_hash_index(0, at);
        let hashes: Vec<Digest> = hashes.into_iter().map(|h| Digest(h.0)).collect();
        for (index, hash) in (first_hash..).zip(&hashes) {
            self.roots.insert(index, *hash);
        }
        self.size = at.saturating_add(1);
        let keep = tlog::sub_tree_index(0, self.size, Vec::new());
        self.roots.retain(|index, _| keep.contains(index));
        Ok(Appended { record: at, first_hash, hashes })
    }

    /// The root over all records.
    ///
    /// # Errors
    /// [`MerkleError::Missing`] only if the frontier was decoded from damaged bytes.
    pub fn root(&self) -> Result<Digest, MerkleError> {
        let root = tlog::tree_hash(self.size, &Reader(&self.roots))
            .map_err(|_read| MerkleError::Missing)?;
        Ok(Digest(root.0))
    }
}

/// Leaf hash of a record.
#[must_use]
pub fn leaf(record: &[u8]) -> Digest {
    Digest(tlog::record_hash(record).0)
}

/// Proves that record `index` is in the tree of `size` records.
///
/// # Errors
/// [`MerkleError::Range`] beyond the tree, [`MerkleError::Missing`] if the store lacks a hash.
pub fn prove_inclusion<H: Hashes + ?Sized>(
    size: u64,
    index: u64,
    hashes: &H,
) -> Result<Vec<Digest>, MerkleError> {
    if index >= size {
        return Err(MerkleError::Range { size, asked: index });
    }
    let proof =
        tlog::prove_record(size, index, &Reader(hashes)).map_err(|_read| MerkleError::Missing)?;
    Ok(proof.iter().map(|h| Digest(h.0)).collect())
}

/// Checks an inclusion proof of `record` at `index`.
///
/// # Errors
/// [`MerkleError::BadProof`] if it does not lead to `root`.
pub fn check_inclusion(
    size: u64,
    root: &Digest,
    index: u64,
    record: &[u8],
    proof: &[Digest],
) -> Result<(), MerkleError> {
    if proof.len() > PROOF_MAX || index >= size {
        return Err(MerkleError::BadProof);
    }
    let path = proof.iter().map(|d| Hash(d.0)).collect();
    tlog::check_record(&path, size, Hash(root.0), index, tlog::record_hash(record))
        .map_err(|_mismatch| MerkleError::BadProof)
}

/// Proves that the tree of `size` records begins with the tree of `old` records.
///
/// # Errors
/// As [`prove_inclusion`].
pub fn prove_consistency<H: Hashes + ?Sized>(
    size: u64,
    old: u64,
    hashes: &H,
) -> Result<Vec<Digest>, MerkleError> {
    if old > size {
        return Err(MerkleError::Range { size, asked: old });
    }
    // Every tree begins with the empty one, and with itself.
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    let proof =
        tlog::prove_tree(size, old, &Reader(hashes)).map_err(|_read| MerkleError::Missing)?;
    Ok(proof.iter().map(|h| Digest(h.0)).collect())
}

/// A tree head: how many records, and the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Records.
    pub size: u64,
    /// Root hash.
    pub root: Digest,
}

/// Checks that `new` extends `old` (A1).
///
/// # Errors
/// [`MerkleError::BadProof`] if it does not, or cannot be shown to.
pub fn check_consistency(new: Head, old: Head, proof: &[Digest]) -> Result<(), MerkleError> {
    if old.size > new.size || proof.len() > PROOF_MAX {
        return Err(MerkleError::BadProof);
    }
    if old.size == new.size {
        return if old.root == new.root { Ok(()) } else { Err(MerkleError::BadProof) };
    }
    if old.size == 0 {
        return if old.root == Digest::of(&[]) { Ok(()) } else { Err(MerkleError::BadProof) };
    }
    let path = proof.iter().map(|d| Hash(d.0)).collect();
    tlog::check_tree(&path, new.size, Hash(new.root.0), old.size, Hash(old.root.0))
        .map_err(|_mismatch| MerkleError::BadProof)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of `n` records with all hashes kept, and the head after each record.
    fn log(n: u8) -> (BTreeMap<u64, Digest>, Vec<Head>) {
        let (mut frontier, mut stored) = (Frontier::default(), BTreeMap::new());
        let mut heads = vec![Head { size: 0, root: frontier.root().unwrap() }];
        for i in 0..n {
            let appended = frontier.append(&[i]).unwrap();
            stored.extend((appended.first_hash..).zip(appended.hashes));
            heads.push(Head { size: frontier.size(), root: frontier.root().unwrap() });
        }
        (stored, heads)
    }

    #[test]
    fn every_record_is_provable_in_every_head_and_no_other_record_is() {
        let (stored, heads) = log(40);
        for head in &heads[1..] {
            for index in 0..head.size {
                let proof = prove_inclusion(head.size, index, &stored).unwrap();
                let record = [u8::try_from(index).unwrap()];
                assert_eq!(check_inclusion(head.size, &head.root, index, &record, &proof), Ok(()));
                let forged = check_inclusion(head.size, &head.root, index, b"forged", &proof);
                assert_eq!(forged, Err(MerkleError::BadProof));
            }
        }
        assert_eq!(prove_inclusion(3, 3, &stored), Err(MerkleError::Range { size: 3, asked: 3 }));
    }

    #[test]
    fn heads_of_one_history_are_consistent_and_a_fork_is_not() {
        let (stored, heads) = log(40);
        for new in &heads {
            for old in heads.iter().filter(|old| old.size <= new.size) {
                let proof = prove_consistency(new.size, old.size, &stored).unwrap();
                assert_eq!(check_consistency(*new, *old, &proof), Ok(()), "{old:?} {new:?}");
                let fork = Head { root: Digest([9; 32]), ..*old };
                assert_eq!(check_consistency(*new, fork, &proof), Err(MerkleError::BadProof));
            }
        }
        assert_eq!(check_consistency(heads[3], heads[5], &[]), Err(MerkleError::BadProof));
    }

    #[test]
    fn the_roots_suffice_to_prove_what_follows() {
        let mut frontier = Frontier::default();
        for i in 0..21u8 {
            frontier.append(&[i]).unwrap();
        }
        let mut stored: BTreeMap<u64, Digest> = frontier.roots().collect();
        for i in 21..60u8 {
            let appended = frontier.append(&[i]).unwrap();
            stored.extend((appended.first_hash..).zip(appended.hashes));
            let (size, root) = (frontier.size(), frontier.root().unwrap());
            for index in 21..=i {
                let proof = prove_inclusion(size, index.into(), &stored).unwrap();
                assert_eq!(check_inclusion(size, &root, index.into(), &[index], &proof), Ok(()));
            }
        }
    }

    #[test]
    fn the_empty_root_is_that_of_rfc_6962() {
        assert_eq!(Frontier::default().root(), Ok(Digest::of(&[])));
    }
}
