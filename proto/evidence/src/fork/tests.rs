//! What is evidence of a fork and what is not, and its bytes.

use super::*;
use crate::bundle::Endorser;
use crate::checkpoint::assemble;
use crate::key::SigningKey;
use crate::merkle::{Frontier, prove_consistency};
use sekisho_types::id::ClusterId;
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

fn operator(member: u8) -> &'static str {
    if member == 1 { "a" } else { "b" }
}

fn bundle() -> EndorserBundle {
    let endorser = |n: u8| Endorser {
        operator: operator(n).parse().unwrap(),
        member: MemberId(n.into()),
        public_key: key(n).public(),
    };
    EndorserBundle {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        version: 1,
        terms: Digest([0; 32]),
        k: 2,
        endorsers: [1, 2].map(endorser).to_vec(),
        operators: Vec::new(),
    }
}

fn at(revision: u64, head: Head) -> Checkpoint {
    Checkpoint {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        head,
        revision: Revision(revision),
        time: Timestamp(revision.saturating_mul(1000)),
    }
}

fn note(checkpoint: &Checkpoint, member: u8) -> Vec<u8> {
    let name = operator(member).parse().unwrap();
    let line = checkpoint.sign(&name, MemberId(member.into()), &key(member)).unwrap();
    assemble(&checkpoint.text().unwrap(), &[line])
}

fn fork(a: &Checkpoint, by: u8, b: &Checkpoint, and_by: u8) -> Fork {
    Fork { first: note(a, by), second: note(b, and_by), extended: None }
}

/// A tree whose record `at` differs from that of others.
struct Tree {
    hashes: BTreeMap<u64, Digest>,
    heads: Vec<Head>,
}

fn tree(size: u64, other: u64) -> Tree {
    let (mut frontier, mut hashes) = (Frontier::default(), BTreeMap::new());
    let mut heads = vec![Head { size: 0, root: Digest::of(&[]) }];
    for at in 0..size {
        let record = if at == other { b"other".to_vec() } else { at.to_le_bytes().to_vec() };
        let appended = frontier.append(&record).unwrap();
        hashes.extend((appended.first_hash..).zip(appended.hashes));
        heads.push(Head { size: frontier.size(), root: frontier.root().unwrap() });
    }
    Tree { hashes, heads }
}

#[test]
fn two_roots_of_one_size_two_texts_of_one_revision_and_a_shrunk_log_are_forks() {
    let head = |size, root: u8| Head { size, root: Digest([root; 32]) };
    let first = at(10, head(20, 1));
    for (other, expected) in [
        (at(10, head(20, 2)), Contradiction::Revision),
        (at(10, head(21, 1)), Contradiction::Revision),
        (at(11, head(20, 2)), Contradiction::Root),
        (at(11, head(19, 2)), Contradiction::Shrunk),
        (at(9, head(21, 2)), Contradiction::Shrunk),
        (Checkpoint { time: Timestamp(1), ..at(11, head(21, 2)) }, Contradiction::Shrunk),
    ] {
        for evidence in [fork(&first, 1, &other, 2), fork(&other, 2, &first, 1)] {
            let judged = evidence.judge(&bundle()).unwrap();
            assert_eq!(judged.contradiction, expected);
            assert_eq!(judged.liars().count(), 0);
        }
        let alone = fork(&first, 2, &other, 2).judge(&bundle()).unwrap();
        assert_eq!(alone.liars().collect::<Vec<_>>(), [MemberId(2)]);
    }
}

#[test]
fn what_may_both_be_true_is_none() {
    let head = |size, root: u8| Head { size, root: Digest([root; 32]) };
    let first = at(10, head(20, 1));
    for other in [first, at(11, head(20, 1)), at(11, head(25, 9)), at(8, head(3, 4))] {
        assert_eq!(fork(&first, 1, &other, 2).judge(&bundle()), Err(ForkError::Compatible));
    }
    // Another life begins a log of its own.
    let restored = Checkpoint { incarnation: Incarnation(2), ..at(11, head(3, 2)) };
    assert_eq!(fork(&first, 1, &restored, 2).judge(&bundle()), Err(ForkError::Apart));
    assert_eq!(contradiction(&first, &restored), None);
}

