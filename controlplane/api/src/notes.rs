//! Signatures of all members under the checkpoints, put together to notes of k operators.
//!
//! Must hold: a line counts only if it verifies under the federation's bundle as the key of the member that it came
//! from; two texts at one revision are a fork and alarmed, never combined (A1); what one member says, of whatever
//! revision, takes no room from another's and does not keep others' lines from becoming a note.

use crate::limit::NOTES_KEPT;
use parking_lot::Mutex;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::{
    Checkpoint, CheckpointError, SignatureLine, assemble, verify_note,
};
use sekisho_types::id::{MemberId, OperatorId};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why a signature line is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoteError {
    /// Not a checkpoint, or not signed by the member that it came from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Signed by somebody else than it came from.
    #[error("the line is signed by another operator's key than the sender's")]
    NotTheSigner,
    /// It signed another text at the same revision.
    #[error("the member signed two checkpoints at revision {0}")]
    Twice(Revision),
}

/// Another member signed another text at the same revision: the audit log has forked, or one of them lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fork(pub(crate) Revision);

/// Lines under one text.
type Lines = BTreeMap<MemberId, (OperatorId, SignatureLine)>;

/// A note that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) bytes: Vec<u8>,
}

/// The newest signature of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signed {
    revision: Revision,
    time: Timestamp,
}

#[derive(Debug, Default)]
struct Collected {
    /// By revision and text; more than one text is a fork.
    pending: BTreeMap<Revision, BTreeMap<String, Lines>>,
    newest: Option<Arc<Note>>,
    signed: BTreeMap<MemberId, Signed>,
    /// Revisions of which a member's line is pending.
    kept: BTreeMap<MemberId, BTreeSet<Revision>>,
}

/// The collection.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Collected>);

/// Checks one line under a text as the word of `member`.
fn check(
    bundle: &EndorserBundle,
    member: MemberId,
    text: &str,
    line: &SignatureLine,
) -> Result<(Checkpoint, OperatorId), NoteError> {
    let endorser = bundle.endorsers.iter().find(|endorser| endorser.member == member);
    let endorser = endorser.ok_or(NoteError::NotTheSigner)?;
    // Against this one key, so that nobody passes on another's line as his own.
    let alone = EndorserBundle { k: 1, endorsers: vec![endorser.clone()], ..bundle.clone() };
    let note = assemble(text, std::slice::from_ref(line));
    let verified = verify_note(&alone, &note).map_err(|error| match error {
        CheckpointError::TooFewOperators { .. } => NoteError::NotTheSigner,
        CheckpointError::Malformed
        | CheckpointError::WrongCluster
        | CheckpointError::BadSignature => NoteError::Checkpoint(error),
    })?;
    Ok((verified.checkpoint, endorser.operator.clone()))
}

impl Notes {
    /// Takes a signature line of `member`, and says whether another member contradicts it.
    ///
    /// # Errors
    /// [`NoteError`]; nothing is kept then.
    pub(crate) fn add(
        &self,
        bundle: &EndorserBundle,
        member: MemberId,
        text: &str,
        line: &SignatureLine,
    ) -> Result<Option<Fork>, NoteError> {
        let (checkpoint, operator) = check(bundle, member, text, line)?;
        let revision = checkpoint.revision;
        let mut collected = self.0.lock();
        let texts = collected.pending.entry(revision).or_default();
        if texts.iter().any(|(other, lines)| other != text && lines.contains_key(&member)) {
            return Err(NoteError::Twice(revision));
        }
        let lines = texts.entry(text.to_owned()).or_default();
        lines.insert(member, (operator, line.clone()));
        let operators: BTreeSet<&OperatorId> = lines.values().map(|(o, _)| o).collect();
        let counts = u32::try_from(operators.len()).is_ok_and(|have| have >= bundle.k);
        let signed: Vec<SignatureLine> = lines.values().map(|(_, line)| line.clone()).collect();
        let note = counts.then(|| Note { checkpoint, bytes: assemble(text, &signed) });
        let fork = (texts.len() > 1).then_some(Fork(revision));
        collected.settle(note, member, checkpoint);
        Ok(fork)
    }

    /// The newest note of k operators.
    pub(crate) fn newest(&self) -> Option<Arc<Note>> {
        self.0.lock().newest.clone()
    }

    /// Revision of a member's newest signature; zero for none.
    pub(crate) fn signed_by(&self, member: MemberId) -> Revision {
        self.0.lock().signed.get(&member).map(|signed| signed.revision).unwrap_or_default()
    }

    /// Operators none of whose members signed anything since `since` of the state clock.
    pub(crate) fn missing(&self, bundle: &EndorserBundle, since: Timestamp) -> Vec<OperatorId> {
        let collected = self.0.lock();
        let late = |operator: &OperatorId| {
            let mut own = bundle.endorsers.iter().filter(|e| e.operator == *operator);
            !own.any(|e| collected.signed.get(&e.member).is_some_and(|s| s.time >= since))
        };
        bundle.operators().filter(late).collect()
    }
}

