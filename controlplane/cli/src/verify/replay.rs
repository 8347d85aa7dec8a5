//! Replay: every entry of the log, applied again to a fresh state, gives the same records byte for byte (R4, A2).
//!
//! Ticks at which nothing was due leave no record, but they move the state clock. They are put back between two records: at
//! most as many as revisions are missing there, until the clock stands where the next record says. That many suffice in an
//! honest log; a clock that could not have come there is a finding.
//! Payloads are not in the log. A rejection *because of* a payload is reproduced with one that is certainly wrong.

use super::pipeline::{self, Chunk, Read, Taker};
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::State;
use sekisho_fsm::apply::Ahead;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::{Entry, FEATURE_LEVEL};
use sekisho_fsm::outcome::Applied;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::limit::CLOCK_STEP_MAX;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Ticks put back beyond those that move the clock. They make the state forget old answers as the members did.
const IDLE_TICKS_MAX: u64 = 256;

/// Why records do not come out as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    /// The first one that does not.
    pub record: u64,
    /// Why.
    pub why: String,
}

/// Applies every entry again. Returns their number, and the state that they make.
///
/// # Errors
/// The first record that comes out different, in words.
pub fn replay(genesis: &SignedGenesis, raw: &[&[u8]]) -> Result<(usize, State), String> {
    let mut replay = Replay::new(genesis);
    let read = pipeline::run(raw, &mut [&mut replay]);
    let told = |record, why| format!("record {record}: {why}");
    read.map_err(|bad| told(bad.index, bad.why))?;
    replay.finish().map_err(|differs| told(differs.record, differs.why))
}

/// The state machine, run once more.
#[derive(Debug)]
pub struct Replay<'g> {
    genesis: &'g SignedGenesis,
    state: State,
    /// A tick of a first member of the incarnation.
    tick: Option<Entry>,
    /// Records that the last entry gave, and that have not come yet.
    due: VecDeque<Vec<u8>>,
    entries: usize,
    taken: u64,
    differs: Option<Differs>,
}

impl Taker for Replay<'_> {
    fn take(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        for (index, raw, read) in chunk.iter() {
            if let Err(why) = self.record(index, raw, read) {
                self.differs = Some(Differs { record: index, why });
                return ControlFlow::Break(());
            }
            self.taken = index.saturating_add(1);
        }
        ControlFlow::Continue(())
    }
}

impl<'g> Replay<'g> {
    /// Nothing applied yet.
    #[must_use]
    pub fn new(genesis: &'g SignedGenesis) -> Self {
        let (state, due) = (State::default(), VecDeque::new());
        Self { genesis, state, tick: None, due, entries: 0, taken: 0, differs: None }
    }

    /// After the last record: the number of entries, and the state.
    ///
    /// # Errors
    /// The first record that came out different.
    pub fn finish(self) -> Result<(usize, State), Differs> {
        if let Some(differs) = self.differs {
            return Err(differs);
        }
        if !self.due.is_empty() {
            let why = "the log ends within the records of one entry".to_owned();
            return Err(Differs { record: self.taken, why });
        }
        Ok((self.entries, self.state))
    }

    fn record(&mut self, index: u64, raw: &[u8], read: &Read) -> Result<(), String> {
        if self.due.is_empty() {
            let Some((entry, ahead)) = &read.entry else {
                return Err("follows from no entry".to_owned());
            };
            if index == 0 && !self.begins(entry) {
                return Err("the first record does not begin this federation".to_owned());
            }
            self.catch_up(&read.record, entry)?;
            let next = self.next_tick(entry);
            self.due = self.leaves(&read.record, entry, ahead).into();
            self.tick = next;
            self.entries = self.entries.saturating_add(1);
        }
        let due = self.due.pop_front().ok_or("the entry leaves no record")?;
        if due == raw {
            return Ok(());
        }
        Err(format!("revision {} comes out different", read.record.revision))
    }

    fn begins(&self, entry: &Entry) -> bool {
        matches!(&entry.command, Command::Bootstrap(genesis) if **genesis == *self.genesis)
    }

    /// What stands for the ticks after this entry: by whoever began the incarnation.
    fn next_tick(&mut self, entry: &Entry) -> Option<Entry> {
        let begins =
            matches!(entry.command, Command::Bootstrap(_) | Command::OpenIncarnation { .. });
        if !begins {
            return self.tick.take();
        }
        Some(Entry {
            command: Command::Tick,
            feature_level: FEATURE_LEVEL,
            signatures: Vec::new(),
            payload: Vec::new(),
            ..entry.clone()
        })
    }

    /// Puts ticks back until the clock is where this entry found it.
    fn catch_up(&mut self, record: &Record, entry: &Entry) -> Result<(), String> {
        let Some(tick) = &mut self.tick else { return Ok(()) };
        let before = self.state.revision();
        if record.revision <= before {
            return Err("its revision was used before".to_owned());
        }
        let step = u64::try_from(CLOCK_STEP_MAX.as_millis()).unwrap_or(u64::MAX);
        // An entry from further ahead than one step moved the clock by exactly one step.
        let found = if entry.proposed_at > record.time {
            Timestamp(record.time.0.saturating_sub(step).max(self.state.clock().0))
        } else {
            record.time
        };
        let free = record.revision.0.saturating_sub(before.0).saturating_sub(1);
        let (mut used, mut idle) = (0u64, 0u64);
        while used < free && (self.state.clock() < found || idle < IDLE_TICKS_MAX) {
            if self.state.clock() >= found {
                idle = idle.saturating_add(1);
            }
            used = used.saturating_add(1);
            tick.proposed_at = found;
            self.state.replay_idle(Revision(before.0.saturating_add(used)), tick);
        }
        Ok(())
    }

    /// Applies the entry and returns its records.
    fn leaves(&mut self, record: &Record, entry: &Entry, ahead: &Ahead) -> Vec<Vec<u8>> {
        let rejected = match &record.body {
            Body::Entry { rejected, .. } => *rejected,
            Body::Grant(_) | Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => {
                None
            }
        };
        let records = |applied: Applied| applied.leaves.into_iter().map(|leaf| leaf.record);
        let by_payload =
            matches!(rejected, Some(ErrorCode::PayloadMismatch | ErrorCode::InvalidArgument));
        if !by_payload {
            return records(self.state.replay_with(record.revision, entry, ahead.clone()))
                .collect();
        }
        // Kept only here: a second version makes the state's tables copy what they change.
        let before = self.state.clone();
        // Another refusal than the record's: without the payload, apply got further than it had.
        let as_told = |applied: &Applied| {
            applied.outcome.as_ref().err().map(|rejection| rejection.code) == rejected
        };
        let applied = self.state.replay_with(record.revision, entry, ahead.clone());
        if as_told(&applied) {
            return records(applied).collect();
        }
        // No digest is that of both: one of the two is the wrong payload, whatever the facts name.
        for wrong in [vec![0u8], vec![1u8]] {
            self.state = before.clone();
            let entry = Entry { payload: wrong, ..entry.clone() };
            let applied = self.state.replay_with(record.revision, &entry, ahead.clone());
            if as_told(&applied) {
                return records(applied).collect();
            }
        }
        Vec::new()
    }
}
