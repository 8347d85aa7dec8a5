//! What has to hold, checked at each step and once more from the beginning.
//!
//! It knows every log entry that any disk was given, every applied entry, every published state and every answer that
//! a client got. At the end it applies the log by itself, to a state of its own, and compares everything with that.
//! Promises: R1, R2, R3, R4, R8, A1, and the state's own invariants; R7 is checked where disks fail ([`super::nemesis`]).

use super::wire::{self, LogId, Payload, Vote};
use super::world::{FINGERPRINT, World, fingerprint};
use parking_lot::Mutex;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::outcome::Outcome;
use sekisho_fsm::role::is_deduplicated;
use sekisho_fsm::{State, invariant};
use sekisho_raft::consensus::Committed;
use sekisho_raft::disk::LogDisk;
use sekisho_raft::view::View;
use sekisho_types::id::{Digest, RequestId};
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a client was told.
#[derive(Debug)]
struct Answer {
    request: RequestId,
    committed: Committed,
}

/// What became of an intention, as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Each try was refused before it had any effect.
    Refused,
    /// Some try may have had one.
    Unknown,
}

#[derive(Debug, Default)]
struct Book {
    /// Log id to content, of everything that any member wrote.
    contents: BTreeMap<LogId, u64>,
    /// Index to what was applied there first.
    applied: BTreeMap<u64, (LogId, Arc<[u8]>)>,
    digests: BTreeMap<u64, Digest>,
    records: BTreeMap<u64, u64>,
    votes: BTreeMap<u64, Vote>,
    /// Where the newest snapshot of a member ends.
    snapshots: BTreeMap<u64, u64>,
    answers: Vec<Answer>,
    /// Intentions that ended without an answer.
    unanswered: Vec<(RequestId, Fate)>,
    /// The furthest revision that any client was told of.
    told: Option<u64>,
    leaders: BTreeSet<(u64, u64)>,
}

/// The oracle of one run. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Oracle {
    world: World,
    book: Arc<Mutex<Book>>,
}

impl Oracle {
    pub(super) fn new(world: &World) -> Self {
        Self { world: world.clone(), book: Arc::default() }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// R8, log matching: a log id has one content, on whatever member and however often it is written.
    pub(super) fn appended(&self, member: u64, index: u64, bytes: &[u8]) {
        let Some(entry) = wire::read::<wire::Entry<'_>>(bytes) else {
            return self
                .world
                .violation(&format!("member {member} logs an unreadable entry {index}"));
        };
        let (id, content) = (entry.id, fingerprint(bytes, FINGERPRINT));
        let first = *self.book.lock().contents.entry(id).or_insert(content);
        if first != content || id.index != index {
            self.world.violation(&format!(
                "R8 log matching: member {member} logs at {index} as {id:?} what another log does not have there"
            ));
        }
        if self.book.lock().leaders.insert((id.term, id.leader)) {
            self.world.count(|totals| totals.leaders += 1);
        }
    }

    /// A vote never goes back, not even by a crash.
    pub(super) fn voted(&self, member: u64, bytes: &[u8]) {
        let Some(vote) = wire::read::<Vote>(bytes) else {
            return self.world.violation(&format!("member {member} saves an unreadable vote"));
        };
        let before = self.book.lock().votes.insert(member, vote);
        if before.is_some_and(|before| before > vote) {
            self.world.violation(&format!(
                "R8: the vote of member {member} goes from {before:?} to {vote:?}"
            ));
        }
    }

    /// A1, R4: the audit log is one.
    pub(super) fn recorded(&self, member: u64, index: u64, record: &[u8]) {
        let content = fingerprint(record, FINGERPRINT);
        if *self.book.lock().records.entry(index).or_insert(content) != content {
            self.world.violation(&format!(
                "A1: member {member} has another audit record {index} than the others"
            ));
        }
    }

    /// A member saved a snapshot, its own or another's.
    pub(super) fn saved(&self, member: u64, meta: &[u8]) {
        if let Some(end) = wire::snapshot_end(meta) {
            self.book.lock().snapshots.insert(member, end.index);
        }
    }

    /// A member published a state. `seen` is the last position that it published before.
    pub(super) fn published(
        &self,
        member: u64,
        log: &dyn LogDisk,
        view: &View,
        seen: &mut Option<u64>,
    ) {
        let Some(applied) = view.applied.map(|revision| revision.0) else { return };
        if seen.is_some_and(|seen| seen > applied) {
            self.world
                .violation(&format!("R5: member {member} goes back from {seen:?} to {applied}"));
        }
        let from = seen.map_or(0, |seen| seen.saturating_add(1));
        let from = from.max(log.first_index().unwrap_or(u64::MAX));
        // A state that came as a snapshot says nothing about a log that is yet to be cut.
        let taken =
            *seen < Some(applied) && self.book.lock().snapshots.get(&member) == Some(&applied);
        *seen = Some(applied);
        if from <= applied && !taken {
            match log.read(from..applied.saturating_add(1), usize::MAX) {
                Ok(rows) => {
                    rows.into_iter().for_each(|(index, bytes)| self.applied(member, index, bytes));
                }
                // Its process has just ended.
                Err(_closed) => return,
            }
        }
        self.state(member, applied, &view.state);
    }

