//! Several commands under one signature: a Merkle tree over their bytes (RFC 6962, section 2.1), whose root is signed.
//!
//! Must hold: A3, D4. Who holds one command of a batch and its [`Place`] can tell that it was signed, without the others.
//! A digest of a batch is none of a single command: its bytes begin with the number that no single command has.
//! Does not hold: that the rest of the batch is known or took effect; apply does all of it or nothing.

use crate::canonical::{CanonicalError, encode};
use crate::merkle::{MerkleError, check_inclusion, leaf};
use sekisho_types::id::Digest;
use serde::{Deserialize, Serialize};
use tlog_tiles::tlog::{Hash, node_hash};

/// Number of the state machine's command `Batch`. Commands are append-only, so it never moves; a test beside them holds
/// the two together.
pub const BATCH: u32 = 27;

/// Commands of a batch at most: what etcd takes in one transaction by default; with specs of ordinary jobs it fits half
/// an entry.
pub const ITEMS_MAX: usize = 128;

/// The tree over the commands of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Hashes of the commands first, the root alone last. A level of odd length passes its last hash on as it is, which
    /// is how RFC 6962 splits.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Over the canonical bytes of each command, in order. The tree over none has no root, and stands for no batch.
    pub fn of(items: impl IntoIterator<Item: AsRef<[u8]>>) -> Self {
        let mut level: Vec<Digest> = items.into_iter().map(|item| leaf(item.as_ref())).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(2).filter_map(|pair| match pair {
                [left, right] => Some(Digest(node_hash(Hash(left.0), Hash(right.0)).0)),
                [last] => Some(*last),
                _ => None,
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    fn size(&self) -> u32 {
        u32::try_from(self.levels.first().map_or(0, Vec::len)).unwrap_or(u32::MAX)
    }

    fn root(&self) -> Digest {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_else(|| Digest::of(&[]))
    }

    /// What a signature under the batch binds, where one under a single command binds the SHA-256 of its bytes.
    ///
    /// # Errors
    /// Never for these types; see [`encode`].
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        digest(self.size(), &self.root())
    }

    /// Where command `index` stands; `None` beyond the last.
    #[must_use]
    pub fn place(&self, index: u32) -> Option<Place> {
        if index >= self.size() {
            return None;
        }
        let mut at = usize::try_from(index).ok()?;
        let mut path = Vec::new();
        for level in &self.levels {
            path.extend(level.get(at ^ 1).filter(|_| level.len() > 1));
            at >>= 1;
        }
        Some(Place { index, size: self.size(), root: self.root(), path })
    }
}

fn digest(size: u32, root: &Digest) -> Result<Digest, CanonicalError> {
    Ok(Digest::of(&encode(&(BATCH, size, root))?))
}

/// Where one command stands in its batch, and the way from it to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Counted from zero.
    pub index: u32,
    /// Commands of the batch.
    pub size: u32,
    /// Over all of them.
    pub root: Digest,
    /// Hashes beside the way, the lowest first.
    pub path: Vec<Digest>,
}

/// The command is not at that place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// More commands than a batch may have.
    #[error("a batch of {0} commands, at most {ITEMS_MAX} are taken")]
    Size(u32),
    /// The way does not lead to the root.
    #[error("the command is not where the batch is said to have it")]
    Path(#[from] MerkleError),
    /// See [`encode`].
    #[error("the batch does not encode")]
    Encode(#[from] CanonicalError),
}

impl Place {
    /// What a signature under the batch binds, if it has the command with these canonical bytes here.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn digest(&self, item: &[u8]) -> Result<Digest, PlaceError> {
        if usize::try_from(self.size).is_ok_and(|size| size > ITEMS_MAX) {
            return Err(PlaceError::Size(self.size));
        }
        check_inclusion(self.size.into(), &self.root, self.index.into(), item, &self.path)?;
        Ok(digest(self.size, &self.root)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Frontier, prove_inclusion};
    use std::collections::BTreeMap;

    fn items(n: usize) -> Vec<Vec<u8>> {
        (0..n).map(|n| format!("command {n}").into_bytes()).collect()
    }

    fn tree(items: &[Vec<u8>]) -> Tree {
        Tree::of(items)
    }

    #[test]
    fn the_tree_is_that_of_the_audit_log() {
        let (mut frontier, mut stored) = (Frontier::default(), BTreeMap::new());
        let all = items(ITEMS_MAX);
        assert_eq!(tree(&[]).place(0), None);
        for n in 1..=ITEMS_MAX {
            let appended = frontier.append(&all[n - 1]).unwrap();
            stored.extend((appended.first_hash..).zip(appended.hashes));
            let tree = tree(&all[..n]);
            assert_eq!(tree.root(), frontier.root().unwrap(), "{n}");
            for index in [0, n / 3, n / 2, n - 1] {
                let (at, size) = (u64::try_from(index).unwrap(), u64::try_from(n).unwrap());
                let place = tree.place(u32::try_from(index).unwrap()).unwrap();
                assert_eq!(place.path, prove_inclusion(size, at, &stored).unwrap(), "{n} {index}");
            }
            assert_eq!(tree.place(u32::try_from(n).unwrap()), None);
        }
    }

    #[test]
    fn a_command_proves_its_place_and_no_other() {
        for n in [1, 2, 5, 64, ITEMS_MAX] {
            let all = items(n);
            let tree = tree(&all);
            let signed = tree.digest().unwrap();
            for (index, item) in (0_u32..).zip(&all) {
                let place = tree.place(index).unwrap();
                assert_eq!(place.digest(item), Ok(signed));
                let bad = |place: &Place, item: &[u8]| assert_ne!(place.digest(item), Ok(signed));
                bad(&place, b"command of nobody");
                bad(&Place { index: index + 1, ..place.clone() }, item);
                bad(&Place { size: place.size + 1, ..place.clone() }, item);
                bad(&Place { root: Digest([0; 32]), ..place.clone() }, item);
                bad(&Place { path: vec![place.root; 70], ..place }, item);
            }
        }
    }

    #[test]
    fn a_batch_is_as_large_as_its_digest_says() {
        let all = items(ITEMS_MAX + 1);
        let place = tree(&all).place(0).unwrap();
        assert_eq!(place.digest(&all[0]), Err(PlaceError::Size(129)));
        // The same root over another number of commands would be another tree.
        let root = Digest([7; 32]);
        assert_ne!(digest(2, &root).unwrap(), digest(3, &root).unwrap());
    }

    /// A tree of one has its command's hash for its root: neither it nor an inner hash passes for a command.
    #[test]
    fn a_batch_of_one_is_not_the_command_alone() {
        let all = items(1);
        let tree = tree(&all);
        assert_ne!(tree.digest().unwrap(), Digest::of(&all[0]));
        assert_eq!(tree.place(0).unwrap().path, []);
    }
}
