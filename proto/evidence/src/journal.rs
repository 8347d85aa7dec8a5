//! The journal of denials: what a member refused before the log, as a hash chain of its own (A2).
//!
//! An entry's bytes are canonical; the chain goes on with `SHA-256(label ‖ previous ‖ bytes)`, and begins with the
//! federation and the member, whose number no other life of the federation uses again. The member has the chain's head
//! recorded through the log, so that what it kept cannot be changed afterwards without that being seen.
//!
//! Must hold: bounded entries, one spelling; between two heads exactly one sequence of entries fits. What a member does
//! not write down at all, nobody learns from here.

use crate::canonical::{CanonicalError, decode, encode};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, MemberId, RequestId};
use sekisho_types::principal::Principal;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

const START: &[u8] = b"sekisho/denial-journal/v1\0start\0";
const NEXT: &[u8] = b"sekisho/denial-journal/v1\0next\0";

/// Longest text of an entry, bytes: a method's path or a resource's name. Longer ones are cut.
pub const FIELD_MAX: usize = 160;
/// Bytes of an entry, at most: three texts of [`FIELD_MAX`], and less than 150 besides.
pub const DENIAL_MAX: usize = 640;

/// Entries that a member keeps at most, the newest: what the store retains is held to it. Whoever reads a journal believes no
/// longer one, and so needs no more than 320 MB for it.
pub const KEPT_MAX: u64 = 500_000;

/// Who was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Peer {
    /// Whom the certificate names.
    Principal(Principal),
    /// Nobody that is known: where the connection came from, at most [`FIELD_MAX`] bytes.
    Address(String),
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// When, by the member's wall clock.
    pub at: Timestamp,
    /// Who was refused.
    pub peer: Peer,
    /// What was called, e.g. `/sekisho.v1.JobService/SubmitJob`; `tls` for a handshake.
    pub method: String,
    /// On what, as far as that is known.
    pub target: String,
    /// Why.
    pub code: ErrorCode,
    /// The request id that the caller gave.
    pub request: Option<RequestId>,
}

/// Refusals that were counted instead of written down: their sender had more than its share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summed {
    /// The first of them, by the member's wall clock.
    pub from: Timestamp,
    /// The last of them.
    pub to: Timestamp,
    /// Whose; nobody's for those of peers of which there were too many to count apart.
    pub peer: Option<Peer>,
    /// How many.
    pub count: u64,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A refusal.
    Denied(Denial),
    /// Many.
    Summed(Summed),
}

/// Where a member's journal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JournalHead {
    /// Whose journal.
    pub member: MemberId,
    /// Entries.
    pub count: u64,
    /// The chain's hash after them.
    pub head: Digest,
}

/// Why entries are not those between two heads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// An entry, or a text in it, is longer than its bound.
    #[error("an entry of the journal is larger than its bound")]
    TooLarge,
    /// Not in the one canonical form.
    #[error("an entry of the journal is not readable: {0}")]
    Form(#[from] CanonicalError),
    /// Heads of two members, or in the wrong order.
    #[error("the two heads are not of one journal in this order")]
    Heads,
    /// More or fewer entries than the heads say.
    #[error("{have} entries of the journal, {need} are between the heads")]
    Count {
        /// How many the heads say.
        need: u64,
        /// How many there are.
        have: u64,
    },
    /// They lead elsewhere.
    #[error("the entries of the journal do not lead to the recorded head")]
    Chain,
}

/// The longest beginning of `text` that an entry takes.
#[must_use]
pub fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(FIELD_MAX)).unwrap_or_default().to_owned()
}

impl Peer {
    fn fits(&self) -> bool {
        match self {
            Self::Principal(_) => true,
            Self::Address(address) => address.len() <= FIELD_MAX,
        }
    }
}

impl Entry {
    fn fits(&self) -> bool {
        match self {
            Self::Denied(denial) => {
                denial.peer.fits()
                    && denial.method.len() <= FIELD_MAX
                    && denial.target.len() <= FIELD_MAX
            }
            Self::Summed(summed) => summed.peer.as_ref().is_none_or(Peer::fits),
        }
    }

    /// Canonical bytes.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`] for texts over [`FIELD_MAX`].
    pub fn bytes(&self) -> Result<Vec<u8>, JournalError> {
        if !self.fits() {
            return Err(JournalError::TooLarge);
        }
        Ok(encode(self)?)
    }

    /// Reads what [`Self::bytes`] wrote.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`], [`JournalError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, JournalError> {
        if bytes.len() > DENIAL_MAX {
            return Err(JournalError::TooLarge);
        }
        let entry: Self = decode(bytes)?;
        if entry.fits() { Ok(entry) } else { Err(JournalError::TooLarge) }
    }
}

impl JournalHead {
    /// The head of a journal without entries.
    #[must_use]
    pub fn start(cluster: &ClusterId, member: MemberId) -> Self {
        let bytes = [START, &cluster.0, &member.0.to_be_bytes()].concat();
        Self { member, count: 0, head: Digest::of(&bytes) }
    }

    /// The head after one more entry with these bytes.
    #[must_use]
    pub fn next(&self, entry: &[u8]) -> Self {
        let head = Digest::of(&[NEXT, &self.head.0, entry].concat());
        Self { member: self.member, count: self.count.saturating_add(1), head }
    }

