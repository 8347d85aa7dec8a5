//! Every emergency right that a log tells of: who took it, why, when, and each entry that nothing else allowed.

use super::lost::command_name;
use super::pipeline::{Chunk, Read, Taker};
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::error_code::Language;
use sekisho_types::revision::Revision;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Uses shown to people for each; the data has all.
const USES_SHOWN: usize = 20;

/// An entry that only a break-glass allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Use {
    /// Index of its record.
    pub record: u64,
    /// State clock.
    pub time: String,
    /// What was done.
    pub command: String,
}

/// An emergency right that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenGlass {
    /// The entry that opened it.
    pub revision: u64,
    /// Index of its record.
    pub record: u64,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// Until when it was asked for.
    pub until: String,
    /// Who ended it before, and when.
    pub ended: Option<String>,
    /// What was done by it.
    pub uses: Vec<Use>,
}

impl BrokenGlass {
    /// In words: one line, and one for each use.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        let Self { revision, by, reason, since, until, uses, .. } = self;
        let until = self.ended.as_ref().unwrap_or(until);
        let (count, quoted) = (uses.len(), reason.escape_debug());
        let head = match language {
            Language::En => format!(
                "break-glass {revision}: {by}, {since} to {until}, \"{quoted}\": {count} entries"
            ),
            Language::Ja => format!(
                "緊急権限 {revision}: {by}、{since} から {until}、「{quoted}」、実行 {count} 件"
            ),
        };
        let shown = uses.iter().take(USES_SHOWN);
        let shown = shown.map(|one| format!("      {}  {}  {}", one.record, one.time, one.command));
        std::iter::once(head).chain(shown).collect()
    }
}

/// Every emergency right of a log, record by record.
#[derive(Debug, Default)]
pub struct Glasses {
    found: BTreeMap<Revision, BrokenGlass>,
    /// The entry whose further records are being read.
    last: Option<Use>,
}

impl Taker for Glasses {
    fn take(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        for (index, _, read) in chunk.iter() {
            self.record(index, read);
        }
        ControlFlow::Continue(())
    }
}

impl Glasses {
    fn record(&mut self, index: u64, read: &Read) {
        let record = &read.record;
        match &record.body {
            Body::Entry { rejected, .. } => {
                self.last = None;
                let Some((entry, _)) = read.entry.as_ref().filter(|_| rejected.is_none()) else {
                    return;
                };
                self.last = Some(Use {
                    record: index,
                    time: record.time.to_string(),
                    command: command_name(&entry.command),
                });
                note(&mut self.found, (index, record), entry);
            }
            Body::BreakGlass { opened } => {
                if let (Some(row), Some(last)) = (self.found.get_mut(opened), self.last.take()) {
                    row.uses.push(last);
                }
            }
            Body::Grant(_) | Body::Desired(_) | Body::Approval { .. } => {}
        }
    }

    /// After the last record.
    #[must_use]
    pub fn finish(self) -> Vec<BrokenGlass> {
        self.found.into_values().collect()
    }
}

/// Takes in that one was opened or ended.
fn note(
    found: &mut BTreeMap<Revision, BrokenGlass>,
    (index, record): (u64, &Record),
    entry: &Entry,
) {
    if let Command::BreakGlass { reason, until } = &entry.command {
        let row = BrokenGlass {
            revision: record.revision.0,
            record: index,
            by: entry.actor.to_string(),
            reason: reason.clone(),
            since: record.time.to_string(),
            until: until.to_string(),
            ended: None,
            uses: Vec::new(),
        };
        found.insert(record.revision, row);
    } else if let Command::EndBreakGlass { opened } = &entry.command
        && let Some(row) = found.get_mut(opened)
    {
        row.ended = Some(record.time.to_string());
    }
}
