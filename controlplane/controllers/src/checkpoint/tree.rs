//! Whether a head follows from the last signed one by this member's own tree.
//!
//! Must hold: A1. Order and sizes say that nothing shrank; only the tree says that what was signed is still its beginning.
//! What the tree cannot show is not signed: hashes that are missing come with the backfill. Another incarnation begins a log
//! of its own, and nothing is compared.

use super::rule::Refusal;
use super::{HeadStore, HeadStoreError};
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::merkle::{Frontier, Hashes, Head, check_consistency, prove_consistency};
use sekisho_types::id::Digest;
use std::cell::RefCell;

/// What is missing from the own tree, or went wrong.
#[derive(Debug)]
enum Lacks {
    Hash(u64),
    Store(HeadStoreError),
}

/// The own tree, noting the first hash that it did not have.
struct Own<'s> {
    store: &'s dyn HeadStore,
    lacks: RefCell<Option<Lacks>>,
}

impl Hashes for Own<'_> {
    fn hash(&self, index: u64) -> Option<Digest> {
        let lacks = match self.store.hash(index) {
            Ok(Some(hash)) => return Some(hash),
            Ok(None) => Lacks::Hash(index),
            Err(error) => Lacks::Store(error),
        };
        self.lacks.borrow_mut().get_or_insert(lacks);
        None
    }
}

/// Whether each of `next` is a head of the own tree, and the newest of them extends `last`.
///
/// # Errors
/// The tree cannot be read.
pub(super) fn extends(
    store: &dyn HeadStore,
    last: Option<&Checkpoint>,
    next: &[Checkpoint],
) -> Result<Result<(), Refusal>, HeadStoreError> {
    let own = Own { store, lacks: RefCell::new(None) };
    let roots = next.iter().all(|point| is_head(&own, point.head));
    let newest = next.last().zip(last).filter(|(new, old)| new.incarnation == old.incarnation);
    let holds = roots && newest.is_none_or(|(new, old)| follows(&own, old.head, new.head));
    Ok(match own.lacks.into_inner() {
        Some(Lacks::Store(error)) => return Err(error),
        Some(Lacks::Hash(index)) => Err(Refusal::Unproven { index }),
        None if holds => Ok(()),
        None => Err(Refusal::Fork),
    })
}

fn is_head(own: &Own<'_>, head: Head) -> bool {
    let root = Frontier::read(head.size, own).and_then(|frontier| frontier.root());
    root == Ok(head.root)
}

fn follows(own: &Own<'_>, old: Head, new: Head) -> bool {
    let proof = prove_consistency(new.size, old.size, own);
    proof.is_ok_and(|proof| check_consistency(new, old, &proof).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use sekisho_types::id::{ClusterId, MemberId, PublicKey};
    use sekisho_types::revision::{Incarnation, Revision};
    use sekisho_types::time::Timestamp;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    #[derive(Default)]
    struct Tree {
        hashes: BTreeMap<u64, Digest>,
        heads: Vec<Head>,
        broken: Mutex<bool>,
    }

    impl HeadStore for Tree {
        fn load(&self) -> Result<Option<Checkpoint>, HeadStoreError> {
            Ok(None)
        }
        fn save(&self, _head: &Checkpoint) -> Result<(), HeadStoreError> {
            Ok(())
        }
        fn hash(&self, index: u64) -> Result<Option<Digest>, HeadStoreError> {
            if *self.broken.lock() {
                return Err(HeadStoreError(Arc::new(std::io::Error::other("disk"))));
            }
            Ok(self.hashes.get(&index).copied())
        }
        fn accused(&self) -> Result<BTreeSet<(MemberId, PublicKey)>, HeadStoreError> {
            Ok(BTreeSet::new())
        }
    }

    /// A tree of 40 records, of which one may be another.
    fn tree(other: u8) -> Tree {
        let (mut frontier, mut tree) = (Frontier::default(), Tree::default());
        for n in 0..=40_u8 {
            tree.heads.push(Head { size: frontier.size(), root: frontier.root().unwrap() });
            let appended = frontier.append(&[n, u8::from(n == other)]).unwrap();
            tree.hashes.extend((appended.first_hash..).zip(appended.hashes));
        }
        tree
    }

    fn at(head: Head, incarnation: u64) -> Checkpoint {
        Checkpoint {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(incarnation),
            head,
            revision: Revision(head.size),
            time: Timestamp(1),
        }
    }

    #[test]
    fn only_what_the_own_tree_shows_is_signed() {
        let (own, other) = (tree(99), tree(7));
        let check = |last: Option<Head>, next: &[Head]| {
            let next: Vec<_> = next.iter().map(|head| at(*head, 1)).collect();
            extends(&own, last.map(|last| at(last, 1)).as_ref(), &next).unwrap()
        };
        let heads = &own.heads;
        for last in 0..20 {
            assert_eq!(check(Some(heads[last]), &[heads[20], heads[33]]), Ok(()), "{last}");
        }
        assert_eq!(check(None, &heads[20..30]), Ok(()));
        assert_eq!(check(Some(heads[20]), &[heads[20]]), Ok(()));
        // What was signed before is no beginning of this tree, though sizes grow; or the head is of another tree.
        assert_eq!(check(Some(other.heads[8]), &[heads[20]]), Err(Refusal::Fork));
        assert_eq!(check(Some(other.heads[7]), &[heads[20]]), Ok(()), "the same so far");
        assert_eq!(check(None, &[heads[20], other.heads[21]]), Err(Refusal::Fork));
        let (old, new) = (at(other.heads[20], 1), at(heads[9], 2));
        assert_eq!(extends(&own, Some(&old), &[new]).unwrap(), Ok(()), "another life");
    }

    #[test]
    fn what_cannot_be_shown_is_not_signed() {
        let mut own = tree(99);
        let next = [at(own.heads[33], 1)];
        let last = at(own.heads[5], 1);
        own.hashes.remove(&0);
        own.hashes.retain(|index, _| *index > 20 || *index == 14);
        let refused = extends(&own, Some(&last), &next).unwrap();
        assert!(matches!(refused, Err(Refusal::Unproven { .. })), "{refused:?}");
        *own.broken.lock() = true;
        extends(&own, Some(&last), &next).unwrap_err();
    }
}