    /// R8, state machine safety: what one member applied at an index no other replaces.
    fn applied(&self, member: u64, index: u64, bytes: Arc<[u8]>) {
        let Some(entry) = wire::read::<wire::Entry<'_>>(&bytes) else { return };
        let id = entry.id;
        let mut book = self.book.lock();
        let first = book.applied.entry(index).or_insert_with(|| (id, Arc::clone(&bytes)));
        let same = *first == (id, bytes);
        let before = first.0;
        drop(book);
        if !same {
            self.world.violation(&format!(
                "R8 state machine safety: member {member} applies {id:?} at {index}, where {before:?} was applied before"
            ));
        }
    }

    /// R4, and the state's own invariants, once for each position.
    fn state(&self, member: u64, applied: u64, state: &State) {
        let Ok(digest) = state.digest() else {
            return self.world.violation(&format!("member {member} has no digest at {applied}"));
        };
        let mut book = self.book.lock();
        let known = book.digests.insert(applied, digest);
        drop(book);
        match known {
            Some(known) if known != digest => {
                self.world.violation(&format!(
                    "R4: member {member} has another state at {applied} than the others"
                ));
            }
            Some(_) => {}
            None => {
                self.world.count(|totals| totals.states += 1);
                if let Err(broken) = invariant::check(state) {
                    self.world.violation(&format!("member {member} at {applied}: {broken}"));
                }
            }
        }
    }

    /// A client got an answer.
    pub(super) fn answered(&self, request: RequestId, committed: Committed) {
        self.world.count(|totals| totals.acknowledged += 1);
        let mut book = self.book.lock();
        book.told = book.told.max(Some(committed.revision.0));
        book.answers.push(Answer { request, committed });
    }

    /// A client gave up.
    pub(super) fn unanswered(&self, request: RequestId, fate: Fate) {
        self.book.lock().unanswered.push((request, fate));
    }

    /// What a read that begins now has to show.
    pub(super) fn told(&self) -> Option<u64> {
        self.book.lock().told
    }

    /// R2, R8: a read shows what was acknowledged before it began, and never less than the reader saw before.
    pub(super) fn read(&self, reader: u64, need: Option<u64>, view: &View, seen: &mut Option<u64>) {
        self.world.count(|totals| totals.reads += 1);
        let shown = view.applied.map(|revision| revision.0);
        if shown < need {
            self.world.violation(&format!(
                "R2: a read of client {reader} shows {shown:?}, {need:?} was acknowledged before"
            ));
        }
        if shown < *seen {
            self.world.violation(&format!(
                "R8 monotone reads: client {reader} sees {shown:?} after {seen:?}"
            ));
        }
        *seen = shown.max(*seen);
    }

    /// The furthest position that any member applied.
    pub(super) fn furthest(&self) -> Option<u64> {
        self.book.lock().applied.keys().next_back().copied()
    }

    /// Applies the log from its beginning and holds every answer and every state against it.
    pub(super) fn judge(&self) {
        let book = self.book.lock();
        let (mut state, mut outcomes) = (State::default(), BTreeMap::new());
        // First index of each request, by who asked.
        let mut first: BTreeMap<RequestId, u64> = BTreeMap::new();
        for (expected, (index, (_, bytes))) in (0_u64..).zip(&book.applied) {
            if expected != *index {
                return self
                    .world
                    .violation(&format!("nobody applied {expected}, but somebody {index}"));
            }
            if let Some(entry) = normal(bytes) {
                let outcome = state.apply(Revision(*index), &entry).outcome;
                first.entry(entry.request).or_insert(*index);
                outcomes.insert(*index, (entry, outcome));
            }
            let own = state.digest().ok();
            if book.digests.get(index).is_some_and(|seen| Some(*seen) != own) {
                return self.world.violation(&format!(
                    "R4: the log up to {index} gives another state than the members have"
                ));
            }
        }
        self.world.count(|totals| {
            totals.committed += u64::try_from(book.applied.len()).unwrap_or(u64::MAX);
        });
        for answer in &book.answers {
            if let Err(what) = check(answer, &outcomes, &first) {
                self.world.violation(&what);
            }
        }
        for (request, fate) in &book.unanswered {
            if *fate == Fate::Refused && first.contains_key(request) {
                self.world.violation(&format!(
                    "R3: request {request:?} was refused without effect and is in the log"
                ));
            }
        }
    }
}

/// The entry of ours in these bytes, if there is one.
fn normal(bytes: &[u8]) -> Option<Entry> {
    let entry: wire::Entry<'_> = wire::read(bytes)?;
    match entry.payload {
        Payload::Normal(bytes) => sekisho_evidence::canonical::decode(bytes).ok(),
        Payload::Blank | Payload::Membership(..) => None,
    }
}

/// R1 and R3 for one answer.
fn check(
    answer: &Answer,
    outcomes: &BTreeMap<u64, (Entry, Outcome)>,
    first: &BTreeMap<RequestId, u64>,
) -> Result<(), String> {
    let Answer { request, committed } = answer;
    let at = committed.revision.0;
    let Some((entry, outcome)) = outcomes.get(&at) else {
        return Err(format!("R1: acknowledged at {at} and not in the log: {request:?}"));
    };
    if entry.request != *request {
        return Err(format!("R1: another request than the acknowledged {request:?} is at {at}"));
    }
    if *outcome != committed.outcome {
        return Err(format!(
            "R3: {request:?} at {at} gives {outcome:?}, its client was told {:?}",
            committed.outcome
        ));
    }
    if is_deduplicated(&entry.command) && first.get(request) != Some(&at) {
        return Err(format!(
            "R3: {request:?} took effect at {:?} and again at {at}",
            first.get(request)
        ));
    }
    Ok(())
}
