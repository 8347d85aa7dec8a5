//! R6: which data directory speaks for a member.
//!
//! A member is its data directory: what it voted for and what it acknowledged is there and nowhere else. One that was
//! wiped, copied or set back would vote twice in a term, or win without what it acknowledged. No directory can know this
//! of itself. The others can, because each keeps, durably and before it answers, the last `Claim` that it accepted.
//!
//! ```text
//! prove (each start, then every CLAIM_EVERY) ── Claim ──> the others: judge ── verdict ──> Standing: open, or the end
//!                                                            └── Identify ──> who is at the member's own address?
//! ```
//! Must hold: until a majority of the voters, itself counted, accepted its claim, a member neither stands for election
//! nor answers anything of consensus; one objection, then or later, ends it. A claim that is refused is not kept: a copy
//! must not outlaw the original.
//!
//! Cannot see: a directory that was set back to after the last claim that any member in reach had accepted
//! (`CLAIM_EVERY`), and one of two twins that no other member reaches, until one does.

use sekisho_types::id::MemberId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a process says of the data directory that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Drawn when the directory was set up.
    pub(crate) directory: [u8; 16],
    /// Opens of the directory.
    pub(crate) boot_seq: u64,
    /// Drawn by the process.
    pub(crate) instance: [u8; 16],
    /// The highest log index ever durable in it.
    pub(crate) durable_index: Option<u64>,
}

/// Why a data directory may not speak for its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Objection {
    /// The member had another one.
    #[error("the member had another data directory: this one is new, or the old one was wiped")]
    OtherDirectory,
    /// It never held anything, but the member votes already.
    #[error("the data directory is empty, but its member votes already: it was wiped")]
    Empty,
    /// It was opened more often than it knows.
    #[error("the data directory was set back: opened {claimed} times, {known} times are known")]
    FewerStarts {
        /// Opens that it knows of.
        claimed: u64,
        /// Opens that another member was told of.
        known: u64,
    },
    /// Another process opened it, or a copy of it, as often: one of them is not the original.
    #[error(
        "the data directory was copied or set back: two processes opened it for the {starts}th time"
    )]
    Copied {
        /// Opens that both know of.
        starts: u64,
    },
    /// It lacks what it once held.
    #[error("the data directory was set back: it ends at entry {claimed:?}, once it held {known}")]
    ShorterLog {
        /// Last entry that it knows of.
        claimed: Option<u64>,
        /// Last entry that another member was told of.
        known: u64,
    },
    /// Another process holds it, or a copy of it.
    #[error("another process runs as this member, with this data directory or a copy of it")]
    Twin,
}

impl Objection {
    /// What a human can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::OtherDirectory | Self::Empty => {
                "mount the member's own directory; if it is lost, remove the member and add another under a new id"
            }
            Self::FewerStarts { .. } | Self::Copied { .. } | Self::ShorterLog { .. } => {
                "never restore a member's directory: remove the member and add another under a new id"
            }
            Self::Twin => "end one of the two; the copy must never run again",
        }
    }
}

/// Whether `claim` may speak for a member of which `kept` was accepted last; `votes`: it is a voter already.
pub(crate) fn judge(kept: Option<&Claim>, votes: bool, claim: &Claim) -> Result<(), Objection> {
    let Some(kept) = kept else {
        // The first members have all met before any of them votes, and later ones vote once they have the log.
        return if votes && claim.durable_index.is_none() { Err(Objection::Empty) } else { Ok(()) };
    };
    if claim.directory != kept.directory {
        return Err(Objection::OtherDirectory);
    }
    let (claimed, known) = (claim.boot_seq, kept.boot_seq);
    if claimed < known {
        return Err(Objection::FewerStarts { claimed, known });
    }
    // Each open counts, so one directory is not opened for the same time twice.
    if claimed == known && claim.instance != kept.instance {
        return Err(Objection::Copied { starts: known });
    }
    match (claim.durable_index, kept.durable_index) {
        (claimed, Some(known)) if claimed < Some(known) => {
            Err(Objection::ShorterLog { claimed, known })
        }
        _ => Ok(()),
    }
}

/// One configuration of a majority each; two while a change is under way.
pub(crate) type Configs = Vec<BTreeSet<u64>>;

/// Whether a majority of each of them is `counted`.
pub(crate) fn majority(configs: &Configs, counted: impl Fn(&u64) -> bool) -> bool {
    configs.iter().all(|voters| {
        let count = voters.iter().filter(|id| counted(id)).count();
        count.saturating_mul(2) > voters.len()
    })
}

/// What one member answers to another's claim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) verdict: Result<(), Objection>,
    /// Where in the log the membership stands that it knows, and its voters.
    pub(crate) membership: Option<(u64, Configs)>,
    /// Members that accepted the answering one's own claim.
    pub(crate) accepted_by: BTreeSet<MemberId>,
    /// Version of the endorser bundle in the answering one's state.
    pub(crate) bundle: u64,
}

/// What this process was answered.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Who accepted its claim.
    pub(crate) accepted_by: BTreeSet<MemberId>,
    /// Who accepted whose, as they said.
    others: BTreeMap<MemberId, BTreeSet<MemberId>>,
    /// The newest membership that it was told of.
    told: Option<(u64, Configs)>,
}

