//! A log over an opening: it verifies, tells what was lost, and knows a fork from a loss (A1).

use super::*;
use crate::verify::lost::{Earlier, compare};
use sekisho_fsm::testing::newcomer;
use sekisho_types::principal::{MemberIdentity, Principal};

const BY: [&str; 2] = ["kanto", "naniwa"];

fn founder(id: u64, operator: &str) -> Principal {
    let of = newcomer(id, operator);
    MemberIdentity { member: of.member, operator: of.operator, site: of.site }.principal()
}

/// The records of `before`, then those of a federation that began anew on its state, and of what followed.
fn begun_anew(before: &Federation) -> Vec<Vec<u8>> {
    let mut f = before.clone();
    let mut all = records(before);
    let agreement = f.opened(f.opening(&BY), &BY);
    let opened = f.state.open_incarnation(&[], &agreement).unwrap();
    all.extend(opened.leaves.into_iter().map(|leaf| leaf.record));
    let known = f.applied.len();
    for _ in 0..5 {
        f.now = f.now.plus_ms(1000);
        f.accept(founder(1001, "kanto"), Command::Tick);
    }
    let at = node("tokyo-1/n-01");
    let session = f.state.node(&at).unwrap().session.as_ref().unwrap().id;
    f.open(&at, 4, Some(session));
    f.accept(admin("kanto"), Command::SetSchedulable { node: at, schedulable: true });
    f.submit(job("anew", 1, 1, &["JP-13"]));
    let later = f.applied[known..].iter().flat_map(|applied| &applied.leaves);
    all.extend(later.map(|leaf| leaf.record.clone()));
    all
}

fn bundle(records: &[Vec<u8>]) -> Vec<u8> {
    let operators = [(1001, "kanto"), (1002, "naniwa")];
    let operators = operators.map(|(id, name)| (MemberId(id), name.parse().unwrap()));
    signed_by(records, Incarnation(2), &operators)
}

#[test]
fn a_log_that_goes_on_behind_an_opening_verifies_and_tells_of_it() {
    let before = eventful();
    let all = begun_anew(&before);
    let report = verify(&bundle(&all), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let [begun] = &report.subject.openings[..] else { panic!("one opening") };
    let known = records(&before).len() as u64;
    assert_eq!((begun.incarnation, begun.record, begun.restored), (2, known, known));
    assert_eq!((begun.lost(), begun.by.as_slice()), (0, &BY.map(str::to_owned)[..]));
    let words = report.lines(Language::Ja, 80).join("\n");
    assert!(words.contains("第 2 世代") && words.contains("(復元)"), "{words}");
    // Signed by the members of before: they speak for nobody any more.
    let old = signed(&all, &[1, 2]);
    assert!(!verify(&old, Some(&genesis())).is_good());
}

#[test]
fn what_was_lost_is_told_and_everything_else_that_differs_is_a_fork() {
    let before = eventful();
    let all = begun_anew(&before);
    let now = bundle(&all);
    let since =
        |earlier: &[Vec<u8>]| verify_since(&now, &signed(earlier, &[1, 2]), Known::default());
    let kept = records(&before);
    let prefix = since(&kept);
    assert!(prefix.is_good() && prefix.lost.is_empty(), "{:#?}", prefix.steps);
    let mut tail = before;
    tail.submit(job("lost", 1, 1, &[]));
    tail.accept(admin("naniwa"), Command::RevokeNode { node: node("sakai-1/n-01") });
    let told = since(&records(&tail));
    assert!(told.is_good(), "{:#?}", told.steps);
    let commands: Vec<_> = told.lost.iter().map(|lost| lost.command.as_str()).collect();
    assert_eq!(commands, ["SubmitJob", "RevokeNode"]);
    assert!(told.lines(Language::En, 80).join("\n").contains("that the new incarnation lost: 2"));
    // A history that differs before the restored head.
    let mut fork = Federation::furnished();
    fork.submit(job("fork", 1, 1, &[]));
    let forked = since(&records(&fork));
    assert_eq!(verdict(&forked, Step::Earlier), Verdict::Failed);
    assert!(findings(&forked, Step::Earlier).contains("two histories"));
}

#[test]
fn within_one_incarnation_nothing_may_differ() {
    let one = records(&eventful());
    let mut other = one.clone();
    other.truncate(other.len() - 1);
    let judge = |earlier: &[Vec<u8>], later: &[Vec<u8>]| {
        let then: Vec<&[u8]> = earlier.iter().map(Vec::as_slice).collect();
        let now: Vec<&[u8]> = later.iter().map(Vec::as_slice).collect();
        compare(&then, 1, (&now, &[])).unwrap()
    };
    assert_eq!(judge(&other, &one), Earlier::Prefix);
    // The later one is shorter than what was exported before.
    assert_eq!(judge(&one, &other), Earlier::Fork { at: other.len() as u64 });
}
