//! What the planner and its explanations read of a state, and the file in which that leaves a member.
//!
//! ```text
//! sekisho-scheduler-1 CLUSTER REVISION TIME\n ─ canonical bytes of the state ─ SHA-256 of all before
//! ```
//! Must hold: of this part the planner says what it says of the state, and `explain` too, of every open job; no key, token,
//! kept answer or sentence of a person is in it. A file that is not whole, or not as it was written, is refused.
//! Does not know: who may have it. The sum guards against accidents; whoever can change a file can make its sum.

use crate::offer::Veto;
use crate::reservation::Reservation;
use crate::snapshot::SnapshotError;
use crate::state::{Drain, Fate, Job, Node, Placement, Session, State};
use crate::table::Table;
use sekisho_evidence::tag::SignedTag;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::fitness::Unfit;
use sekisho_types::id::{ClusterId, Digest, PublicKey};
use sekisho_types::reservation::ReservationSpec;
use serde::Serialize;

/// First word of a file. A new layout is a new number.
const FORMAT: &str = "sekisho-scheduler-1";

/// Bytes of a file at most: some 900,000 open jobs beside 10,000 nodes. A member and whoever reads it hold all of it in memory.
pub const FILE_MAX: usize = 256 * 1024 * 1024;

/// Bytes of the sum at the end.
const SUM: usize = 32;

/// Why bytes are no such file, or there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Longer than [`FILE_MAX`].
    #[error("at most {FILE_MAX} bytes")]
    TooLarge,
    /// Something else, or another format.
    #[error("no scheduler snapshot that this program can read")]
    Format,
    /// Not as it was written.
    #[error("the scheduler snapshot is damaged")]
    Damaged,
    /// As it was written, by a program with other tables.
    #[error("the scheduler snapshot holds no state that this program can read")]
    State(#[from] SnapshotError),
}

impl FileError {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge => ErrorCode::TooLarge,
            Self::Format | Self::Damaged | Self::State(_) => ErrorCode::InvalidArgument,
        }
    }
}

/// What the planner reads of one moment.
#[derive(Debug, Clone)]
pub struct SchedulerSnapshot {
    /// Of which federation.
    pub cluster: ClusterId,
    /// The part of its state.
    pub state: State,
}

impl SchedulerSnapshot {
    /// That of a state; `None` before the first entry.
    #[must_use]
    pub fn of(state: &State) -> Option<Self> {
        let cluster = state.federation.as_ref()?.cluster;
        Some(Self { cluster, state: state.for_planning() })
    }

    fn header(&self) -> String {
        let State { revision, clock, .. } = &self.state;
        format!("{FORMAT} {} {revision} {clock}", self.cluster)
    }

