//! An honest log verifies; whatever is changed in it is found, even if every voter signed the change.

mod access;
mod adopt;
mod attack;
mod delete;
mod golden;
mod held;
mod location;
mod long;
mod opening;
mod power;
mod quota;
mod reservation;
mod snapshot;
mod sums;
mod tasks;
mod topology;

use super::report::{Step, Verdict};
use super::*;
use sekisho_evidence::audit_bundle::{AuditBundleHead, BundleWriter, FORMAT};
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::checkpoint::{Checkpoint, assemble};
use sekisho_evidence::grant::Grant;
use sekisho_evidence::merkle::{Frontier, Head};
use sekisho_evidence::receipt::Refusal;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::entry::Entry;
use sekisho_fsm::testing::{
    Federation, admin, agent, checkpoint_key, cluster, genesis, job, member, receipt_key, rules,
    user,
};
use sekisho_types::device::Bucket;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{Digest, MemberId, NodeId, OperatorId};
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::{Incarnation, PlacementId, Revision};

const SITES: [&str; 2] = ["ishikari-1", "tokyo-1"];

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn report(federation: &mut Federation, at: &str, phases: Vec<(PlacementId, Phase)>) {
    let id = node(at);
    let session = federation.state.node(&id).unwrap().session.clone().unwrap().id;
    federation.accept(agent(&id), Command::Report { node: id, session, phases });
}

fn tick(federation: &mut Federation, seconds: u64) {
    for _ in 0..seconds {
        federation.now = federation.now.plus_ms(1000);
        federation.accept(member("hokuto"), Command::Tick);
    }
}

/// A federation in which much has happened: good and failed jobs, a group torn down, a refusal, a lost lease, a
/// revoked node, policies changed, submissions refused, ticks and long silence.
fn eventful() -> Federation {
    let mut f = Federation::furnished();
    let policy = f.policy("hokkaido", rules(&["JP-01"]));
    tick(&mut f, 40);
    let mut facts = job("bound", 2, 2, &[]);
    facts.policy = Some(policy);
    let bound = f.submit(facts);
    f.place(&bound, &["ishikari-1/n-01", "ishikari-1/n-02"]);
    let [a, b] = f.placements(&bound)[..] else { panic!("two members") };
    report(&mut f, "ishikari-1/n-01", vec![(a, Phase::Starting), (a, Phase::Running)]);
    let plain = f.submit(job("plain", 1, 4, &["JP-13"]));
    f.place(&plain, &["tokyo-1/n-01"]);
    let p = f.placements(&plain)[0];
    // One member fails: the other is ordered to stop, and ends later.
    report(&mut f, "ishikari-1/n-01", vec![(a, Phase::Ended(Ending::Exited(1)))]);
    tick(&mut f, 3);
    report(&mut f, "ishikari-1/n-02", vec![(b, Phase::Ended(Ending::Stopped))]);
    report(&mut f, "tokyo-1/n-01", vec![(p, Phase::Running), (p, Phase::Ended(Ending::Exited(0)))]);
    refused_and_lost(&mut f);
    // A payload that is not the facts' own is refused, which the records alone must reproduce.
    let mut entry = f.entry(
        user("kanto", "sapporo"),
        &[],
        Command::SubmitJob { facts: Box::new(job("forged", 1, 1, &[])) },
    );
    entry.payload = b"other".to_vec();
    assert_eq!(f.apply(entry).outcome.unwrap_err().code, ErrorCode::PayloadMismatch);
    batches(&mut f);
    access::two_and_alone(&mut f);
    life(&mut f);
    evicted(&mut f);
    // Far ahead of the state clock, which moves one step only.
    f.now = f.now.plus_ms(60_000);
    let late = f.submit(job("late", 1, 1, &[]));
    f.run(user("kanto", "sapporo"), Command::CancelJob { job: late });
    f
}

