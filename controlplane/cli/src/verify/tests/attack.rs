//! Attacks on a bundle, each found, and what is said of it.

use super::*;
use sekisho_evidence::audit_bundle::{BundleRest, Journal, Kept};
use sekisho_evidence::countersign::Seen;
use sekisho_evidence::fork::Fork;
use sekisho_evidence::journal::{self, Denial, JournalHead, Peer};
use sekisho_types::time::Timestamp;

fn is(report: &Report, step: Step, what: &str) {
    assert!(!report.is_good(), "{:#?}", report.steps);
    let found = findings(report, step);
    assert!(found.contains(what), "{what} in {found:?} of {:#?}", report.steps);
    assert!(found.contains(step.code()), "{found}");
    for language in [Language::En, Language::Ja] {
        let told = report.lines(language, 80).join("\n");
        assert!(told.contains(step.code()), "{told}");
    }
}

/// The same bundle with something else behind the records.
fn with(records: &[Vec<u8>], rest: &BundleRest<Vec<u8>>) -> Vec<u8> {
    with_by(records, &[1, 2], rest)
}

fn with_by(records: &[Vec<u8>], members: &[u64], rest: &BundleRest<Vec<u8>>) -> Vec<u8> {
    let plain = signed(records, members);
    let bundle = AuditBundle::open(&plain).unwrap();
    let (mut writer, mut bytes) = BundleWriter::start(&bundle.head).unwrap();
    records.iter().for_each(|record| bytes.extend(writer.record(record).unwrap()));
    bytes.extend(writer.finish_with(rest).unwrap());
    bytes
}

/// A member's journal that has nothing in it.
fn empty(member: u64, operator: &str) -> Journal<Vec<u8>> {
    let start = JournalHead::start(&cluster(), MemberId(member));
    Journal {
        member: MemberId(member),
        operator: operator.parse().unwrap(),
        kept: Kept::Between { from: start, to: start },
        entries: vec![],
    }
}

/// A bundle for which every member was asked, and had nothing to tell.
pub(super) fn told_by_all(records: &[Vec<u8>], members: &[u64]) -> Vec<u8> {
    let all = [(1, "hokuto"), (2, "kanto"), (3, "naniwa")];
    let journals = all.map(|(member, operator)| empty(member, operator)).into();
    with_by(records, members, &BundleRest { journals, forks: vec![] })
}

fn note_of(records: &[Vec<u8>], members: &[u64]) -> Vec<u8> {
    let bytes = signed(records, members);
    AuditBundle::open(&bytes).unwrap().head.note
}

#[test]
fn cut_lengthened_and_reordered_files_are_refused() {
    let all = records(&eventful());
    let bytes = signed(&all, &[1, 2]);
    for cut in (0..bytes.len()).step_by(509) {
        is(&verify(&bytes[..cut], None), Step::File, "");
    }
    is(&verify(&[&bytes[..], b"\0"].concat(), None), Step::File, "checksum");
    // With a good checksum, but under the signatures of other records.
    let relabelled = |records: &[Vec<u8>]| {
        let honest = AuditBundle::open(&bytes).unwrap().head;
        let head = AuditBundleHead { count: records.len() as u64, ..honest };
        let (mut writer, mut bytes) = BundleWriter::start(&head).unwrap();
        records.iter().for_each(|record| bytes.extend(writer.record(record).unwrap()));
        bytes.extend(writer.finish().unwrap());
        verify(&bytes, None)
    };
    let mut swapped = all.clone();
    swapped.swap(20, 21);
    is(&relabelled(&swapped), Step::Head, "the signed head has");
    is(&relabelled(&all[..all.len() - 1]), Step::Head, "the signed head has");
    // Swapped and signed by every voter: order or replay find it.
    let report = verify(&signed(&swapped, &[1, 2, 3]), None);
    assert!(!report.is_good(), "{:#?}", report.steps);
}

