//! Entries applied together end as those applied one by one (R4).

use super::*;
use crate::apply::Ahead;
use crate::command::Item;
use crate::entry::Entry;
use proptest::prelude::{Just, Strategy, prop, prop_assert_eq, prop_oneof, proptest};
use sekisho_types::revision::Revision;

/// What an entry is like, as far as its signatures are concerned.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Good,
    /// Signed for another request.
    Forged,
    /// By somebody whom nobody knows.
    Stranger,
    /// The same entry as the one before.
    Repeat,
    /// Takes the key back with which others are signed.
    Revocation,
    Unsigned,
    /// Several jobs; its signature is good.
    Batch,
    /// The same, signed for another request.
    ForgedBatch,
}

fn submission(f: &mut Federation, number: usize) -> Entry {
    let facts = Box::new(job(&format!("j-{number}"), 1, 1, &[]));
    f.entry(user("kanto", "sapporo"), &[], Command::SubmitJob { facts })
}

fn batch(f: &mut Federation, number: usize) -> Entry {
    let facts = |n| Box::new(job(&format!("b-{number}-{n}"), 1, 1, &[]));
    let items = (0..3).map(|n| Item::SubmitJob { facts: facts(n) }).collect();
    f.entry(user("kanto", "sapporo"), &[], Command::Batch(items))
}

fn entries(f: &mut Federation, kinds: &[Kind]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, kind) in kinds.iter().enumerate() {
        let mut entry = submission(f, number);
        match kind {
            Kind::Good => {}
            Kind::Forged => entry.request.0[15] ^= 1,
            Kind::Batch | Kind::ForgedBatch => {
                entry = batch(f, number);
                entry.request.0[15] ^= u8::from(matches!(kind, Kind::ForgedBatch));
            }
            Kind::Stranger => {
                entry.signatures[0].key = user_key(&user("hokuto", "mallory")).public();
            }
            Kind::Repeat => entry = entries.last().cloned().unwrap_or(entry),
            Kind::Revocation => {
                let principal = user("kanto", "sapporo");
                let key = user_key(&principal).public();
                entry = f.entry(admin("kanto"), &[], Command::RevokeKey { principal, key });
            }
            Kind::Unsigned => entry = f.entry(member("kanto"), &[], Command::Tick),
        }
        entries.push(entry);
    }
    entries
}

fn numbered(f: &Federation, entries: &[Entry]) -> Vec<(Revision, Entry)> {
    let next = f.state.revision().0.saturating_add(1);
    (next..).map(Revision).zip(entries.iter().cloned()).collect()
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        12 => Just(Kind::Good),
        3 => Just(Kind::Batch),
        1 => Just(Kind::ForgedBatch),
        1 => Just(Kind::Forged),
        1 => Just(Kind::Stranger),
        2 => Just(Kind::Repeat),
        1 => Just(Kind::Revocation),
        2 => Just(Kind::Unsigned),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]
    #[test]
    fn together_and_one_by_one_end_alike(
        kinds in prop::collection::vec(kind(), 1..20),
        cuts in prop::collection::vec(1..8_usize, 1..8),
    ) {
        let mut f = Federation::furnished();
        let entries = entries(&mut f, &kinds);
        let entries = numbered(&f, &entries);
        let (mut single, mut together) = (f.state.clone(), f.state);
        let one_by_one: Vec<Applied> =
            entries.iter().map(|(revision, entry)| single.apply(*revision, entry)).collect();
        let all: Vec<(Revision, &Entry)> = entries.iter().map(|(r, entry)| (*r, entry)).collect();
        let (mut rest, mut cuts, mut applied) = (all.as_slice(), cuts.iter().cycle(), Vec::new());
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            applied.extend(together.apply_all(batch));
            rest = others;
        }
        prop_assert_eq!(applied, one_by_one);
        prop_assert_eq!(together.to_snapshot().unwrap(), single.to_snapshot().unwrap());
    }
}

/// What was found of each entry, in letters: signed, or to be checked in its turn.
fn findings(kinds: &[Kind]) -> String {
    let mut f = Federation::furnished();
    let entries = entries(&mut f, kinds);
    let entries = numbered(&f, &entries);
    let all: Vec<(Revision, &Entry)> = entries.iter().map(|(r, entry)| (*r, entry)).collect();
    let found = f.state.look_ahead(&all);
    for ((_, entry), ahead) in entries.iter().zip(&found) {
        assert_eq!(ahead.command, Ahead::of(entry).command);
    }
    found.iter().map(|ahead| if ahead.signed { 's' } else { '-' }).collect()
}

#[test]
fn one_bad_signature_leaves_its_own_batch_to_be_checked_one_by_one() {
    use Kind::{Forged, Good, Stranger, Unsigned};
    assert_eq!(findings(&[Good, Good, Good]), "sss");
    assert_eq!(findings(&[Good, Forged, Good]), "---");
    // Neither of these is looked at, so neither spoils anything.
    assert_eq!(findings(&[Good, Stranger, Unsigned, Good]), "s--s");
    // Nothing is gained.
    assert_eq!(findings(&[Good, Unsigned]), "--");
    let mut many = vec![Good; 70];
    many[69] = Forged;
    assert_eq!(findings(&many), format!("{}{}", "s".repeat(64), "-".repeat(6)));
}
