//! What an earlier export knows and a later one does not: nothing, what a new incarnation lost, or a fork.
//!
//! Must hold (A1): within one incarnation the earlier one is a prefix for ever. Past the head that a later incarnation
//! begins from, what differs is lost, and is told command by command; anything else that differs is a fork.

use sekisho_evidence::canonical::decode;
use sekisho_evidence::opening::Cause;
use sekisho_evidence::package::opening;
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::terms::Agreement;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::error_code::Language;
use sekisho_types::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// A new beginning, as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// The incarnation.
    pub incarnation: u64,
    /// Index of its record.
    pub record: u64,
    /// When it was opened.
    pub opened: String,
    /// From a surviving member, or from a backup.
    pub recovered: bool,
    /// Who opened it.
    pub by: Vec<String>,
    /// Records of the incarnation before that it begins with.
    pub restored: u64,
    /// Records of the incarnation before under the largest head that was presented.
    pub highest: u64,
}

impl Begun {
    /// Records of the incarnation before that somebody knows and this log lacks.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.highest.saturating_sub(self.restored)
    }

    /// In one line.
    #[must_use]
    pub fn line(&self, language: Language) -> String {
        let Self { incarnation, record, opened, recovered, restored, highest, .. } = self;
        let (by, lost) = (self.by.join(", "), self.lost());
        match language {
            Language::En => {
                let how = if *recovered { "recovered" } else { "restored" };
                format!(
                    "incarnation {incarnation}: opened {opened} by {by} ({how}) at record {record}, \
                     from {restored} records; largest head presented {highest}: {lost} records lost"
                )
            }
            Language::Ja => {
                let how = if *recovered { "復旧" } else { "復元" };
                format!(
                    "第 {incarnation} 世代: {opened} に {by} が開始 ({how})、記録 {record}、\
                     引き継いだ記録 {restored} 件、提示された最大のヘッド {highest} 件、失われた記録 {lost} 件"
                )
            }
        }
    }
}

/// The new beginning that an accepted agreement in record `index` makes.
#[must_use]
pub fn begun(index: u64, agreement: &Agreement) -> Option<Begun> {
    let opening = opening(agreement)?;
    Some(Begun {
        incarnation: agreement.signed.bundle.incarnation.0,
        record: index,
        opened: opening.opened.to_string(),
        recovered: opening.cause == Cause::Recovered,
        by: opening.openers().iter().map(ToString::to_string).collect(),
        restored: opening.restored.head.size,
        highest: opening.shown(),
    })
}

/// A command that one log has and the other lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Index of its record in the log that has it.
    pub record: u64,
    /// State clock.
    pub time: Timestamp,
    /// Who asked.
    pub actor: String,
    /// What for.
    pub command: String,
}

/// The accepted commands of these records, the first of which is record `first`.
#[must_use]
pub fn commands(records: &[Record], first: u64) -> Vec<Lost> {
    let numbered = records.iter().zip(first..);
    let told = numbered.filter_map(|(record, index)| {
        let Body::Entry { entry, rejected: None } = &record.body else { return None };
        let entry: Entry = decode(entry).ok()?;
        Some(Lost {
            record: index,
            time: record.time,
            actor: entry.actor.to_string(),
            command: command_name(&entry.command),
        })
    });
    told.collect()
}

/// The command's word, without its fields; of a batch, how many it has of each.
#[must_use]
pub fn command_name(command: &Command) -> String {
    if let Command::Propose { joint, .. } = command {
        return format!("Propose: {}", word(joint));
    }
    let Command::Batch(items) = command else { return word(command) };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let count = counts.entry(word(item)).or_default();
        *count = count.saturating_add(1);
    }
    let counts = counts.iter().map(|(word, count)| format!("{count} {word}"));
    format!("Batch: {}", counts.collect::<Vec<_>>().join(", "))
}

/// The head of the debug form.
fn word(command: &impl std::fmt::Debug) -> String {
    let debug = format!("{command:?}");
    debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// How an earlier export stands to a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Earlier {
    /// All of it is there.
    Prefix,
    /// What follows these records was lost when an incarnation was opened.
    Lost {
        /// Records that both have.
        kept: u64,
        /// Accepted commands of the earlier one after them.
        commands: Vec<Lost>,
    },
    /// They differ where nothing was lost: somebody shows two histories.
    Fork {
        /// First record that differs.
        at: u64,
    },
}

/// Compares an export of `incarnation` with a later one, both verified. `openings` are those of the later one.
///
/// # Errors
/// A record that cannot be read.
pub fn compare(
    earlier: &[&[u8]],
    incarnation: u64,
    (later, openings): (&[&[u8]], &[Begun]),
) -> Result<Earlier, String> {
    let same = earlier.iter().zip(later).take_while(|(a, b)| a == b).count();
    let Some(rest) = earlier.get(same..).filter(|rest| !rest.is_empty()) else {
        return Ok(Earlier::Prefix);
    };
    let at = u64::try_from(same).unwrap_or(u64::MAX);
    let next = openings.iter().find(|begun| begun.incarnation > incarnation);
    // The opening's own record takes the place of the first one that was lost.
    if next.is_none_or(|begun| begun.restored != at) {
        return Ok(Earlier::Fork { at });
    }
    let read = |(index, bytes): (u64, &&[u8])| {
        Record::parse(bytes).map_err(|error| format!("record {index}: {error}"))
    };
    let rest = (at..).zip(rest).map(read).collect::<Result<Vec<_>, String>>()?;
    Ok(Earlier::Lost { kept: at, commands: commands(&rest, at) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::command::Item;
    use sekisho_types::id::JobId;

    #[test]
    fn a_command_is_named_without_its_fields() {
        let job: JobId = "a/b".parse().unwrap();
        assert_eq!(command_name(&Command::CancelJob { job: job.clone() }), "CancelJob");
        assert_eq!(command_name(&Command::Tick), "Tick");
        let node = "tokyo-1/n-01".parse().unwrap();
        let cordon = Item::SetSchedulable { node, schedulable: false };
        let cancel = Item::CancelJob { job };
        let batch = Command::Batch(vec![cancel.clone(), cordon, cancel]);
        assert_eq!(command_name(&batch), "Batch: 2 CancelJob, 1 SetSchedulable");
    }
}