#[test]
fn too_few_operators_and_keys_of_nobody_are_refused() {
    let all = records(&eventful());
    is(&verify(&signed(&all, &[2]), None), Step::Head, "missing: hokuto, naniwa");
    let bytes = signed(&all, &[1, 2]);
    let bundle = AuditBundle::open(&bytes).unwrap();
    // A key that the bundle does not name signs under a member's name.
    let checkpoint = Checkpoint::read(&bundle.head.note).unwrap();
    let sign = |key: u64, id: u64, operator: &str| {
        let key = checkpoint_key(MemberId(key));
        checkpoint.sign(&operator.parse().unwrap(), MemberId(id), &key).unwrap()
    };
    let lines = [sign(9, 1, "hokuto"), sign(2, 2, "kanto")];
    let note = assemble(&checkpoint.text().unwrap(), &lines);
    let head = AuditBundleHead { note, ..bundle.head };
    let (mut writer, mut bytes) = BundleWriter::start(&head).unwrap();
    all.iter().for_each(|record| bytes.extend(writer.record(record).unwrap()));
    bytes.extend(writer.finish().unwrap());
    is(&verify(&bytes, None), Step::Head, "signed by 1 of the 2 operators");
}

#[test]
fn a_head_that_was_kept_shows_a_fork_and_a_log_that_shrank() {
    let mut f = eventful();
    let before = records(&f);
    let kept = note_of(&before, &[1, 3]);
    f.submit(job("later", 1, 1, &[]));
    let later = records(&f);
    let seen = |records: &[Vec<u8>], note: &[u8]| {
        let seen = [note.to_vec()];
        verify_against(&signed(records, &[1, 2]), Known { genesis: None, seen: &seen })
    };
    let good = seen(&later, &kept);
    assert!(good.is_good(), "{:#?}", good.steps);
    assert_eq!(verdict(&good, Step::Seen), Verdict::Passed);
    // A smaller head: what was seen is no longer there.
    is(&seen(&before[..before.len() - 3], &kept), Step::Seen, "records were taken out");
    // Of the same size with another root: two histories, each signed and each sound by itself.
    let mut other = Federation::furnished();
    tick(&mut other, 2);
    let mut n = 0;
    while records(&other).len() < before.len() {
        n += 1;
        other.submit(job(&format!("other-{n}"), 1, 1, &[]));
    }
    is(&seen(&records(&other), &kept), Step::Seen, "two histories");
    // A note that nobody of this federation signed says nothing.
    is(&seen(&later, &note_of(&before, &[3])), Step::Seen, "operators needed");
}

#[test]
fn a_host_that_was_shown_another_log_is_found() {
    let mut f = eventful();
    let at = node("tokyo-1/n-01");
    let raw: Vec<Vec<u8>> = records(&f);
    let raw: Vec<&[u8]> = raw.iter().map(Vec::as_slice).collect();
    let own = log::tree(&raw[..raw.len() - 2]).unwrap();
    let mut countersign = |root: Digest| {
        let seen = Seen {
            cluster: cluster(),
            incarnation: Incarnation(1),
            node: at.clone(),
            head: Head { size: own.size, root },
            revision: Revision(f.state.revision().0 - 2),
        };
        let heads = vec![seen.sign(&receipt_key(&at)).unwrap()];
        f.accept(member("kanto"), Command::Countersign { heads });
        verify(&signed(&records(&f), &[1, 2]), Some(&genesis()))
    };
    let good = countersign(own.root);
    assert!(good.is_good(), "{:#?}", good.steps);
    assert_eq!(good.counts.countersignatures, 1);
    let other = countersign(Digest([9; 32]));
    is(&other, Step::Countersigned, "tokyo-1/n-01 was shown");
}

