//! Moving jobs for another one: who may be, that each is needed, and that what they give back reaches nobody else.

use super::*;
use crate::command::{Group, Preempt, Slot};
use crate::preemption::PENDING_MAX;
use sekisho_types::fitness::Unfit;
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::job::JobFacts;

const NODE: &str = "tokyo-1/n-01";
const OTHER: &str = "tokyo-1/n-02";

fn slot(node: &str) -> Slot {
    Slot { node: node.parse().unwrap(), bucket: 0 }
}

fn preempt(of: &JobId, victims: &[&JobId], nodes: &[&str]) -> Command {
    let mut victims: Vec<JobId> = victims.iter().map(|id| (*id).clone()).collect();
    victims.sort();
    let places = nodes.iter().map(|node| slot(node)).collect();
    Command::Preempt(Box::new(Preempt { beneficiary: of.clone(), victims, places }))
}

fn urgent(name: &str, group: u32, gpus: u32) -> JobFacts {
    JobFacts { priority: 90, ..job(name, group, gpus, &[]) }
}

/// Lets what runs have run for long enough.
fn wait(f: &mut Federation) {
    f.now = f.now.plus_ms(9_000);
    f.accept(member("kanto"), Command::Tick);
}

/// A job that has run for a while there.
fn runs(f: &mut Federation, facts: JobFacts, node: &str) -> JobId {
    let id = f.submit(facts);
    let placed = f.place(&id, &[node]).outcome;
    assert!(matches!(&placed, Ok(Reply::Placed { rejected, .. }) if rejected.is_empty()));
    id
}

fn ended(f: &mut Federation, id: &JobId) {
    all(f, id, &Phase::Ended(Ending::Stopped));
}

fn phase(f: &Federation, id: &JobId) -> JobPhase {
    f.state.job(id).unwrap().phase
}

fn usage(f: &Federation, tenant: &str) -> u64 {
    f.state.usage(&tenant.parse().unwrap(), &CLASS.parse().unwrap())
}