/// A node from its approval to its last day: work refused and taken, drained away and placed elsewhere.
fn life(f: &mut Federation) {
    let (at, kanto) = (node("tokyo-1/n-07"), admin("kanto"));
    let enrol = f.enrolment_with(&at, "131016", false);
    f.accept(member("kanto"), enrol);
    f.open(&at, 4, None);
    let moved = f.submit(job("moved", 1, 1, &["JP-13"]));
    f.place(&moved, &["tokyo-1/n-07"]);
    let node_key = sekisho_fsm::testing::node_key(&at);
    f.accept(kanto.clone(), Command::ApproveNode { node: at.clone(), node_key });
    f.place(&moved, &["tokyo-1/n-07"]);
    let placement = f.placements(&moved)[0];
    report(f, "tokyo-1/n-07", vec![(placement, Phase::Running)]);
    let drain = |within_s| Item::DrainNode {
        node: node("tokyo-1/n-07"),
        within_s,
        message: "new cooling".to_owned(),
    };
    f.accept(kanto.clone(), Command::Batch(vec![drain(None), drain(Some(2))]));
    let evict = |f: &Federation| {
        let drain = f.state.node(&node("tokyo-1/n-07")).unwrap().drain.clone().unwrap().revision;
        Command::EvictDrained { node: node("tokyo-1/n-07"), drain }
    };
    let early = evict(f);
    assert_eq!(f.run(member("kanto"), early).outcome.unwrap_err().code, ErrorCode::WrongPhase);
    tick(f, 2);
    let old = Command::EvictDrained { node: at.clone(), drain: Revision(1) };
    f.accept(member("kanto"), old);
    let due = evict(f);
    f.accept(member("kanto"), due.clone());
    f.accept(member("kanto"), due);
    report(f, "tokyo-1/n-07", vec![(placement, Phase::Ended(Ending::Stopped))]);
    f.accept(kanto, Command::DecommissionNode { node: at });
    f.place(&moved, &["tokyo-1/n-01"]);
    let placement = f.placements(&moved)[0];
    report(f, "tokyo-1/n-01", vec![(placement, Phase::Ended(Ending::Exited(0)))]);
}

/// A policy is tightened, and what it no longer allows is moved; what it allows is not.
fn evicted(f: &mut Federation) {
    let mut facts = job("denied", 1, 1, &[]);
    facts.policy = Some("hokkaido".parse().unwrap());
    let denied = f.submit(facts);
    f.place(&denied, &["ishikari-1/n-02"]);
    let placement = f.placements(&denied)[0];
    let evict = Command::EvictDenied { jobs: vec![denied.clone()] };
    let early = f.run(member("kanto"), evict.clone()).outcome.unwrap_err();
    assert_eq!(early.code, ErrorCode::WrongPhase);
    let policy = "hokkaido".parse().unwrap();
    let expected = f.state.policy(&policy).map(|row| row.revision);
    let rules = rules(&["JP-13"]);
    f.accept(admin("kanto"), Command::PutPolicy { policy, rules, expected });
    f.accept(member("kanto"), evict);
    report(f, "ishikari-1/n-02", vec![(placement, Phase::Ended(Ending::Stopped))]);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: denied });
}

/// Batches done and refused; among them what without its payload would be refused for another reason.
fn batches(f: &mut Federation) {
    let who = || user("kanto", "sapporo");
    let submit = |name: &str| Item::SubmitJob { facts: Box::new(job(name, 1, 1, &["JP-13"])) };
    let cancel = |name: &str| Item::CancelJob { job: format!("sapporo/{name}").parse().unwrap() };
    f.accept(who(), Command::Batch(vec![submit("b-1"), submit("b-2")]));
    f.place(&"sapporo/b-1".parse().unwrap(), &["tokyo-1/n-01"]);
    let placement = f.placements(&"sapporo/b-1".parse().unwrap())[0];
    report(f, "tokyo-1/n-01", vec![(placement, Phase::Running)]);
    // What was done before the bad command is undone.
    let undone = vec![cancel("b-1"), cancel("b-2"), cancel("gone")];
    let refused = f.run(who(), Command::Batch(undone)).outcome.unwrap_err();
    assert_eq!((refused.code, refused.item), (ErrorCode::NotFound, Some(2)));
    for (items, payload) in [
        (vec![submit("twice"), submit("twice")], &b"garbled"[..]),
        (vec![submit("short"), submit("b-1")], b"tru"),
        (vec![submit("b-1")], b"\0"),
    ] {
        let mut entry = f.entry(who(), &[], Command::Batch(items));
        entry.payload = payload.to_vec();
        assert_eq!(f.apply(entry).outcome.unwrap_err().code, ErrorCode::PayloadMismatch);
    }
    let exists = Command::SubmitJob { facts: Box::new(job("b-1", 1, 1, &[])) };
    let mut entry = f.entry(who(), &[], exists);
    entry.payload = b"other".to_vec();
    assert_eq!(f.apply(entry).outcome.unwrap_err().code, ErrorCode::PayloadMismatch);
    f.accept(who(), Command::Batch(vec![cancel("b-1"), cancel("b-2"), submit("b-3")]));
    report(f, "tokyo-1/n-01", vec![(placement, Phase::Ended(Ending::Stopped))]);
    f.accept(who(), Command::Batch(vec![cancel("b-3")]));
}