#[test]
fn a_longer_tree_with_another_beginning_is_shown_by_its_own_proof() {
    let (ours, theirs) = (tree(30, 99), tree(30, 5));
    for (short, long) in [(6, 30), (7, 8), (29, 30)] {
        let (a, b) = (at(10, theirs.heads[short]), at(20, ours.heads[long]));
        let mut evidence = fork(&a, 2, &b, 1);
        assert_eq!(evidence.judge(&bundle()), Err(ForkError::Compatible));
        let [old, new] = [short, long].map(|size| u64::try_from(size).unwrap());
        let proof = prove_consistency(new, old, &ours.hashes).unwrap();
        evidence.extended = Some(Extended { root: ours.heads[short].root, proof: proof.clone() });
        let judged = evidence.judge(&bundle()).unwrap();
        assert_eq!(judged.contradiction, Contradiction::Beginning);
        // A true beginning is no fork, and a proof of nothing shows nothing.
        let same = Fork { first: note(&at(10, ours.heads[short]), 2), ..evidence.clone() };
        assert_eq!(same.judge(&bundle()), Err(ForkError::Compatible));
        let made_up = Extended { root: Digest([9; 32]), proof };
        evidence.extended = Some(made_up);
        assert_eq!(evidence.judge(&bundle()), Err(ForkError::Compatible));
    }
}

#[test]
fn nobody_is_accused_by_a_note_that_no_member_signed() {
    let head = |root: u8| Head { size: 20, root: Digest([root; 32]) };
    let (a, b) = (at(10, head(1)), at(10, head(2)));
    let unknown = EndorserBundle { endorsers: bundle().endorsers[..1].to_vec(), ..bundle() };
    assert_eq!(fork(&a, 1, &b, 2).judge(&unknown), Err(ForkError::Stranger));
    let good = fork(&a, 1, &b, 2);
    for bit in 0..good.second.len() * 8 {
        let mut changed = good.clone();
        changed.second[bit / 8] ^= 1 << (bit % 8);
        assert!(changed.judge(&bundle()).is_err(), "bit {bit}");
    }
    let other = EndorserBundle { cluster: ClusterId([2; 16]), ..bundle() };
    assert_eq!(good.judge(&other), Err(ForkError::Note(CheckpointError::WrongCluster)));
}

#[test]
fn bytes_round_trip_and_are_bounded() {
    let head = |root: u8| Head { size: 20, root: Digest([root; 32]) };
    let proof = vec![Digest([3; 32]); PROOF_MAX];
    let evidence = Fork {
        extended: Some(Extended { root: Digest([4; 32]), proof }),
        ..fork(&at(10, head(1)), 1, &at(10, head(2)), 2)
    };
    let bytes = evidence.bytes().unwrap();
    assert_eq!(Fork::parse(&bytes), Ok(evidence.clone()));
    Fork::parse(&bytes[..bytes.len() - 1]).unwrap_err();
    let long = Fork { first: vec![0; FORK_MAX], ..evidence };
    assert!(matches!(long.bytes(), Err(ForkError::TooLarge(_))));
    assert!(matches!(Fork::parse(&vec![0; FORK_MAX + 1]), Err(ForkError::TooLarge(_))));
}

#[test]
fn golden_bytes_of_version_1() {
    let extended = Some(Extended { root: Digest([4; 32]), proof: vec![Digest([5; 32])] });
    let evidence = Fork { first: b"one".to_vec(), second: b"two".to_vec(), extended };
    let expected =
        [b"\x03one\x03two\x01".as_slice(), &[4; 32], b"\x01".as_slice(), &[5; 32]].concat();
    assert_eq!(evidence.bytes().unwrap(), expected);
}
