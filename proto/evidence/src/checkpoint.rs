//! Checkpoints: the audit head that voters sign, as C2SP signed notes (c2sp.org/tlog-checkpoint, /signed-note).
//!
//! Must hold: the text is a function of the log alone, so every voter signs the same bytes and signatures of
//! several operators stand under one note. A grant counts only under a note with k distinct *operators* (D4);
//! two members of one operator count once.

use crate::bundle::{Endorser, EndorserBundle};
use crate::key::{SigningKey, verify_raw};
use crate::merkle::Head;
use sekisho_types::id::{ClusterId, Digest, MemberId, OperatorId, PublicKey};
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use signed_note::{Note, Verifier, VerifierList};
use std::collections::BTreeSet;
use tlog_tiles::{checkpoint::Checkpoint as TlogCheckpoint, tlog::Hash};

/// Algorithm byte of Ed25519 in a note's key hash (c2sp.org/signed-note).
const NOTE_ED25519: u8 = 1;

/// Largest note that is parsed, bytes: the text is under 400, and each of at most 16 signatures under 200.
pub const NOTE_MAX: usize = 4096;

/// What voters sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Size and root of the audit log.
    pub head: Head,
    /// Log index of the entry after which it was taken.
    pub revision: Revision,
    /// State clock at that entry.
    pub time: Timestamp,
}

/// Why a note is not a checkpoint that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note, or not with our lines in our order.
    #[error("malformed checkpoint")]
    Malformed,
    /// Of another federation or incarnation.
    #[error("the checkpoint belongs to another cluster or incarnation")]
    WrongCluster,
    /// A signature under a known key does not verify.
    #[error("a checkpoint signature does not verify")]
    BadSignature,
    /// Not enough distinct operators.
    #[error("the checkpoint is signed by {} of the {need} operators needed; missing: {}", .have.len(), names(.missing))]
    TooFewOperators {
        /// How many are needed.
        need: u32,
        /// Who signed.
        have: BTreeSet<OperatorId>,
        /// Who could have signed and did not.
        missing: BTreeSet<OperatorId>,
    },
}

fn names(operators: &BTreeSet<OperatorId>) -> String {
    operators.iter().map(OperatorId::as_str).collect::<Vec<_>>().join(", ")
}

fn origin(cluster: &ClusterId) -> String {
    format!("sekisho/{cluster}")
}

/// Name of a member's checkpoint key inside notes.
#[must_use]
pub fn key_name(cluster: &ClusterId, operator: &OperatorId, member: MemberId) -> String {
    format!("{}/{operator}/{member}", origin(cluster))
}

impl Checkpoint {
    /// What a note says, whoever signed it.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn read(note: &[u8]) -> Result<Self, CheckpointError> {
        Ok(open(note)?.1)
    }

    /// The note's text, without signatures.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] never for values of these types.
    pub fn text(&self) -> Result<String, CheckpointError> {
        let extension = format!(
            "incarnation {}\nrevision {}\ntime {}\n",
            self.incarnation, self.revision, self.time.0
        );
        let note = TlogCheckpoint::new(
            &origin(&self.cluster),
            self.head.size,
            Hash(self.head.root.0),
            &extension,
        )
        .map_err(|_malformed| CheckpointError::Malformed)?;
        String::from_utf8(note.to_bytes()).map_err(|_utf8| CheckpointError::Malformed)
    }

    /// Reads a text in exactly the form that [`Checkpoint::text`] writes.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] for any other.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let bad = || CheckpointError::Malformed;
        let note = TlogCheckpoint::from_bytes(text.as_bytes()).map_err(|_malformed| bad())?;
        let cluster = note.origin().strip_prefix("sekisho/").ok_or_else(bad)?;
        let mut lines = note.extension().lines();
        let mut number = |key: &str| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(key)?.parse::<u64>().ok())
                .ok_or_else(bad)
        };
        let checkpoint = Self {
            cluster: cluster.parse().map_err(|_hex| bad())?,
            incarnation: Incarnation(number("incarnation ")?),
            revision: Revision(number("revision ")?),
            time: Timestamp(number("time ")?),
            head: Head { size: note.size(), root: Digest(note.hash().0) },
        };
        // Numbers with leading zeros, extra lines and the like would be a second spelling.
        if checkpoint.text()? != text {
            return Err(bad());
        }
        Ok(checkpoint)
    }

    /// Signs the checkpoint: one signature line of the note.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] never for values of these types.
    pub fn sign(
        &self,
        operator: &OperatorId,
        member: MemberId,
        key: &SigningKey,
    ) -> Result<SignatureLine, CheckpointError> {
        let name = key_name(&self.cluster, operator, member);
        let signature = key.sign_raw(self.text()?.as_bytes());
        let id = signed_note::key_id(&name, &note_key(&key.public()));
        let line = signed_note::Signature::new(name, id, signature.0.to_vec())
            .map_err(|_name| CheckpointError::Malformed)?;
        String::from_utf8(line.to_bytes())
            .map(SignatureLine)
            .map_err(|_utf8| CheckpointError::Malformed)
    }
}