    /// Checks that exactly these entries lie between this head and a later one, and reads them.
    ///
    /// # Errors
    /// The first [`JournalError`].
    pub fn leads_to(
        &self,
        later: &Self,
        entries: &[impl AsRef<[u8]>],
    ) -> Result<Vec<Entry>, JournalError> {
        let need = later.count.checked_sub(self.count).ok_or(JournalError::Heads)?;
        if self.member != later.member {
            return Err(JournalError::Heads);
        }
        let have = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        if have != need {
            return Err(JournalError::Count { need, have });
        }
        let (mut head, mut read) = (*self, Vec::with_capacity(entries.len()));
        for bytes in entries {
            read.push(Entry::parse(bytes.as_ref())?);
            head = head.next(bytes.as_ref());
        }
        if head == *later { Ok(read) } else { Err(JournalError::Chain) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::name::NAME_MAX;
    use sekisho_types::principal::Workload;

    fn denial(n: u64) -> Entry {
        Entry::Denied(Denial {
            at: Timestamp(n.saturating_add(1_000)),
            peer: Peer::Address("192.0.2.7:9".into()),
            method: "/a/B".into(),
            target: "nodes/x".into(),
            code: ErrorCode::ResidencyArea,
            request: Some(RequestId([2; 16])),
        })
    }

    fn start() -> JournalHead {
        JournalHead::start(&ClusterId([1; 16]), MemberId(3))
    }

    fn written(count: u64) -> (Vec<Vec<u8>>, Vec<JournalHead>) {
        let (mut heads, mut entries) = (vec![start()], Vec::new());
        for n in 0..count {
            let bytes = denial(n).bytes().unwrap();
            heads.push(heads.last().unwrap().next(&bytes));
            entries.push(bytes);
        }
        (entries, heads)
    }

    #[test]
    fn any_slice_leads_from_its_head_to_its_head() {
        let (entries, heads) = written(6);
        for from in 0..=6 {
            for to in from..=6 {
                let read = heads[from].leads_to(&heads[to], &entries[from..to]).unwrap();
                assert_eq!(read.len(), to - from);
            }
        }
    }

    #[test]
    fn changed_dropped_swapped_and_added_entries_do_not() {
        let (entries, heads) = written(4);
        let check = |entries: &[Vec<u8>]| heads[0].leads_to(&heads[4], entries);
        let (mut changed, mut swapped, mut more) =
            (entries.clone(), entries.clone(), entries.clone());
        changed[2] = denial(77).bytes().unwrap();
        assert_eq!(check(&changed), Err(JournalError::Chain));
        swapped.swap(0, 3);
        assert_eq!(check(&swapped), Err(JournalError::Chain));
        more.push(denial(4).bytes().unwrap());
        assert_eq!(check(&more), Err(JournalError::Count { need: 4, have: 5 }));
        assert_eq!(check(&entries[..3]), Err(JournalError::Count { need: 4, have: 3 }));
        let backwards = heads[4].leads_to(&heads[0], &entries);
        assert_eq!(backwards, Err(JournalError::Heads));
        let other = JournalHead::start(&ClusterId([1; 16]), MemberId(4));
        assert_eq!(other.leads_to(&heads[4], &entries), Err(JournalError::Heads));
        let elsewhere = JournalHead::start(&ClusterId([2; 16]), MemberId(3));
        assert_eq!(elsewhere.leads_to(&heads[4], &entries), Err(JournalError::Chain));
        let unreadable = vec![vec![9_u8]; 4];
        assert!(matches!(check(&unreadable), Err(JournalError::Form(_))));
    }

    #[test]
    fn entries_are_bounded() {
        let name = "n".repeat(NAME_MAX);
        let principal = Principal {
            operator: name.parse().unwrap(),
            workload: Workload::Agent { site: name.parse().unwrap(), node: name.parse().unwrap() },
        };
        let Entry::Denied(denial) = denial(u64::MAX - 1_000) else { panic!() };
        for peer in [Peer::Principal(principal), Peer::Address("x".repeat(FIELD_MAX))] {
            let longest = Entry::Denied(Denial {
                peer,
                method: "m".repeat(FIELD_MAX),
                target: "t".repeat(FIELD_MAX),
                ..denial.clone()
            });
            let bytes = longest.bytes().unwrap();
            assert_eq!(Entry::parse(&bytes), Ok(longest));
        }
        let long = Entry::Denied(Denial { target: "t".repeat(FIELD_MAX + 1), ..denial });
        assert_eq!(long.bytes(), Err(JournalError::TooLarge));
        assert_eq!(Entry::parse(&encode(&long).unwrap()), Err(JournalError::TooLarge));
        assert_eq!(Entry::parse(&vec![0; DENIAL_MAX + 1]), Err(JournalError::TooLarge));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("関所"), "関所");
        assert_eq!(cut(&"関".repeat(FIELD_MAX)).len(), 159);
    }

    #[test]
    fn golden_bytes_of_version_1() {
        let text = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let entry = denial(0).bytes().unwrap();
        let expected = concat!(
            "00e807010b3139322e302e322e373a39042f612f42076e6f6465732f780101",
            "02020202020202020202020202020202"
        );
        assert_eq!(text(&entry), expected);
        assert_eq!(
            text(&start().head.0),
            "2ba1e42ca58cf72605fe823150b42df93505faf94539aa2d1c9af838fcf3927e"
        );
        assert_eq!(
            text(&start().next(&entry).head.0),
            "c7732005ad0d1e83bda30c97ee5397446433116f02529b80f2418a70e36b3027"
        );
    }
}
