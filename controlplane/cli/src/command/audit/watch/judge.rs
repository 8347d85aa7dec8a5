//! What heads say of each other, before any proof is fetched.

use crate::client::Client;
use crate::failure::Failure;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::fork::{Extended, Fork, contradiction};
use sekisho_evidence::merkle::Head;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, OperatorId};
use std::collections::BTreeSet;

/// The newest head of a member, verified.
#[derive(Debug)]
pub(super) struct Told {
    /// Who told it.
    pub(super) client: Client,
    /// As signed.
    pub(super) note: Vec<u8>,
    /// What it says.
    pub(super) checkpoint: Checkpoint,
    /// Who signed it.
    pub(super) operators: BTreeSet<OperatorId>,
}

/// Two notes of members that contradict each other by themselves.
pub(super) fn compare(bundle: &EndorserBundle, told: &[Told]) -> Option<(Vec<u8>, Vec<u8>)> {
    let shows = |a: &Told, b: &Told| {
        let fork = Fork { first: a.note.clone(), second: b.note.clone(), extended: None };
        fork.judge(bundle).is_ok()
    };
    let pairs = told
        .iter()
        .enumerate()
        .flat_map(|(n, a)| told.iter().skip(n.saturating_add(1)).map(move |b| (a, b)));
    let mut forks = pairs.filter(|(a, b)| shows(a, b));
    forks.next().map(|(a, b)| (a.note.clone(), b.note.clone()))
}

/// A signed note, and its head.
pub(super) type Shown<'t> = (&'t [u8], Head);

/// Each shorter head that a member told is a beginning of the newest one's tree, which `at` looks up with its proof; the first
/// that is none is a fork. Sizes and revisions alone do not show it.
pub(super) async fn beginnings(
    shown: &[Shown<'_>],
    (newest, long): Shown<'_>,
    at: impl AsyncFn(u64) -> Result<(Head, Vec<Digest>), Failure>,
) -> Result<Option<Fork>, Failure> {
    let mut known = Vec::new();
    for (note, short) in shown {
        // Most members tell the same one.
        if short.size >= long.size || known.contains(short) {
            continue;
        }
        let (own, proof) = at(short.size).await?;
        if own != *short {
            let (first, second) = (note.to_vec(), newest.to_vec());
            let extended = Some(Extended { root: own.root, proof });
            return Ok(Some(Fork { first, second, extended }));
        }
        known.push(*short);
    }
    Ok(None)
}

/// Why a new head does not follow the kept one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// They cannot be of one log, and the two notes are the evidence.
    Fork,
    /// They cannot be compared.
    Apart(Failure),
}

/// Whether the kept head and a new one cannot be of one log, as far as sizes and revisions alone say so.
pub(super) fn against(kept: &Checkpoint, new: &Checkpoint) -> Option<Against> {
    if kept.cluster != new.cluster {
        let why = "the kept head is of another federation";
        return Some(Against::Apart(Failure::new(ErrorCode::WrongCluster, why)));
    }
    if kept.incarnation < new.incarnation {
        let why = format!(
            "incarnation {} began, the kept head is of {}",
            new.incarnation, kept.incarnation
        );
        let failure = Failure::new(ErrorCode::IncarnationOver, why).remedy(
            "verify an export with --earlier OLD, which tells what was lost; then begin with another --head file",
        );
        return Some(Against::Apart(failure));
    }
    if kept.incarnation > new.incarnation {
        let why = "the members show an incarnation that is over";
        return Some(Against::Apart(Failure::new(ErrorCode::WrongCluster, why)));
    }
    contradiction(kept, new).map(|_how| Against::Fork)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::fork::Contradiction;
    use sekisho_evidence::merkle::{Tree, prove_consistency};
    use sekisho_fsm::testing::{checkpoint_key, cluster, genesis};
    use sekisho_types::id::{ClusterId, MemberId};
    use sekisho_types::revision::{Incarnation, Revision};
    use sekisho_types::time::Timestamp;

    fn at(revision: u64, size: u64, root: u8) -> Checkpoint {
        Checkpoint {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            head: Head { size, root: Digest([root; 32]) },
            revision: Revision(revision),
            time: Timestamp(revision),
        }
    }

    #[test]
    fn a_smaller_or_another_head_is_a_fork_and_one_that_lags_is_none() {
        let kept = at(10, 100, 1);
        assert_eq!(against(&kept, &at(11, 101, 2)), None);
        assert_eq!(against(&kept, &at(9, 90, 3)), None);
        assert_eq!(against(&kept, &kept), None);
        assert_eq!(against(&kept, &at(11, 99, 1)), Some(Against::Fork));
        assert_eq!(against(&kept, &at(11, 100, 2)), Some(Against::Fork));
        assert_eq!(against(&kept, &at(10, 100, 2)), Some(Against::Fork));
        let code = |other: &Checkpoint| match against(&kept, other) {
            Some(Against::Apart(failure)) => Some(failure.code),
            Some(Against::Fork) | None => None,
        };
        let anew = Checkpoint { incarnation: Incarnation(2), ..at(1, 1, 1) };
        assert_eq!(code(&anew), Some(ErrorCode::IncarnationOver));
        let old = Checkpoint { incarnation: Incarnation(0), ..at(1, 1, 1) };
        assert_eq!(code(&old), Some(ErrorCode::WrongCluster));
        let other = Checkpoint { cluster: ClusterId([2; 16]), ..at(11, 101, 1) };
        assert_eq!(code(&other), Some(ErrorCode::WrongCluster));
    }

    fn signed(member: u64, operator: &str, (revision, head): (u64, Head)) -> Vec<u8> {
        let checkpoint = Checkpoint { cluster: cluster(), head, ..at(revision, 0, 0) };
        let (operator, member) = (operator.parse().unwrap(), MemberId(member));
        let line = checkpoint.sign(&operator, member, &checkpoint_key(member)).unwrap();
        sekisho_evidence::checkpoint::assemble(&checkpoint.text().unwrap(), &[line])
    }

    /// The tree of so many records, the first of which is this.
    fn tree(first: u8, size: u64) -> Tree {
        let records: Vec<Vec<u8>> = (0..size)
            .map(|n| if n == 0 { vec![first] } else { n.to_be_bytes().to_vec() })
            .collect();
        let raw: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        Tree::of(&raw).unwrap()
    }

    #[test]
    fn a_shorter_head_of_another_tree_is_a_fork_and_one_of_the_same_is_none() {
        let long = tree(1, 100);
        let head = long.head().unwrap();
        let newest = signed(1, "hokuto", (10, head));
        let judge = |short: Head| {
            let note = signed(2, "kanto", (9, short));
            let look = async |size: u64| {
                let proof = prove_consistency(head.size, size, &long).unwrap();
                Ok::<_, Failure>((long.head_at(size).unwrap(), proof))
            };
            let shown = [(newest.as_slice(), head), (note.as_slice(), short)];
            let found = beginnings(&shown, (newest.as_slice(), head), look);
            futures::executor::block_on(found).unwrap()
        };
        assert_eq!(judge(long.head_at(90).unwrap()), None);
        let fork = judge(tree(2, 90).head().unwrap()).unwrap();
        let judged = fork.judge(&genesis().genesis.bundle).unwrap();
        assert_eq!(judged.contradiction, Contradiction::Beginning);
    }
}