fn note_key(key: &PublicKey) -> Vec<u8> {
    [&[NOTE_ED25519], key.0.as_slice()].concat()
}

/// One signature of a note, as its text line with the final newline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SignatureLine(pub String);

/// Puts a text and signature lines together to a note.
#[must_use]
pub fn assemble(text: &str, lines: &[SignatureLine]) -> Vec<u8> {
    let mut note = format!("{text}\n");
    for line in lines {
        note.push_str(&line.0);
    }
    note.into_bytes()
}

/// A checkpoint whose k operators have been verified. Only [`verify_note`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The operators whose signatures verified.
    pub operators: BTreeSet<OperatorId>,
}

fn open(note: &[u8]) -> Result<(Note, Checkpoint), CheckpointError> {
    if note.len() > NOTE_MAX {
        return Err(CheckpointError::Malformed);
    }
    let note = Note::from_bytes(note).map_err(|_malformed| CheckpointError::Malformed)?;
    let text = std::str::from_utf8(note.text()).map_err(|_utf8| CheckpointError::Malformed)?;
    let checkpoint = Checkpoint::parse(text)?;
    Ok((note, checkpoint))
}

/// Verifies a note under a bundle: strict form, right cluster, every signature of a known key good, and at least k
/// distinct operators.
///
/// # Errors
/// The first [`CheckpointError`] in that order.
pub fn verify_note(
    bundle: &EndorserBundle,
    note: &[u8],
) -> Result<VerifiedCheckpoint, CheckpointError> {
    let (note, checkpoint) = open(note)?;
    if checkpoint.incarnation != bundle.incarnation {
        return Err(CheckpointError::WrongCluster);
    }
    let signed = signed(bundle, &note, &checkpoint)?;
    let operators: BTreeSet<OperatorId> = signed.into_iter().map(|e| e.operator).collect();
    let have = u32::try_from(operators.len()).unwrap_or(u32::MAX);
    if have < bundle.k {
        let missing = bundle.operators().filter(|o| !operators.contains(o)).collect();
        return Err(CheckpointError::TooFewOperators { need: bundle.k, have: operators, missing });
    }
    Ok(VerifiedCheckpoint { checkpoint, operators })
}

/// What a note says and which members of the bundle signed it, however few: of whatever incarnation, as keys outlive one.
///
/// # Errors
/// [`CheckpointError`], never for too few operators.
pub fn signers(
    bundle: &EndorserBundle,
    note: &[u8],
) -> Result<(Checkpoint, BTreeSet<MemberId>), CheckpointError> {
    let (note, checkpoint) = open(note)?;
    let signed = signed(bundle, &note, &checkpoint)?;
    Ok((checkpoint, signed.into_iter().map(|e| e.member).collect()))
}

/// Whose signatures stand under a note; one of a known key that does not verify spoils it.
fn signed(
    bundle: &EndorserBundle,
    note: &Note,
    checkpoint: &Checkpoint,
) -> Result<Vec<NoteVerifier>, CheckpointError> {
    if checkpoint.cluster != bundle.cluster {
        return Err(CheckpointError::WrongCluster);
    }
    let endorsers: Vec<NoteVerifier> =
        bundle.endorsers.iter().map(|e| NoteVerifier::of(bundle, e)).collect();
    let known = VerifierList::new(
        endorsers.iter().map(|v| Box::new(v.clone()) as Box<dyn Verifier>).collect(),
    );
    let good = match note.verify(&known) {
        Ok((good, _unknown)) => good,
        Err(signed_note::NoteError::UnverifiedNote) => Vec::new(),
        Err(_bad) => return Err(CheckpointError::BadSignature),
    };
    let stands = |e: &NoteVerifier| good.iter().any(|s| e.name == s.name() && e.id == s.id());
    Ok(endorsers.into_iter().filter(stands).collect())
}

#[derive(Clone)]
struct NoteVerifier {
    operator: OperatorId,
    member: MemberId,
    name: String,
    id: u32,
    key: PublicKey,
}