impl Collected {
    fn settle(&mut self, note: Option<Note>, member: MemberId, checkpoint: Checkpoint) {
        let Checkpoint { revision, time, .. } = checkpoint;
        let signed = self.signed.entry(member).or_insert(Signed { revision, time });
        if revision > signed.revision {
            *signed = Signed { revision, time };
        }
        let held = self.newest.as_ref().map(|note| note.checkpoint.revision);
        if let Some(note) = note
            && held.is_none_or(|held| held <= revision)
        {
            self.newest = Some(Arc::new(note));
        }
        let kept = self.kept.entry(member).or_default();
        kept.insert(revision);
        if kept.len() > NOTES_KEPT
            && let Some(oldest) = kept.pop_first()
            && let Some(texts) = self.pending.get_mut(&oldest)
        {
            texts.values_mut().for_each(|lines| drop(lines.remove(&member)));
            texts.retain(|_, lines| !lines.is_empty());
            if texts.is_empty() {
                self.pending.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::key::SigningKey;
    use sekisho_evidence::merkle::Head;
    use sekisho_fsm::testing;
    use sekisho_types::id::Digest;
    use sekisho_types::revision::Incarnation;

    const OPERATORS: [&str; 3] = ["hokuto", "kanto", "naniwa"];

    fn bundle() -> EndorserBundle {
        testing::Federation::new().state.federation().unwrap().bundle.clone()
    }

    fn point(revision: u64, root: u8) -> Checkpoint {
        Checkpoint {
            cluster: testing::cluster(),
            incarnation: Incarnation(1),
            head: Head { size: revision, root: Digest([root; 32]) },
            revision: Revision(revision),
            time: Timestamp(revision * 1000),
        }
    }

    fn line(point: &Checkpoint, member: u64) -> SignatureLine {
        signed(point, member, &testing::checkpoint_key(MemberId(member)))
    }

    fn signed(point: &Checkpoint, member: u64, key: &SigningKey) -> SignatureLine {
        let operator = OPERATORS[usize::try_from(member - 1).unwrap()].parse().unwrap();
        point.sign(&operator, MemberId(member), key).unwrap()
    }

    fn add(notes: &Notes, point: &Checkpoint, member: u64) -> Result<Option<Fork>, NoteError> {
        let text = point.text().unwrap();
        notes.add(&bundle(), MemberId(member), &text, &line(point, member))
    }

    #[test]
    fn a_note_counts_with_k_operators_and_the_newest_one_stays() {
        let notes = Notes::default();
        add(&notes, &point(7, 1), 1).unwrap();
        add(&notes, &point(7, 1), 1).unwrap();
        assert_eq!(notes.newest(), None, "one operator twice is one operator");
        add(&notes, &point(7, 1), 3).unwrap();
        let note = notes.newest().unwrap();
        assert_eq!(note.checkpoint, point(7, 1));
        let verified = verify_note(&bundle(), &note.bytes).unwrap();
        assert_eq!(verified.operators.len(), 2);
        // A third signature under the same text joins; an older note does not come back.
        add(&notes, &point(7, 1), 2).unwrap();
        assert_eq!(
            verify_note(&bundle(), &notes.newest().unwrap().bytes).unwrap().operators.len(),
            3
        );
        add(&notes, &point(6, 1), 1).unwrap();
        add(&notes, &point(6, 1), 2).unwrap();
        assert_eq!(notes.newest().unwrap().checkpoint.revision, Revision(7));
        assert_eq!(notes.signed_by(MemberId(1)), Revision(7));
    }

    #[test]
    fn lines_of_others_and_forks_are_refused() {
        let notes = Notes::default();
        let (good, text) = (point(7, 1), point(7, 1).text().unwrap());
        // Member 3 passes on the line of member 1, or signs with a key of its own making.
        for stranger in [line(&good, 1), signed(&good, 3, &SigningKey::from_seed(&[9; 32]))] {
            let refused = notes.add(&bundle(), MemberId(3), &text, &stranger);
            assert_eq!(refused, Err(NoteError::NotTheSigner));
        }
        let unknown = notes.add(&bundle(), MemberId(9), &text, &line(&good, 1));
        assert_eq!(unknown, Err(NoteError::NotTheSigner));
        let changed =
            notes.add(&bundle(), MemberId(1), &point(8, 1).text().unwrap(), &line(&good, 1));
        assert_eq!(changed, Err(NoteError::Checkpoint(CheckpointError::BadSignature)));
        assert_eq!(add(&notes, &good, 1), Ok(None));
        assert_eq!(add(&notes, &point(7, 2), 1), Err(NoteError::Twice(Revision(7))));
        assert_eq!(add(&notes, &point(7, 2), 2), Ok(Some(Fork(Revision(7)))));
        assert_eq!(notes.newest(), None);
        // Whoever lies first does not keep the others from agreeing.
        assert_eq!(add(&notes, &point(7, 2), 3), Ok(Some(Fork(Revision(7)))));
        assert_eq!(notes.newest().unwrap().checkpoint, point(7, 2));
    }

    #[test]
    fn a_member_that_signs_the_far_future_takes_room_from_nobody() {
        let notes = Notes::default();
        let kept = u64::try_from(NOTES_KEPT).unwrap();
        for at in 0..kept + 10 {
            add(&notes, &point(1_000_000 + at, 1), 1).unwrap();
        }
        for at in 0..20 {
            add(&notes, &point(at, 1), 2).unwrap();
            add(&notes, &point(at, 1), 3).unwrap();
        }
        assert_eq!(notes.newest().unwrap().checkpoint.revision, Revision(19));
        let collected = notes.0.lock();
        assert_eq!(collected.pending.len(), NOTES_KEPT + 20);
        assert_eq!(collected.kept[&MemberId(1)].first(), Some(&Revision(1_000_010)));
    }

    #[test]
    fn late_operators_are_named() {
        let notes = Notes::default();
        let missing = |since| {
            let late = notes.missing(&bundle(), Timestamp(since));
            late.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(missing(0), "hokuto kanto naniwa");
        add(&notes, &point(7, 1), 1).unwrap();
        add(&notes, &point(9, 1), 3).unwrap();
        assert_eq!(missing(7000), "kanto");
        assert_eq!(missing(8000), "hokuto kanto");
    }
}
