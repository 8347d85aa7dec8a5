//! Members' journals of denials against what the log recorded of them.
//!
//! Must hold (A2): each entry is in its one form and in the chain; every head that the log recorded lies on it; what is
//! missing is named, and never taken as good. What a member refused and did not write down, nobody learns from here.

use super::census::{Census, add};
use super::heard::Heard;
use super::report::{Report, Step};
use sekisho_evidence::audit_bundle::{Journal, Kept};
use sekisho_evidence::bundle::Endorser;
use sekisho_evidence::journal::{Entry, JournalHead};
use sekisho_types::id::{ClusterId, MemberId};
use std::collections::BTreeMap;

/// Judges every journal of a bundle. Who should have told one: whoever had a head of it recorded, and every member whose
/// signature counts at the end of the log. The tail is the exporter's word: who is not in it, has not told anything.
pub(super) fn judge(
    cluster: &ClusterId,
    journals: &[Journal<&[u8]>],
    (heard, endorsers): (&Heard, &[Endorser]),
    census: &mut Census,
    report: &mut Report,
) {
    let mut entries = 0u64;
    for journal in journals {
        let none = Vec::new();
        let recorded = heard.journals.get(&journal.member).unwrap_or(&none);
        match walk(cluster, journal, recorded) {
            Ok(Walked::Whole(denied)) => {
                entries = entries.saturating_add(count(journal));
                tell(journal, &denied, census);
            }
            Ok(Walked::Missing(why)) => {
                census.missing_members.insert(name(journal), why.clone());
                report.note(
                    Step::Denials,
                    None,
                    format!("{}: not in the file: {why}", name(journal)),
                );
            }
            Err((record, why)) => {
                report.found(Step::Denials, record, format!("{}: {why}", name(journal)));
            }
        }
    }
    let recorded = heard.journals.keys().map(|member| (*member, format!("member {member}")));
    let mut due: BTreeMap<MemberId, String> = recorded.collect();
    let named = |e: &Endorser| (e.member, format!("member {} ({})", e.member, e.operator));
    due.extend(endorsers.iter().map(named));
    for (member, name) in due {
        if journals.iter().any(|journal| journal.member == member) {
            continue;
        }
        let heads = heard.journals.get(&member);
        let index = heads.and_then(|heads| heads.last()).map(|(index, _)| *index);
        let why = "its journal was not asked for";
        report.note(Step::Denials, index, format!("{name}: {why}"));
        census.missing_members.insert(name, why.to_owned());
    }
    if census.missing_members.is_empty() {
        report.passed(Step::Denials, usize::try_from(entries).unwrap_or(usize::MAX));
    }
}

/// Whether every member whose signature counts at the end of the log has told what it keeps, as the file has it.
pub(super) fn all_told(journals: &[Journal<&[u8]>], endorsers: &[Endorser]) -> bool {
    let told = |endorser: &Endorser| {
        journals.iter().any(|journal| {
            journal.member == endorser.member && matches!(journal.kept, Kept::Between { .. })
        })
    };
    endorsers.iter().all(told)
}

enum Walked {
    /// Denials by code; those that were only counted stand under a word of their own.
    Whole(BTreeMap<String, u64>),
    Missing(String),
}

fn name(journal: &Journal<&[u8]>) -> String {
    format!("member {} ({})", journal.member, journal.operator)
}

fn count(journal: &Journal<&[u8]>) -> u64 {
    u64::try_from(journal.entries.len()).unwrap_or(u64::MAX)
}

fn walk(
    cluster: &ClusterId,
    journal: &Journal<&[u8]>,
    recorded: &[(u64, JournalHead)],
) -> Result<Walked, (Option<u64>, String)> {
    let (from, to) = match &journal.kept {
        Kept::Missing(why) => return Ok(Walked::Missing(why.clone())),
        Kept::Between { from, to } => (from, to),
    };
    let start = JournalHead::start(cluster, journal.member);
    // Retention cuts anywhere. A head that was recorded there or later bears witness to where the entries begin: the chain
    // hashes forward, and nothing else leads to it.
    if *from != start && !recorded.iter().any(|(_, head)| head.count >= from.count) {
        let count = from.count;
        let why =
            format!("begins behind {count} entries, and the log recorded no head from there on");
        return Err((None, why));
    }
    if let Some((record, head)) = recorded.iter().find(|(_, head)| head.count > to.count) {
        let (had, has) = (head.count, to.count);
        return Err((
            Some(*record),
            format!("cut: the log recorded {had} entries, {has} are here"),
        ));
    }
    let mut due = recorded.iter().filter(|(_, head)| head.count >= from.count).peekable();
    let (mut at, mut denied) = (*from, BTreeMap::new());
    // A member may have the same head recorded twice.
    let mut met = |at: &JournalHead| {
        while let Some((record, head)) = due.next_if(|(_, head)| head.count == at.count) {
            if head != at {
                let count = at.count;
                let why =
                    format!("altered: the first {count} entries do not lead to the recorded head");
                return Err((Some(*record), why));
            }
        }
        Ok(())
    };
    met(&at)?;
    for bytes in &journal.entries {
        let entry = Entry::parse(bytes);
        let entry = entry.map_err(|error| (None, format!("entry {}: {error}", at.count)))?;
        let (code, by) = match entry {
            Entry::Denied(denial) => (denial.code.as_str().to_owned(), 1),
            Entry::Summed(summed) => ("(counted)".to_owned(), summed.count),
        };
        add(&mut denied, code, by);
        at = at.next(bytes);
        met(&at)?;
    }
    if at != *to {
        return Err((None, "altered: its entries do not lead to its own head".to_owned()));
    }
    if let Some((record, _)) = due.next() {
        return Err((Some(*record), "the log recorded its heads out of order".to_owned()));
    }
    Ok(Walked::Whole(denied))
}

fn tell(journal: &Journal<&[u8]>, denied: &BTreeMap<String, u64>, census: &mut Census) {
    let all = denied.values().fold(0u64, |sum, count| sum.saturating_add(*count));
    add(&mut census.denials_by_member, name(journal), all);
    for (code, count) in denied {
        add(&mut census.denials_by_code, code, *count);
    }
    // Entries before the member's memory begins are gone, though their chain is known.
    if let Kept::Between { from, .. } = &journal.kept
        && from.count > 0
    {
        let why = format!("the first {} entries are no longer kept", from.count);
        census.missing_members.insert(name(journal), why);
    }
}