/// Apply drops its word, too: otherwise whoever stole the key of a dead host could spoil every audit for ever.
#[test]
fn the_false_word_of_a_revoked_host_says_nothing() {
    let mut f = eventful();
    let raw: Vec<Vec<u8>> = records(&f);
    let raw: Vec<&[u8]> = raw.iter().map(Vec::as_slice).collect();
    let own = log::tree(&raw[..raw.len() - 2]).unwrap();
    let say = |at: &str, root: Digest| {
        let seen = Seen {
            cluster: cluster(),
            incarnation: Incarnation(1),
            node: node(at),
            head: Head { size: own.size, root },
            revision: Revision(f.state.revision().0 - 2),
        };
        seen.sign(&receipt_key(&node(at))).unwrap()
    };
    assert!(f.state.node(&node("sakai-1/n-02")).unwrap().revoked);
    let heads = vec![say("tokyo-1/n-01", own.root), say("sakai-1/n-02", Digest([9; 32]))];
    f.accept(member("kanto"), Command::Countersign { heads });
    let report = verify(&signed(&records(&f), &[1, 2]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let step = report.steps.iter().find(|result| result.step == Step::Countersigned).unwrap();
    assert_eq!(step.checked, 1);
}

fn denial(n: u64) -> Vec<u8> {
    let denial = Denial {
        at: Timestamp(n),
        peer: Peer::Address("192.0.2.7".to_owned()),
        method: "/sekisho.v1.JobService/SubmitJob".to_owned(),
        target: "jobs/x".to_owned(),
        code: ErrorCode::PermissionDenied,
        request: None,
    };
    journal::Entry::Denied(denial).bytes().unwrap()
}

/// A log that recorded two heads of the journal of member 2, and that journal.
fn with_journal() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut f = eventful();
    let entries: Vec<Vec<u8>> = (0..6).map(denial).collect();
    let mut head = JournalHead::start(&cluster(), MemberId(2));
    for (n, entry) in entries.iter().enumerate() {
        head = head.next(entry);
        if n == 2 || n == 4 {
            f.accept(member("kanto"), Command::RecordJournal(head));
        }
    }
    (records(&f), entries)
}

fn told(records: &[Vec<u8>], entries: &[Vec<u8>]) -> Report {
    told_from(records, JournalHead::start(&cluster(), MemberId(2)), entries)
}

fn told_from(records: &[Vec<u8>], from: JournalHead, entries: &[Vec<u8>]) -> Report {
    let to = entries.iter().fold(from, |head, entry| head.next(entry));
    let journal = Journal {
        member: MemberId(2),
        operator: "kanto".parse().unwrap(),
        kept: Kept::Between { from, to },
        entries: entries.to_vec(),
    };
    let journals = vec![empty(1, "hokuto"), journal, empty(3, "naniwa")];
    verify(&with(records, &BundleRest { journals, forks: vec![] }), None)
}

#[test]
fn a_journal_that_was_cut_or_altered_is_found_and_one_that_is_missing_is_named() {
    let (records, entries) = with_journal();
    let good = told(&records, &entries);
    assert!(good.is_complete(), "{:#?}", good.steps);
    assert_eq!(good.counts.denials_by_code["PERMISSION_DENIED"], 6);
    is(&told(&records, &entries[..4]), Step::Denials, "cut: the log recorded 5 entries");
    let mut altered = entries.clone();
    altered[1] = denial(77);
    is(&told(&records, &altered), Step::Denials, "the first 3 entries do not lead");
    let mut dropped = entries.clone();
    dropped.remove(3);
    is(&told(&records, &dropped), Step::Denials, "the first 5 entries do not lead");
    // Behind the last recorded head the member's word alone counts.
    assert!(told(&records, &entries[..5]).is_good());
    let none = verify(&signed(&records, &[1, 2]), None);
    assert!(none.is_good() && !none.is_complete(), "{:#?}", none.steps);
    assert_eq!(verdict(&none, Step::Denials), Verdict::NotChecked);
    let words = none.lines(Language::En, 80).join("\n");
    assert!(words.contains("member 2") && words.contains("not checked"), "{words}");
}

/// The tail is the exporter's word. What a member was not asked, or did not tell, is not good.
#[test]
fn a_file_without_the_members_own_word_is_never_complete() {
    let all = records(&eventful());
    let complete = verify(&told_by_all(&all, &[1, 2]), None);
    assert!(complete.is_complete(), "{:#?}", complete.steps);
    let none = verify(&signed(&all, &[1, 2]), None);
    assert!(none.is_good() && !none.is_complete(), "{:#?}", none.steps);
    assert_eq!(verdict(&none, Step::Denials), Verdict::NotChecked);
    assert_eq!(verdict(&none, Step::Forks), Verdict::NotChecked);
    assert_eq!(none.counts.missing_members.len(), 3);
    for (language, words) in [
        (Language::En, "not every controller told what it keeps"),
        (Language::Ja, "保管内容を示していないコントローラーがあります"),
    ] {
        let told = none.lines(language, 80).join("\n");
        assert!(told.contains(words), "{told}");
    }
    // Nor if they are named, and each is missing.
    let mut journals = vec![empty(1, "hokuto"), empty(2, "kanto"), empty(3, "naniwa")];
    journals[1].kept = Kept::Missing("UNAVAILABLE".to_owned());
    let one = verify(&with(&all, &BundleRest { journals, forks: vec![] }), None);
    assert!(one.is_good() && !one.is_complete(), "{:#?}", one.steps);
    assert_eq!(verdict(&one, Step::Forks), Verdict::NotChecked);
}

/// How many refusals there are decides where retention cuts, so any stranger does.
#[test]
fn a_journal_whose_first_entries_are_no_longer_kept_is_good_and_incomplete() {
    let (records, entries) = with_journal();
    let start = JournalHead::start(&cluster(), MemberId(2));
    let kept = told_from(&records, start.next(&entries[0]), &entries[1..]);
    assert!(kept.is_good() && !kept.is_complete(), "{:#?}", kept.steps);
    assert_eq!(kept.counts.denials_by_code["PERMISSION_DENIED"], 5);
    let mut altered = entries.clone();
    altered[2] = denial(77);
    let altered = told_from(&records, start.next(&entries[0]), &altered[1..]);
    is(&altered, Step::Denials, "the first 3 entries do not lead");
    // Nothing bears witness to a beginning behind the last recorded head.
    let all = entries.iter().fold(start, |head, entry| head.next(entry));
    is(&told_from(&records, all, &[]), Step::Denials, "recorded no head from there on");
}

#[test]
fn evidence_of_a_fork_is_never_part_of_a_good_report() {
    let f = eventful();
    let all = records(&f);
    let mut other = Federation::furnished();
    tick(&mut other, 1);
    let mut n = 0;
    while records(&other).len() < all.len() {
        n += 1;
        other.submit(job(&format!("other-{n}"), 1, 1, &[]));
    }
    let theirs = records(&other)[..all.len()].to_vec();
    let fork =
        Fork { first: note_of(&all, &[1, 2]), second: note_of(&theirs, &[2, 3]), extended: None };
    let rest = |forks| BundleRest { journals: vec![], forks };
    let report = verify(&with(&all, &rest(vec![fork.bytes().unwrap()])), None);
    is(&report, Step::Forks, "members that signed both: 2");
    let report = verify(&with(&all, &rest(vec![b"?".to_vec()])), None);
    is(&report, Step::Forks, "cannot be read");
}

#[test]
fn a_rogue_quorum_that_grants_outside_the_rules_is_found_by_record() {
    let report = forged_grants(|grant| grant.rules.clear());
    let results = report.steps.iter().find(|r| r.step == Step::Residency).unwrap();
    assert!(results.findings.iter().all(|finding| finding.record.is_some()));
    is(&report, Step::Residency, "does not carry the rules");
}