impl NoteVerifier {
    fn of(bundle: &EndorserBundle, endorser: &Endorser) -> Self {
        let name = key_name(&bundle.cluster, &endorser.operator, endorser.member);
        let id = signed_note::key_id(&name, &note_key(&endorser.public_key));
        let (operator, member) = (endorser.operator.clone(), endorser.member);
        Self { operator, member, name, id, key: endorser.public_key }
    }
}

impl Verifier for NoteVerifier {
    fn name(&self) -> &str {
        &self.name
    }
    fn key_id(&self) -> u32 {
        self.id
    }
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        verify_raw(&self.key, text, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{BackupKey, Keys, OperatorKeys};
    use sekisho_types::principal::TrustDomain;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_seed(&[n; 32])
    }

    /// Three operators; the first has two members.
    fn bundle() -> EndorserBundle {
        let members = [("a", 1), ("a", 2), ("b", 3), ("c", 4)];
        let endorser = |(operator, n): (&str, u8)| Endorser {
            operator: operator.parse().unwrap(),
            member: MemberId(u64::from(n)),
            public_key: key(n).public(),
        };
        let operator = |(name, number): (&str, u8)| OperatorKeys {
            operator: name.parse().unwrap(),
            trust_domain: TrustDomain::parse(&format!("{name}.example")).unwrap(),
            issuers: Keys::one(key(number.saturating_add(100)).public()),
            site_tags: Keys::one(key(number.saturating_add(110)).public()),
            roots: Keys::one(Digest([number; 32])),
            backups: Keys::one(BackupKey([number.saturating_add(60); 32])),
        };
        EndorserBundle {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            version: 1,
            terms: Digest([0; 32]),
            k: 2,
            endorsers: members.map(endorser).to_vec(),
            operators: [("a", 1), ("b", 2), ("c", 3)].map(operator).to_vec(),
        }
    }
    fn checkpoint() -> Checkpoint {
        Checkpoint {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            head: Head { size: 42, root: Digest([7; 32]) },
            revision: Revision(9),
            time: Timestamp(1_000),
        }
    }
    fn note(signers: &[(&str, u8)]) -> Vec<u8> {
        let line = |(operator, n): &(&str, u8)| {
            checkpoint()
                .sign(&operator.parse().unwrap(), MemberId(u64::from(*n)), &key(*n))
                .unwrap()
        };
        let lines: Vec<SignatureLine> = signers.iter().map(line).collect();
        assemble(&checkpoint().text().unwrap(), &lines)
    }

    #[test]
    fn k_distinct_operators_count_and_two_members_of_one_do_not() {
        let verified = verify_note(&bundle(), &note(&[("a", 1), ("c", 4)])).unwrap();
        assert_eq!(verified.checkpoint, checkpoint());
        assert_eq!(verified.operators.len(), 2);
        let same = verify_note(&bundle(), &note(&[("a", 1), ("a", 2)])).unwrap_err();
        let CheckpointError::TooFewOperators { need: 2, have, missing } = same else {
            panic!("{same}")
        };
        assert_eq!((have.len(), missing.len()), (1, 2));
        let none = verify_note(&bundle(), &note(&[])).map(|v| v.operators);
        assert!(matches!(
            none,
            Err(CheckpointError::Malformed | CheckpointError::TooFewOperators { .. })
        ));
        // A stranger's signature is passed over, as the note format wants; it does not count.
        let stranger = verify_note(&bundle(), &note(&[("a", 1), ("d", 9)]));
        assert!(matches!(stranger, Err(CheckpointError::TooFewOperators { .. })));
    }

    #[test]
    fn every_flipped_bit_of_a_note_that_has_just_enough_signatures_is_refused() {
        let good = note(&[("a", 1), ("b", 3)]);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(verify_note(&bundle(), &bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_note_of_another_life_or_with_another_spelling_is_refused() {
        let later = EndorserBundle { incarnation: Incarnation(2), ..bundle() };
        assert_eq!(
            verify_note(&later, &note(&[("a", 1), ("b", 3)])),
            Err(CheckpointError::WrongCluster)
        );
        let text = checkpoint().text().unwrap();
        for other in [
            text.replace("revision 9", "revision 09"),
            format!("{text}extra 1\n"),
            text.replace("time", "date"),
        ] {
            assert_eq!(Checkpoint::parse(&other), Err(CheckpointError::Malformed), "{other}");
        }
    }

    #[test]
    fn golden_text_of_version_1() {
        let text = checkpoint().text().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "sekisho/01010101010101010101010101010101");
        assert_eq!(lines[1], "42");
        assert_eq!(lines[3..], ["incarnation 1", "revision 9", "time 1000"]);
    }
}