fn refused_and_lost(f: &mut Federation) {
    let refused = f.submit(job("refused", 1, 1, &[]));
    f.place(&refused, &["tokyo-1/n-02"]);
    let id = f.placements(&refused)[0];
    let placement = f.state.placement(&id).unwrap().clone();
    let at = node("tokyo-1/n-02");
    let refusal = Refusal {
        cluster: cluster(),
        node: at.clone(),
        session: placement.grant.session,
        placement: id,
        grant: placement.digest,
        code: ErrorCode::ResidencyArea,
        detail: "drill".to_owned(),
        log_size: 1,
        time: f.now,
    };
    let receipt = refusal.sign(&receipt_key(&at)).unwrap();
    f.accept(agent(&at), Command::Refuse { node: at.clone(), receipt });
    f.place(&refused, &["sakai-1/n-01"]);
    let lost = node("sakai-1/n-01");
    let session = f.state.node(&lost).unwrap().session.clone().unwrap().id;
    f.accept(member("kanto"), Command::ExpireLease { node: lost.clone(), session });
    f.place(&refused, &["sakai-1/n-02"]);
    f.accept(admin("naniwa"), Command::RevokeNode { node: node("sakai-1/n-02") });
    f.open(&lost, 4, None);
    f.accept(admin("kanto"), Command::SetSchedulable { node: at, schedulable: false });
}

fn records(federation: &Federation) -> Vec<Vec<u8>> {
    federation
        .applied
        .iter()
        .flat_map(|a| a.leaves.iter().map(|leaf| leaf.record.clone()))
        .collect()
}

/// A bundle of these records, signed by the members with these numbers, whatever the records say.
fn signed(records: &[Vec<u8>], members: &[u64]) -> Vec<u8> {
    let genesis = genesis();
    let of = |id: &u64| {
        let member = genesis.genesis.members.iter().find(|m| m.member.0 == *id).unwrap();
        (member.member, member.operator.clone())
    };
    signed_by(records, Incarnation(1), &members.iter().map(of).collect::<Vec<_>>())
}

/// As [`signed`], by members of any incarnation.
fn signed_by(
    records: &[Vec<u8>],
    incarnation: Incarnation,
    members: &[(MemberId, OperatorId)],
) -> Vec<u8> {
    let mut frontier = Frontier::default();
    records.iter().for_each(|record| drop(frontier.append(record).unwrap()));
    let last = Record::parse(records.last().unwrap()).unwrap();
    let checkpoint = Checkpoint {
        cluster: cluster(),
        incarnation,
        head: Head { size: frontier.size(), root: frontier.root().unwrap() },
        revision: last.revision,
        time: last.time,
    };
    let line = |(member, operator): &(MemberId, OperatorId)| {
        checkpoint.sign(operator, *member, &checkpoint_key(*member)).unwrap()
    };
    let lines: Vec<_> = members.iter().map(line).collect();
    let head = AuditBundleHead {
        format: FORMAT,
        cluster: cluster(),
        incarnation,
        genesis: genesis(),
        table: table_hash(),
        note: assemble(&checkpoint.text().unwrap(), &lines),
        count: records.len() as u64,
    };
    let (mut writer, mut bytes) = BundleWriter::start(&head).unwrap();
    for record in records {
        bytes.extend(writer.record(record).unwrap());
    }
    bytes.extend(writer.finish().unwrap());
    bytes
}

fn verdict(report: &Report, step: Step) -> Verdict {
    report.steps.iter().find(|result| result.step == step).unwrap().verdict
}

