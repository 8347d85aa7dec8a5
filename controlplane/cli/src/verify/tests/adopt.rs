//! What a host brings over from the incarnation before rests on its proof, and only these very bytes of it do.

use super::*;
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::merkle::{Tree, prove_inclusion};
use sekisho_fsm::outcome::{PayloadEffect, Reply};
use sekisho_fsm::testing::PAYLOAD;
use sekisho_types::job::OnDisconnect;

const NODE: &str = "tokyo-1/n-01";

/// A job that was granted in the tail that is lost, and the proof of it.
fn granted(later: &mut Federation) -> Adoption {
    let mut facts = job("long", 1, 2, &["JP-13"]);
    facts.on_disconnect = OnDisconnect::RunToCompletion;
    let id = later.submit(facts);
    later.place(&id, &[NODE]);
    let all = records(later);
    let is = |bytes: &Vec<u8>| matches!(Record::parse(bytes).unwrap().body, Body::Grant(grant) if grant.job == id);
    let index = all.iter().position(is).unwrap();
    let raw: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    let tree = Tree::of(&raw).unwrap();
    let bytes = signed(&all, &[1, 2]);
    let wanted = later.state.job(&id).unwrap().submission;
    let effects = later.applied.iter().flat_map(|applied| &applied.payloads);
    let mut submission = effects.filter_map(|effect| match effect {
        PayloadEffect::Put(digest, bytes) if *digest == wanted => Some(bytes.clone()),
        PayloadEffect::Put(..) | PayloadEffect::Drop(_) => None,
    });
    Adoption {
        record: all[index].clone(),
        index: index as u64,
        path: prove_inclusion(tree.size(), index as u64, &tree).unwrap(),
        note: AuditBundle::open(&bytes).unwrap().head.note,
        submission: submission.next_back().unwrap(),
    }
}

/// The log of an opening and of an adoption behind it.
fn adopted() -> Vec<Record> {
    let mut f = Federation::furnished();
    let adoption = Box::new(granted(&mut f.clone()));
    let mut all = records(&f);
    let by = ["kanto", "naniwa"];
    let agreement = f.opened(f.opening(&by), &by);
    let opened = f.state.open_incarnation(&[], &agreement).unwrap();
    let at = node(NODE);
    let mut entry =
        f.entry(agent(&at), &[], Command::Adopt { node: at.clone(), adoption, running: true });
    entry.payload = PAYLOAD.to_vec();
    let applied = f.apply(entry);
    assert_eq!(applied.outcome, Ok(Reply::Done));
    let leaves = opened.leaves.into_iter().chain(applied.leaves);
    all.extend(leaves.map(|leaf| leaf.record));
    all.iter().map(|bytes| Record::parse(bytes).unwrap()).collect()
}

fn judged(records: &[Record]) -> Report {
    let mut report = Report::default();
    oracle::judge(&genesis(), records, &mut report);
    report
}

#[test]
fn another_grant_under_the_name_of_an_adopted_one_is_judged() {
    let honest = adopted();
    let report = judged(&honest);
    assert!(!report.is_bad(), "{:#?}", report.steps);
    let mut forged = honest;
    let last = forged.iter_mut().rev().find_map(|record| match &mut record.body {
        Body::Grant(grant) => Some(grant),
        Body::Entry { .. } | Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => {
            None
        }
    });
    last.unwrap().gpus += 1;
    let report = judged(&forged);
    let found = findings(&report, Step::Fencing);
    assert!(found.contains("of this federation"), "{:#?}", report.steps);
}
