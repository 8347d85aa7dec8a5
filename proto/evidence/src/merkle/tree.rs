//! A whole tree in memory, for whoever holds all records: the root at every size, and every proof.
//!
//! Must hold: the same hashes in the same order as the store's. 64 bytes a record; a million are 64 MB.

use super::{Frontier, Hashes, Head, MerkleError, leaf};
use sekisho_types::id::Digest;
use tlog_tiles::tlog::{Hash, node_hash, stored_hash_index};

/// Every hash of a tree, in the dense order.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    hashes: Vec<Digest>,
}

impl Hashes for Tree {
    fn hash(&self, index: u64) -> Option<Digest> {
        self.hashes.get(usize::try_from(index).ok()?).copied()
    }
}

impl Tree {
    /// The tree of these records.
    ///
    /// # Errors
    /// As [`Tree::push`].
    pub fn of(records: &[&[u8]]) -> Result<Self, MerkleError> {
        let mut tree = Self::default();
        records.iter().try_for_each(|record| tree.push(leaf(record)))?;
        Ok(tree)
    }

    /// Records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a record by its leaf hash ([`leaf`]).
    ///
    /// # Errors
    /// [`MerkleError::Missing`] never for a tree that was built here.
    pub fn push(&mut self, leaf: Digest) -> Result<(), MerkleError> {
        let at = self.size;
        self.hashes.push(leaf);
        let mut right = leaf;
        // Each trailing one of the index completes a subtree together with its left neighbour.
        for level in 0..at.trailing_ones() {
            let level = u8::try_from(level).map_err(|_range| MerkleError::Missing)?;
            let above = at.checked_shr(level.into()).unwrap_or(0);
            let beside = stored_hash_index(level, above.saturating_sub(1));
            let left = self.hash(beside).ok_or(MerkleError::Missing)?;
            right = Digest(node_hash(Hash(left.0), Hash(right.0)).0);
            self.hashes.push(right);
        }
        self.size = at.saturating_add(1);
        Ok(())
    }

    /// The head that the tree had at `size`.
    ///
    /// # Errors
    /// [`MerkleError::Range`] beyond the tree.
    pub fn head_at(&self, size: u64) -> Result<Head, MerkleError> {
        if size > self.size {
            return Err(MerkleError::Range { size: self.size, asked: size });
        }
        let root = Frontier::read(size, self)?.root()?;
        Ok(Head { size, root })
    }

    /// The head over all records.
    ///
    /// # Errors
    /// As [`Tree::head_at`].
    pub fn head(&self) -> Result<Head, MerkleError> {
        self.head_at(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{check_consistency, check_inclusion, prove_consistency, prove_inclusion};

    #[test]
    fn every_earlier_head_is_that_of_the_frontier_and_proofs_hold() {
        let (mut frontier, mut tree) = (Frontier::default(), Tree::default());
        let mut heads = vec![Head { size: 0, root: frontier.root().unwrap() }];
        for i in 0..70u8 {
            frontier.append(&[i]).unwrap();
            tree.push(leaf(&[i])).unwrap();
            heads.push(Head { size: frontier.size(), root: frontier.root().unwrap() });
        }
        for head in &heads {
            assert_eq!(tree.head_at(head.size), Ok(*head));
            let proof = prove_consistency(tree.size(), head.size, &tree).unwrap();
            assert_eq!(check_consistency(tree.head().unwrap(), *head, &proof), Ok(()));
        }
        let proof = prove_inclusion(70, 41, &tree).unwrap();
        let root = tree.head().unwrap().root;
        assert_eq!(check_inclusion(70, &root, 41, &[41], &proof), Ok(()));
        assert_eq!(tree.head_at(71), Err(MerkleError::Range { size: 70, asked: 71 }));
        let records: Vec<Vec<u8>> = (0..70u8).map(|i| vec![i]).collect();
        let raw: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let again = Tree::of(&raw).unwrap();
        assert_eq!(again.head(), tree.head());
    }
}