    /// The file.
    ///
    /// # Errors
    /// [`FileError::TooLarge`].
    pub fn bytes(&self) -> Result<Vec<u8>, FileError> {
        let mut bytes = self.header().into_bytes();
        bytes.push(b'\n');
        bytes.extend(self.state.to_snapshot().map_err(SnapshotError::from)?);
        let sum = Digest::of(&bytes);
        bytes.extend(sum.0);
        if bytes.len() > FILE_MAX { Err(FileError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > FILE_MAX {
            return Err(FileError::TooLarge);
        }
        let (content, sum) = bytes.split_last_chunk::<SUM>().ok_or(FileError::Format)?;
        let mut parts = content.splitn(2, |byte| *byte == b'\n');
        let (header, body) = (parts.next().unwrap_or_default(), parts.next());
        let mut words = header.split(|byte| *byte == b' ');
        // Before the sum: what is another file is not called a damaged one.
        if words.next() != Some(FORMAT.as_bytes()) {
            return Err(FileError::Format);
        }
        if Digest::of(content).0 != *sum {
            return Err(FileError::Damaged);
        }
        let cluster = words.next().and_then(|word| std::str::from_utf8(word).ok());
        let cluster = cluster.and_then(|word| word.parse::<ClusterId>().ok());
        let (cluster, body) = cluster.zip(body).ok_or(FileError::Format)?;
        let snapshot = Self { cluster, state: State::from_snapshot(body)? };
        // It says of which moment it is in the one form.
        if snapshot.header().as_bytes() == header { Ok(snapshot) } else { Err(FileError::Damaged) }
    }
}

impl State {
    /// The part that the planner and `explain` read; jobs that are over are none of it. Nothing of the federation itself is:
    /// no place depends on it.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line for each table, and nothing else")]
    pub fn for_planning(&self) -> Self {
        // Every field by name: a new one makes the compiler ask whether a place depends on it.
        let Self {
            federation: _,
            revision,
            clock,
            feature_level,
            frontier: _,
            sites,
            nodes,
            tokens: _,
            keys: _,
            tenants,
            policies,
            quotas,
            budgets,
            escrows,
            offers,
            vetoes,
            reservations,
            stocks,
            powers,
            preemptions,
            fair,
            fair_base,
            jobs,
            queue,
            calls,
            dependents,
            unjudged: _,
            timers: _,
            ended: _,
            kept_jobs: _,
            placements,
            payloads: _,
            replies: _,
            reply_order: _,
            retired: _,
            landmarks: _,
            fixes: _,
            site_keys,
            ranges: _,
            convicted: _,
            area_only,
            countersigned: _,
            contradicted: _,
            journals: _,
            approvals: _,
            break_glasses: _,
        } = self;
        let jobs = part(jobs, open_job);
        let counts = |row: &Placement| !row.phase.is_ended() || jobs.contains(&row.grant.job);
        Self {
            revision: *revision,
            clock: *clock,
            feature_level: *feature_level,
            sites: sites.clone(),
            nodes: part(nodes, |row| Some(node(row))),
            tenants: tenants.clone(),
            policies: policies.clone(),
            quotas: quotas.clone(),
            budgets: budgets.clone(),
            escrows: escrows.clone(),
            offers: offers.clone(),
            vetoes: part(vetoes, |row| Some(Veto { reason: String::new(), ..row.clone() })),
            reservations: part(reservations, |row| Some(reservation(row))),
            stocks: stocks.clone(),
            powers: powers.clone(),
            preemptions: preemptions.clone(),
            fair: fair.clone(),
            fair_base: *fair_base,
            queue: queue.clone(),
            calls: calls.clone(),
            dependents: dependents.clone(),
            placements: part(placements, |row| counts(row).then(|| row.clone())),
            site_keys: site_keys.clone(),
            area_only: part(area_only, |row| row.missing.then(|| row.clone())),
            jobs: jobs.into(),
            ..Self::default()
        }
    }
}

/// The rows that `of` keeps, as it makes them. What it leaves as it is stays shared with the whole table.
fn part<K, V>(whole: &Table<K, V>, of: impl Fn(&V) -> Option<V>) -> Table<K, V>
where
    K: Ord + Clone + Serialize,
    V: Eq + Clone + Serialize,
{
    let mut part = whole.clone();
    for (key, row) in whole.iter() {
        match of(row) {
            None => drop(part.remove(key)),
            Some(made) if made == *row => {}
            Some(made) => part.insert(key.clone(), made),
        }
    }
    part
}

fn open_job(row: &Job) -> Option<Job> {
    let fate = |fate: &Fate| match fate {
        Fate::Requeue(_) => Fate::Requeue(String::new()),
        Fate::Fail(_) => Fate::Fail(String::new()),
        Fate::Cancel => Fate::Cancel,
        Fate::Move(_) => Fate::Move(String::new()),
    };
    let open = || Job { fate: row.fate.as_ref().map(fate), message: String::new(), ..row.clone() };
    (!row.phase.is_final()).then(open)
}

/// A reservation without words.
fn reservation(row: &Reservation) -> Reservation {
    let spec = ReservationSpec { message: String::new(), ..row.spec.clone() };
    Reservation { spec, ..row.clone() }
}

/// A node without what proves something of it to others, and without words. What its proof and its tag say stays.
fn node(row: &Node) -> Node {
    let session = |session: &Session| Session { before: Vec::new(), ..session.clone() };
    let drain = |drain: &Drain| Drain { message: String::new(), ..drain.clone() };
    let finding = |finding: &Unfit| Unfit { detail: String::new(), ..finding.clone() };
    Node {
        receipt_key: PublicKey([0; 32]),
        signed_tag: SignedTag(Vec::new()),
        session: row.session.as_ref().map(session),
        drain: row.drain.as_ref().map(drain),
        findings: row.findings.iter().map(finding).collect(),
        lapsed: None,
        ..row.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::testing::{self, Federation};

    /// One job runs, one is over, one waits; a node is drained.
    fn federation() -> Federation {
        let mut federation = Federation::furnished();
        federation.landmarks();
        federation.prove("tokyo-1/n-01", 1);
        let runs = federation.submit(testing::job("runs", 1, 1, &["JP-13"]));
        federation.place(&runs, &["tokyo-1/n-01"]);
        let over = federation.submit(testing::job("over", 1, 1, &[]));
        federation.submit(testing::job("waits", 2, 4, &[]));
        federation.accept(testing::user("kanto", "sapporo"), Command::CancelJob { job: over });
        let (node, within_s) = ("sakai-1/n-02".parse().unwrap(), Some(60));
        let drain = Command::DrainNode { node, within_s, message: "new cooling".to_owned() };
        federation.accept(testing::admin("naniwa"), drain);
        federation
    }

    #[test]
    fn nothing_secret_and_no_sentence_is_in_the_part() {
        let state = federation().state;
        let sapporo = testing::user("kanto", "sapporo");
        let node = "tokyo-1/n-01".parse().unwrap();
        let tag = state.nodes.get(&node).unwrap().signed_tag.0.clone();
        let transcript = &state.fixes.get(&node).unwrap().fix.transcripts[0];
        let secrets = [
            ("a registered key", testing::user_key(&sapporo).public().0.to_vec()),
            ("an administrator's", testing::user_key(&testing::admin("kanto")).public().0.to_vec()),
            ("a token's hash", state.tokens.iter().next().unwrap().0.0.to_vec()),
            ("a kept reply's key", state.replies.iter().next().unwrap().0.0.0.to_vec()),
            ("what a reply is of", state.replies.iter().next().unwrap().1.command.0.to_vec()),
            ("a node's receipt key", testing::receipt_key(&node).public().0.to_vec()),
            ("a signed tag", tag),
            ("a transcript", sekisho_evidence::canonical::encode(transcript).unwrap()),
            ("why a node is drained", b"new cooling".to_vec()),
            ("a job's message", b"waits for a place".to_vec()),
        ];
        let (whole, part) = (state.to_snapshot().unwrap(), state.for_planning());
        let part = part.to_snapshot().unwrap();
        let holds = |bytes: &[u8], it: &[u8]| bytes.windows(it.len()).any(|window| window == it);
        for (what, secret) in secrets {
            assert!(holds(&whole, &secret), "{what} is not looked for rightly");
            assert!(!holds(&part, &secret), "{what}");
        }
    }

    #[test]
    fn open_jobs_stay_with_what_they_hold() {
        let state = federation().state;
        let part = state.for_planning();
        let jobs: Vec<&str> = part.jobs().map(|(id, _)| id.name.as_str()).collect();
        assert_eq!(jobs, ["runs", "waits"]);
        assert_eq!((part.placements.len(), part.queue_len()), (1, 1));
        assert_eq!((part.revision(), part.clock()), (state.revision(), state.clock()));
        let node = "tokyo-1/n-01".parse().unwrap();
        assert_eq!(part.node(&node).unwrap().proof, state.node(&node).unwrap().proof);
        assert!(part.node(&node).unwrap().proof.is_some());
        // A part of a part is the same one.
        assert_eq!(part.for_planning().digest(), part.digest());
    }

    #[test]
    fn a_file_is_read_as_it_was_written_or_not_at_all() {
        assert!(SchedulerSnapshot::of(&State::default()).is_none());
        let state = federation().state;
        let snapshot = SchedulerSnapshot::of(&state).unwrap();
        let bytes = snapshot.bytes().unwrap();
        let header = format!(
            "sekisho-scheduler-1 {} {} {}\n",
            testing::cluster(),
            state.revision(),
            state.clock()
        );
        assert!(bytes.starts_with(header.as_bytes()));
        let read = SchedulerSnapshot::read(&bytes).unwrap();
        assert_eq!(read.cluster, testing::cluster());
        assert_eq!(read.state.digest(), state.for_planning().digest());
        assert_eq!(read.bytes().unwrap(), bytes);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            SchedulerSnapshot::read(&flipped).unwrap_err();
            SchedulerSnapshot::read(&bytes[..at]).unwrap_err();
        }
        let mut other = bytes.clone();
        other[18] = b'2';
        assert_eq!(SchedulerSnapshot::read(&other).unwrap_err(), FileError::Format);
        let last = bytes.len() - 1;
        let cut = SchedulerSnapshot::read(&bytes[..last]).unwrap_err();
        assert_eq!((&cut, cut.code()), (&FileError::Damaged, ErrorCode::InvalidArgument));
    }

    /// The sum is right, the header is of another moment than the state.
    #[test]
    fn a_header_that_does_not_fit_is_refused() {
        let snapshot = SchedulerSnapshot::of(&federation().state).unwrap();
        let summed = |header: String| {
            let mut bytes = header.into_bytes();
            bytes.push(b'\n');
            bytes.extend(snapshot.state.to_snapshot().unwrap());
            let sum = Digest::of(&bytes);
            bytes.extend(sum.0);
            SchedulerSnapshot::read(&bytes).map(|_| ())
        };
        assert_eq!(summed(snapshot.header()), Ok(()));
        assert_eq!(summed(format!("{} ", snapshot.header())), Err(FileError::Damaged));
        let (revision, clock) = (snapshot.state.revision, snapshot.state.clock);
        let other = format!("{FORMAT} {} 7 {clock}", snapshot.cluster);
        assert_eq!(summed(other), Err(FileError::Damaged));
        let upper = snapshot.cluster.to_string().to_uppercase();
        assert_eq!(summed(format!("{FORMAT} {upper} {revision} {clock}")), Err(FileError::Damaged));
        assert_eq!(summed(format!("{FORMAT} x {revision} {clock}")), Err(FileError::Format));
    }
}