impl Standing {
    /// Notes an acceptance.
    pub(crate) fn accept(&mut self, by: MemberId, answer: Answer) {
        self.accepted_by.insert(by);
        self.others.insert(by, answer.accepted_by);
        let newest = self.told.take().max(answer.membership);
        self.told = newest;
    }

    /// Whether a majority of the voters knows `me`. `own` is the membership in its log; where there is none anywhere,
    /// `first` are the members to be.
    pub(crate) fn suffices(
        &self,
        me: MemberId,
        own: Option<(u64, Configs)>,
        first: &BTreeSet<MemberId>,
    ) -> bool {
        let knows = |id: &u64| *id == me.0 || self.accepted_by.contains(&MemberId(*id));
        let configs = match own.max(self.told.clone()) {
            Some((_, configs)) => configs,
            None => vec![first.iter().map(|id| id.0).collect()],
        };
        majority(&configs, knows)
    }

    /// Whether each of `members` was accepted by each other one.
    pub(crate) fn all_met(&self, me: MemberId, members: &BTreeSet<MemberId>) -> bool {
        members.iter().all(|member| {
            let by = if *member == me { Some(&self.accepted_by) } else { self.others.get(member) };
            by.is_some_and(|by| members.iter().all(|id| id == member || by.contains(id)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim =
        Claim { directory: [1; 16], boot_seq: 3, instance: [7; 16], durable_index: Some(40) };

    #[test]
    fn the_first_word_counts_unless_an_empty_directory_says_it_of_a_voter() {
        assert_eq!(judge(None, true, &CLAIM), Ok(()));
        let empty = Claim { durable_index: None, boot_seq: 1, ..CLAIM };
        assert_eq!(judge(None, false, &empty), Ok(()));
        assert_eq!(judge(None, true, &empty), Err(Objection::Empty));
        // Started twice it is as empty.
        assert_eq!(judge(None, true, &Claim { boot_seq: 2, ..empty }), Err(Objection::Empty));
        // A first member that has met the others before any of them voted.
        assert_eq!(judge(Some(&empty), true, &Claim { boot_seq: 2, ..empty }), Ok(()));
    }

    #[test]
    fn a_directory_only_goes_forward() {
        let against = |claim| judge(Some(&CLAIM), true, &claim);
        assert_eq!(against(CLAIM), Ok(()));
        let restarted = Claim { boot_seq: 4, instance: [8; 16], ..CLAIM };
        assert_eq!(against(restarted), Ok(()));
        assert_eq!(against(Claim { durable_index: Some(41), ..restarted }), Ok(()));
        let wiped = Claim { directory: [2; 16], boot_seq: 1, durable_index: None, ..CLAIM };
        assert_eq!(against(wiped), Err(Objection::OtherDirectory));
        let older = Claim { boot_seq: 2, ..restarted };
        assert_eq!(against(older), Err(Objection::FewerStarts { claimed: 2, known: 3 }));
        let copy = Claim { instance: [8; 16], durable_index: Some(90), ..CLAIM };
        assert_eq!(against(copy), Err(Objection::Copied { starts: 3 }));
        for claimed in [None, Some(39)] {
            let shorter = Claim { durable_index: claimed, ..restarted };
            assert_eq!(against(shorter), Err(Objection::ShorterLog { claimed, known: 40 }));
        }
    }

    fn set(ids: &[u64]) -> BTreeSet<MemberId> {
        ids.iter().copied().map(MemberId).collect()
    }

    fn answer(membership: Option<(u64, &[&[u64]])>, accepted_by: &[u64]) -> Answer {
        let voters = |ids: &&[u64]| ids.iter().copied().collect();
        let membership = membership.map(|(at, configs)| (at, configs.iter().map(voters).collect()));
        Answer { verdict: Ok(()), membership, accepted_by: set(accepted_by), bundle: 1 }
    }

    #[test]
    fn a_majority_of_every_configuration_counts_and_the_newest_membership() {
        let (me, first) = (MemberId(1), set(&[1, 2, 3]));
        let mut standing = Standing::default();
        assert!(!standing.suffices(me, None, &first));
        standing.accept(MemberId(2), answer(None, &[]));
        assert!(standing.suffices(me, None, &first));
        let joint = Some((5, vec![[1, 2, 3].into(), [1, 4, 5].into()]));
        assert!(!standing.suffices(me, joint.clone(), &first));
        standing.accept(MemberId(4), answer(None, &[]));
        assert!(standing.suffices(me, joint, &first));
        // It was told of a later one, in which it does not even vote.
        standing.accept(MemberId(2), answer(Some((9, &[&[2, 3, 6]])), &[]));
        assert!(!standing.suffices(me, Some((5, vec![[1, 2, 3].into()])), &first));
        standing.accept(MemberId(6), answer(Some((3, &[&[1, 2, 3]])), &[]));
        assert!(standing.suffices(me, None, &first));
    }

    #[test]
    fn all_have_met_when_each_knows_each() {
        let (me, all) = (MemberId(1), set(&[1, 2, 3]));
        let mut standing = Standing::default();
        standing.accept(MemberId(2), answer(None, &[1, 3]));
        assert!(!standing.all_met(me, &all));
        standing.accept(MemberId(3), answer(None, &[1]));
        assert!(!standing.all_met(me, &all), "2 has not accepted 3");
        standing.accept(MemberId(3), answer(None, &[2, 1]));
        assert!(standing.all_met(me, &all));
        assert!(Standing::default().all_met(me, &set(&[1])));
    }
}
