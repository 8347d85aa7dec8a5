//! Replay: every entry of the log, applied again to a fresh state, gives the same records byte for byte (R4, A2).
//!
//! Ticks leave no record, but they move the state clock. They are put back between two records: at most as many as
//! revisions are missing there, until the clock stands where the next record says. That many suffice in an honest
//! log; a clock that could not have come there is a finding.
//! Payloads are not in the log. A rejection *because of* a payload is reproduced with one that is certainly wrong.

use sekisho_evidence::canonical::decode;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::{Entry, FEATURE_LEVEL};
use sekisho_fsm::outcome::Applied;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::limit::CLOCK_STEP_MAX;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

/// Ticks put back beyond those that move the clock. They make the state forget old answers as the members did.
const IDLE_TICKS_MAX: u64 = 256;

/// Applies every entry again. Returns their number, and the state that they make.
///
/// # Errors
/// The first record that comes out different.
pub fn replay(
    genesis: &SignedGenesis,
    raw: &[&[u8]],
    records: &[Record],
) -> Result<(usize, State), String> {
    let mut replay = Replay { state: State::default(), tick: None };
    let (mut index, mut entries) = (0usize, 0usize);
    while let Some(record) = records.get(index) {
        let Body::Entry { entry, rejected } = &record.body else {
            return Err(format!("record {index} follows from no entry"));
        };
        let entry: Entry = decode(entry).map_err(|error| format!("record {index}: {error}"))?;
        if index == 0 && !begins(&entry, genesis) {
            return Err("the first record does not begin this federation".to_owned());
        }
        replay.catch_up(record, &entry).map_err(|why| format!("record {index}: {why}"))?;
        let next = replay.next_tick(&entry);
        let leaves = replay.leaves(record, entry, *rejected);
        replay.tick = next;
        if leaves.is_empty() {
            return Err(format!("record {index}: the entry leaves no record"));
        }
        for leaf in &leaves {
            if raw.get(index) != Some(&leaf.as_slice()) {
                return Err(format!(
                    "record {index} of revision {} comes out different",
                    record.revision
                ));
            }
            index = index.saturating_add(1);
        }
        entries = entries.saturating_add(1);
    }
    Ok((entries, replay.state))
}

fn begins(entry: &Entry, first: &SignedGenesis) -> bool {
    matches!(&entry.command, Command::Bootstrap(genesis) if **genesis == *first)
}

struct Replay {
    state: State,
    /// A tick of a first member of the incarnation.
    tick: Option<Entry>,
}

impl Replay {
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
            self.state.replay(Revision(before.0.saturating_add(used)), tick);
        }
        Ok(())
    }

    /// Applies the entry and returns its records.
    fn leaves(
        &mut self,
        record: &Record,
        mut entry: Entry,
        rejected: Option<ErrorCode>,
    ) -> Vec<Vec<u8>> {
        let before = self.state.clone();
        let applied = self.state.replay(record.revision, &entry);
        let by_payload =
            matches!(rejected, Some(ErrorCode::PayloadMismatch | ErrorCode::InvalidArgument));
        // Another refusal than the record's: without the payload, apply got further than it had.
        let as_told = |applied: &Applied| {
            applied.outcome.as_ref().err().map(|rejection| rejection.code) == rejected
        };
        if !by_payload || as_told(&applied) {
            return applied.leaves.into_iter().map(|leaf| leaf.record).collect();
        }
        // No digest is that of both: one of the two is the wrong payload, whatever the facts name.
        for wrong in [vec![0u8], vec![1u8]] {
            self.state = before.clone();
            entry.payload = wrong;
            let applied = self.state.replay(record.revision, &entry);
            if as_told(&applied) {
                return applied.leaves.into_iter().map(|leaf| leaf.record).collect();
            }
        }
        Vec::new()
    }
}