#[test]
fn room_is_made_by_a_less_urgent_job_and_reaches_nobody_else() {
    let mut f = Federation::furnished();
    let low = runs(&mut f, job("low", 1, 4, &[]), NODE);
    let high = f.submit(urgent("high", 1, 4));
    let soon = preempt(&high, &[&low], &[NODE]);
    refused(&mut f, member("kanto"), soon, ErrorCode::WrongPhase);
    wait(&mut f);
    let now = preempt(&high, &[&low], &[NODE]);
    refused(&mut f, admin("kanto"), now.clone(), ErrorCode::PermissionDenied);
    let applied = f.accept(member("kanto"), now.clone());
    assert!(applied.checkpoint.is_some(), "the agent is told under a checkpoint (P2)");
    assert_eq!((phase(&f, &low), phase(&f, &high)), (JobPhase::Stopping, JobPhase::Queued));
    assert_eq!(invariant::check(&f.state), Ok(()));
    refused(&mut f, member("kanto"), now, ErrorCode::WrongPhase);
    // Nobody else gets the place, and it is not granted before it is free (P3).
    let thief = f.submit(urgent("thief", 1, 1));
    let stolen = f.place(&thief, &[NODE]).outcome;
    let rejected = vec![(thief, ErrorCode::CapacityFull)];
    assert_eq!(stolen, Ok(Reply::Placed { granted: vec![], rejected }));
    let early = f.place(&high, &[OTHER]).outcome;
    let rejected = vec![(high.clone(), ErrorCode::WrongPhase)];
    assert_eq!(early, Ok(Reply::Placed { granted: vec![], rejected }));
    let placement = f.placements(&low)[0];
    let node: NodeId = NODE.parse().unwrap();
    let applied = report(&mut f, &node, vec![(placement, Phase::Ended(Ending::Stopped))]);
    assert!(matches!(body(&applied, 1), Body::Grant(grant) if grant.job == high), "in that entry");
    assert_eq!((phase(&f, &low), phase(&f, &high)), (JobPhase::Queued, JobPhase::Placed));
    assert_eq!(f.state.job(&low).unwrap().attempts, 0, "it was through no fault of its own");
    assert_eq!((usage(&f, "sapporo"), f.state.preemptions().count()), (4, 0));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn only_who_may_be_and_is_needed_is_moved() {
    let mut f = Federation::furnished();
    let (a, b) = (runs(&mut f, job("a", 1, 2, &[]), NODE), runs(&mut f, job("b", 1, 2, &[]), NODE));
    let far = runs(&mut f, job("far", 1, 2, &[]), "sakai-1/n-01");
    wait(&mut f);
    let (equal, high) = (f.submit(job("equal", 1, 2, &[])), f.submit(urgent("high", 1, 2)));
    let by = || member("kanto");
    let of_equal = preempt(&equal, &[&a], &[NODE]);
    refused(&mut f, by(), of_equal, ErrorCode::WrongPhase);
    // One of them is enough; one that stands elsewhere makes no room.
    let both = preempt(&high, &[&a, &b], &[NODE]);
    refused(&mut f, by(), both, ErrorCode::WrongPhase);
    let elsewhere = preempt(&high, &[&far], &[NODE]);
    refused(&mut f, by(), elsewhere, ErrorCode::CapacityFull);
    let nobody = preempt(&high, &[], &[NODE]);
    refused(&mut f, by(), nobody, ErrorCode::InvalidArgument);
    let itself = preempt(&high, &[&high], &[NODE]);
    refused(&mut f, by(), itself, ErrorCode::InvalidArgument);
    let needless = preempt(&high, &[&a], &[OTHER]);
    refused(&mut f, by(), needless, ErrorCode::WrongPhase);
    let wrong_size = preempt(&high, &[&a], &[NODE, OTHER]);
    refused(&mut f, by(), wrong_size, ErrorCode::InvalidArgument);
    let unknown: JobId = "sapporo/nobody".parse().unwrap();
    let gone = preempt(&high, &[&unknown], &[NODE]);
    refused(&mut f, by(), gone, ErrorCode::NotFound);
    f.accept(by(), preempt(&high, &[&a], &[NODE]));
    assert!(f.state.preemptions().count() < PENDING_MAX);
}

/// `osaka` has nothing of its own and borrows all that `sapporo` lends, on both nodes of Tokyo.
fn borrowed() -> (Federation, JobId, JobId) {
    let mut f = Federation::furnished();
    let (sapporo, ministry): (TenantId, _) =
        ("sapporo".parse().unwrap(), f.tenant("ministry", Limit::None));
    let osaka = f.tenant("osaka", Limit::None);
    f.part_of(&sapporo, &ministry);
    f.part_of(&osaka, &ministry);
    let (nominal, lending) = (Limit::Gpus(8), Limit::Gpus(8));
    f.allot(&sapporo, Area::Japan, Allotment { nominal, borrowing: Limit::None, lending });
    let borrowing = Limit::Unlimited;
    f.allot(&osaka, Area::Japan, Allotment { borrowing, ..Allotment::NONE });
    let of = |name: &str| {
        let facts = urgent(name, 1, 4);
        JobFacts { id: JobId { tenant: osaka.clone(), ..facts.id.clone() }, ..facts }
    };
    let first = runs(&mut f, of("first"), NODE);
    let second = runs(&mut f, of("second"), OTHER);
    wait(&mut f);
    (f, first, second)
}

#[test]
fn whoever_lent_gets_its_own_back_from_the_more_urgent_too_and_nothing_loops() {
    let (mut f, first, second) = borrowed();
    let own = f.submit(job("own", 2, 3, &[]));
    f.accept(member("kanto"), preempt(&own, &[&first, &second], &[NODE, OTHER]));
    // What the first gives back is charged to its owner at once, before the second is dead.
    ended(&mut f, &first);
    assert_eq!((usage(&f, "osaka"), usage(&f, "sapporo")), (4, 4));
    assert_eq!((phase(&f, &first), phase(&f, &own)), (JobPhase::Queued, JobPhase::Queued));
    assert_eq!(invariant::check(&f.state), Ok(()));
    let back = f.place(&first, &["sakai-1/n-01"]).outcome;
    let rejected = vec![(first.clone(), ErrorCode::QuotaExceeded)];
    assert_eq!(back, Ok(Reply::Placed { granted: vec![], rejected }));
    ended(&mut f, &second);
    assert_eq!((phase(&f, &own), usage(&f, "sapporo")), (JobPhase::Placed, 6));
    assert_eq!(invariant::check(&f.state), Ok(()));
    wait(&mut f);
    // Who was moved moves nobody in return, however urgent it is: the other has no more than its own.
    let loops = preempt(&second, &[&own], &[OTHER]);
    refused(&mut f, member("kanto"), loops, ErrorCode::WrongPhase);
}

fn of(tenant: &TenantId, facts: JobFacts) -> JobFacts {
    JobFacts { id: JobId { tenant: tenant.clone(), ..facts.id.clone() }, ..facts }
}

#[test]
fn who_would_borrow_moves_nobody_that_has_its_own_and_others_that_borrow() {
    let (mut f, first, second) = borrowed();
    let osaka = first.tenant.clone();
    all(&mut f, &first, &Phase::Ended(Ending::Exited(0)));
    let own = runs(&mut f, job("own", 1, 4, &[]), NODE);
    wait(&mut f);
    let top = JobFacts { priority: 100, ..of(&osaka, urgent("top", 1, 4)) };
    let top = f.submit(top);
    let taken = preempt(&top, &[&own], &[NODE]);
    refused(&mut f, member("kanto"), taken, ErrorCode::WrongPhase);
    // The other has no less, and is less urgent.
    f.accept(member("kanto"), preempt(&top, &[&second], &[OTHER]));
    ended(&mut f, &second);
    assert_eq!((phase(&f, &top), phase(&f, &own)), (JobPhase::Placed, JobPhase::Placed));
}

#[test]
fn no_more_of_a_tenant_is_moved_than_it_borrows() {
    let (mut f, first, second) = borrowed();
    let osaka = first.tenant.clone();
    // It has four of its own now: one of its two jobs is borrowed, whichever.
    let borrowing = Limit::Unlimited;
    f.allot(&osaka, Area::Japan, Allotment { borrowing, ..Allotment::own(Limit::Gpus(4)) });
    let gang = f.submit(job("gang", 2, 4, &[]));
    let both = preempt(&gang, &[&first, &second], &[NODE, OTHER]);
    refused(&mut f, member("kanto"), both, ErrorCode::WrongPhase);
    let own = f.submit(job("own", 1, 4, &[]));
    f.accept(member("kanto"), preempt(&own, &[&second], &[OTHER]));
    ended(&mut f, &second);
    assert_eq!((phase(&f, &own), phase(&f, &first)), (JobPhase::Placed, JobPhase::Placed));
    wait(&mut f);
    refused(&mut f, member("kanto"), preempt(&gang, &[&first], &[NODE]), ErrorCode::WrongPhase);
}

#[test]
fn what_a_part_lent_to_its_parent_comes_back_too() {
    let (mut f, first, second) = borrowed();
    for id in [&first, &second] {
        all(&mut f, id, &Phase::Ended(Ending::Exited(0)));
    }
    let ministry: TenantId = "ministry".parse().unwrap();
    f.quota(&ministry, Limit::Gpus(1));
    let office = runs(&mut f, of(&ministry, urgent("office", 1, 4)), NODE);
    wait(&mut f);
    let other = runs(&mut f, job("other", 1, 4, &[]), OTHER);
    let own = f.submit(job("own", 1, 4, &[]));
    let full = f.place(&own, &["sakai-1/n-01"]).outcome;
    let rejected = vec![(own.clone(), ErrorCode::QuotaExceeded)];
    assert_eq!(full, Ok(Reply::Placed { granted: vec![], rejected }));
    f.accept(member("kanto"), preempt(&own, &[&office], &["sakai-1/n-01"]));
    ended(&mut f, &office);
    assert_eq!((phase(&f, &own), phase(&f, &other)), (JobPhase::Placed, JobPhase::Placed));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_host_that_comes_back_unfit_is_granted_nothing_by_the_end_of_what_it_held() {
    let mut f = Federation::furnished();
    let low = runs(&mut f, job("low", 1, 4, &[]), NODE);
    wait(&mut f);
    let high = f.submit(urgent("high", 1, 4));
    f.accept(member("kanto"), preempt(&high, &[&low], &[NODE]));
    let node: NodeId = NODE.parse().unwrap();
    let row = f.state.node(&node).unwrap();
    let (previous, buckets) = (row.session.as_ref().map(|open| open.id), row.buckets.clone());
    let worn = Unfit { check: "devices".parse().unwrap(), blocks: true, detail: String::new() };
    let open = Command::OpenSession {
        node: node.clone(),
        session: SessionId([9; 16]),
        previous,
        buckets,
        live: Vec::new(),
        table: sekisho_types::jurisdiction::table_hash(),
        findings: vec![worn],
        rack: None,
    };
    f.accept(agent(&node), open);
    assert_eq!((phase(&f, &low), phase(&f, &high)), (JobPhase::Queued, JobPhase::Queued));
    assert!(f.state.job(&high).unwrap().message.contains("NODE_UNFIT"));
    assert_eq!((f.state.preemptions().count(), invariant::check(&f.state)), (0, Ok(())));
}

#[test]
fn a_quota_that_falls_meanwhile_or_a_tenant_that_moves_leaves_nothing_charged() {
    for moves in [false, true] {
        let (mut f, first, second) = borrowed();
        let own = f.submit(job("own", 2, 3, &[]));
        f.accept(member("kanto"), preempt(&own, &[&first, &second], &[NODE, OTHER]));
        ended(&mut f, &first);
        assert_eq!(usage(&f, "sapporo"), 4);
        let sapporo: TenantId = "sapporo".parse().unwrap();
        if moves {
            let city = f.tenant("city", Limit::Gpus(2));
            f.part_of(&sapporo, &city);
        } else {
            f.allot(&sapporo, Area::Japan, Allotment::own(Limit::Gpus(5)));
        }
        assert_eq!(invariant::check(&f.state), Ok(()));
        ended(&mut f, &second);
        // Six of its own are more than five; in another tree it has its eight.
        let then = if moves { JobPhase::Placed } else { JobPhase::Queued };
        assert_eq!((phase(&f, &own), f.state.preemptions().count()), (then, 0));
        assert_eq!(usage(&f, "sapporo"), if moves { 6 } else { 0 });
        assert_eq!(invariant::check(&f.state), Ok(()));
    }
}

#[test]
fn whoever_has_its_own_in_use_moves_nobody_for_more() {
    let (mut f, first, _) = borrowed();
    let too_much = f.submit(job("too-much", 1, 4, &[]));
    f.allot(
        &"sapporo".parse().unwrap(),
        Area::Japan,
        Allotment { lending: Limit::Gpus(3), ..Allotment::own(Limit::Gpus(3)) },
    );
    let more = preempt(&too_much, &[&first], &[NODE]);
    refused(&mut f, member("kanto"), more, ErrorCode::WrongPhase);
}

#[test]
fn a_beneficiary_that_goes_gives_up_what_was_kept_for_it() {
    let mut f = Federation::furnished();
    let low = runs(&mut f, job("low", 1, 3, &[]), NODE);
    wait(&mut f);
    let high = f.submit(urgent("high", 1, 4));
    f.accept(member("kanto"), preempt(&high, &[&low], &[NODE]));
    let node: NodeId = NODE.parse().unwrap();
    assert_eq!(f.state.node(&node).unwrap().free(0), 0, "the free one is kept");
    assert_eq!(usage(&f, "sapporo"), 7, "what there is quota for is charged");
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: high });
    assert_eq!((f.state.node(&node).unwrap().free(0), usage(&f, "sapporo")), (1, 3));
    assert_eq!((phase(&f, &low), f.state.preemptions().count()), (JobPhase::Stopping, 0));
    assert_eq!(invariant::check(&f.state), Ok(()));
    ended(&mut f, &low);
    assert_eq!((phase(&f, &low), usage(&f, "sapporo")), (JobPhase::Queued, 0));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn where_the_place_is_gone_by_then_the_job_waits_on() {
    let mut f = Federation::furnished();
    let low = runs(&mut f, job("low", 1, 4, &[]), NODE);
    wait(&mut f);
    let high = f.submit(urgent("high", 1, 4));
    f.accept(member("kanto"), preempt(&high, &[&low], &[NODE]));
    let (node, schedulable) = (NODE.parse().unwrap(), false);
    f.accept(admin("kanto"), Command::SetSchedulable { node, schedulable });
    ended(&mut f, &low);
    assert_eq!((phase(&f, &high), f.state.preemptions().count()), (JobPhase::Queued, 0));
    assert!(f.state.job(&high).unwrap().message.contains("NODE_UNAVAILABLE"));
    assert_eq!((usage(&f, "sapporo"), invariant::check(&f.state)), (0, Ok(())));
    // It is placed like any other.
    let groups = vec![Group { job: high.clone(), places: vec![slot(OTHER)] }];
    let basis = f.state.revision();
    f.accept(member("kanto"), Command::CommitPlacement { basis, groups, calls: None });
    assert_eq!(phase(&f, &high), JobPhase::Placed);
}