fn findings(report: &Report, step: Step) -> String {
    let result = report.steps.iter().find(|result| result.step == step).unwrap();
    result.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The honest log with one kind of record changed, signed by every voter.
fn forged(change: impl Fn(&mut Record)) -> Report {
    let changed: Vec<Vec<u8>> = records(&eventful())
        .iter()
        .map(|bytes| {
            let mut record = Record::parse(bytes).unwrap();
            change(&mut record);
            record.bytes().unwrap()
        })
        .collect();
    verify(&signed(&changed, &[1, 2, 3]), None)
}

fn forged_grants(change: impl Fn(&mut Grant)) -> Report {
    forged(|record| {
        if let Body::Grant(grant) = &mut record.body {
            change(grant);
        }
    })
}

#[test]
fn an_honest_log_passes_every_check() {
    let federation = eventful();
    let records = records(&federation);
    let report = verify(&attack::told_by_all(&records, &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let none = [Step::Countersigned, Step::Denials, Step::Forks];
    assert!(report.steps.iter().all(|r| r.checked > 0 || none.contains(&r.step)));
    assert!(report.is_complete());
    assert_eq!(report.subject.signed_by, ["hokuto", "kanto", "naniwa"]);
    let grants = report.steps.iter().find(|r| r.step == Step::Residency).unwrap().checked;
    assert_eq!(grants, 10);
    for site in SITES {
        assert!(federation.state.nodes().any(|(id, _)| id.site.as_str() == site));
    }
    for (language, words) in [(Language::En, "every check passed"), (Language::Ja, "検証成功")]
    {
        assert!(report.lines(language, 80).last().unwrap().contains(words));
    }
}

#[test]
fn two_of_three_operators_suffice_and_one_does_not() {
    let records = records(&eventful());
    assert!(verify(&signed(&records, &[1, 3]), None).is_good());
    let report = verify(&signed(&records, &[2]), None);
    assert_eq!(verdict(&report, Step::Head), Verdict::Failed);
    assert_eq!(verdict(&report, Step::Residency), Verdict::NotChecked);
}

#[test]
fn one_flipped_byte_anywhere_is_found() {
    let bytes = signed(&records(&eventful()), &[1, 2]);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(!verify(&changed, None).is_good(), "byte {at}");
    }
    assert!(!verify(&bytes[..bytes.len() - 1], None).is_good());
    assert!(!verify(b"", None).is_good());
}

#[test]
fn one_flipped_byte_is_found_without_the_trailer_too() {
    let bytes = signed(&records(&eventful()), &[1, 2]);
    let body = bytes.len() - 32;
    for at in (16..body).step_by(61) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        let digest = Digest::of(&changed[..body]);
        changed[body..].copy_from_slice(&digest.0);
        assert!(!verify(&changed, None).is_good(), "byte {at}");
    }
}

#[test]
fn another_genesis_than_the_trusted_one_is_refused() {
    let bytes = signed(&records(&eventful()), &[1, 2]);
    let mut other = genesis();
    other.genesis.created = other.genesis.created.plus_ms(1);
    let report = verify(&bytes, Some(&other));
    assert_eq!(verdict(&report, Step::Trust), Verdict::Failed);
    assert!(report.lines(Language::Ja, 80).last().unwrap().contains("検証失敗"));
}

#[test]
fn d1_a_grant_without_its_rules_or_outside_them_is_found() {
    let report = forged_grants(|grant| grant.rules.clear());
    assert!(findings(&report, Step::Residency).contains("does not carry the rules"), "{report:#?}");
    // The job itself is rewritten to be bound to Okinawa, its grant too: the place no longer satisfies it.
    let okinawa = Area::resolve("JP-47").unwrap();
    let report = forged(|record| match &mut record.body {
        Body::Grant(grant) => grant.rules[0].rules.areas = [okinawa].into(),
        Body::Entry { entry, .. } => {
            let mut read: Entry = decode(entry).unwrap();
            if let Command::SubmitJob { facts } = &mut read.command {
                facts.residency.areas = [okinawa].into();
            }
            *entry = encode(&read).unwrap();
        }
        Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => {}
    });
    assert!(
        findings(&report, Step::Residency).contains("in none of the allowed areas"),
        "{report:#?}"
    );
    assert_eq!(verdict(&report, Step::Replay), Verdict::Failed);
}

#[test]
fn q1_a_charge_above_its_limit_is_found() {
    let report = forged(|record| {
        if let Body::Entry { entry, .. } = &mut record.body {
            let mut read: Entry = decode(entry).unwrap();
            if let Command::SetQuota { allotment, .. } = &mut read.command {
                allotment.nominal = sekisho_types::quota::Limit::Gpus(3);
            }
            *entry = encode(&read).unwrap();
        }
    });
    assert!(
        findings(&report, Step::Quota).contains("sapporo would hold 4 sim-h100 in JP, of 3"),
        "{report:#?}"
    );
    assert_eq!(verdict(&report, Step::Residency), Verdict::Passed);
}

#[test]
fn p1_devices_beyond_the_bucket_or_counted_twice_are_found() {
    type Bend = fn(&mut Bucket);
    let cases: [(Bend, &str); 2] = [
        (|bucket| bucket.count = 3, "4 devices granted of a bucket of 3"),
        (|bucket| bucket.parts.extend_from_within(..1), "the node counts device"),
    ];
    for (bend, found) in cases {
        let report = forged(|record| {
            if let Body::Entry { entry, .. } = &mut record.body {
                let mut read: Entry = decode(entry).unwrap();
                if let Command::OpenSession { buckets, .. } = &mut read.command {
                    bend(&mut buckets[0]);
                }
                *entry = encode(&read).unwrap();
            }
        });
        assert!(findings(&report, Step::Capacity).contains(found), "{report:#?}");
    }
}

#[test]
fn p2_wrong_epochs_sessions_and_sets_are_found() {
    let report = forged_grants(|grant| grant.placement.epoch.revision.0 += 1);
    assert!(findings(&report, Step::Fencing).contains("of this federation"), "{report:#?}");
    let report = forged_grants(|grant| grant.session.0[0] ^= 1);
    assert!(findings(&report, Step::Fencing).contains("live session"), "{report:#?}");
    let report = forged(|record| {
        if let Body::Desired(desired) = &mut record.body {
            desired.count += 1;
        }
    });
    assert!(findings(&report, Step::Fencing).contains("does not commit"), "{report:#?}");
    let mut missing = records(&eventful());
    missing.retain(|bytes| !matches!(Record::parse(bytes).unwrap().body, Body::Desired(_)));
    let report = verify(&signed(&missing, &[1, 2]), None);
    assert!(findings(&report, Step::Fencing).contains("changed without a record"), "{report:#?}");
}

/// Whether the entry of a record changed nothing.
fn is_rejected(bytes: &[u8]) -> bool {
    matches!(Record::parse(bytes).unwrap().body, Body::Entry { rejected: Some(_), .. })
}

fn without(records: &[Vec<u8>], at: usize) -> Vec<u8> {
    let mut cut = records.to_vec();
    cut.remove(at);
    signed(&cut, &[1, 2])
}

#[test]
fn a_record_left_out_or_made_up_is_found_by_replay() {
    let honest = records(&eventful());
    let middle = (honest.len() / 2..honest.len()).find(|at| !is_rejected(&honest[*at])).unwrap();
    for at in [1, middle, honest.len() - 2] {
        let report = verify(&without(&honest, at), None);
        assert_eq!(verdict(&report, Step::Replay), Verdict::Failed, "{at}");
    }
    let report = forged(|record| {
        if let Body::Entry { rejected, .. } = &mut record.body {
            *rejected = rejected.map(|_code| ErrorCode::NotFound);
        }
    });
    assert_eq!(verdict(&report, Step::Replay), Verdict::Failed);
}

/// What was rejected changed nothing, and its revision may as well have been a tick's, which leaves no record: nothing that comes
/// after tells that it is gone. Whoever kept another head of the log does.
#[test]
fn a_rejection_left_out_is_found_by_a_head_of_before() {
    let honest = records(&eventful());
    let at = honest.iter().position(|bytes| is_rejected(bytes)).unwrap();
    let cut = without(&honest, at);
    assert_eq!(verdict(&verify(&cut, None), Step::Replay), Verdict::Passed);
    let report = verify_since(&cut, &signed(&honest, &[1, 2]), Known::default());
    assert_eq!(verdict(&report, Step::Earlier), Verdict::Failed);
}

#[test]
fn findings_are_bounded_and_counted() {
    let mut report = Report::default();
    (0..50).for_each(|i| report.failed(Step::Quota, i));
    let result = report.steps.iter().find(|result| result.step == Step::Quota).unwrap();
    assert_eq!((result.findings.len(), result.violations), (report::FINDINGS_MAX, 50));
    report.passed(Step::Quota, 9);
    assert_eq!(verdict(&report, Step::Quota), Verdict::Failed);
    assert!(report.lines(Language::En, 80).iter().any(|line| line.contains("30 more")));
}
