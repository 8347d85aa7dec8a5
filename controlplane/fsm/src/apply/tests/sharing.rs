//! Kinds of devices: nothing is counted twice, and a device is shared by agreement alone.

use super::*;
use crate::command::{Group, Preempt, Slot};
use crate::testing::{bucket, instances, shares};
use sekisho_evidence::grant::Share;
use sekisho_types::device::Bucket;
use sekisho_types::id::{DeviceClass, JobId};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::sharing::Sharing;

const NODE: &str = "tokyo-1/n-01";
/// In the order of [`mixed`].
const WHOLE: u16 = 0;
const SLICED: u16 = 1;
const SHARED: u16 = 2;

/// Two whole devices, three instances of a third, two shares of a fourth.
fn mixed() -> Vec<Bucket> {
    vec![bucket(2), instances(2, 3), shares(3, 2)]
}

fn class(bucket: u16) -> DeviceClass {
    mixed()[usize::from(bucket)].class.clone()
}

/// The federation with such a node, and two tenants that may have of each class.
fn begun() -> Federation {
    let mut f = Federation::furnished();
    f.tenant("naha", Limit::Gpus(8));
    for bucket in [SLICED, SHARED] {
        f.open_class(&class(bucket), &["sapporo", "naha"], Limit::Gpus(8));
    }
    assert_eq!(f.equip(&NODE.parse().unwrap(), mixed()).outcome, Ok(Reply::Done));
    f
}

fn of(tenant: &str, name: &str, resources: Resources) -> JobFacts {
    let facts = job(name, 1, 1, &[]);
    let id = JobId { tenant: tenant.parse().unwrap(), ..facts.id };
    JobFacts { id, resources, ..facts }
}

fn share(tenant: &str, name: &str, sharing: Sharing) -> JobFacts {
    of(tenant, name, Resources { sharing, ..Resources::of(class(SHARED), 1) })
}

fn slot(bucket: u16) -> Slot {
    Slot { node: NODE.parse().unwrap(), bucket }
}

/// Grants a place on the node; the code if it is refused.
fn place(f: &mut Federation, id: &JobId, bucket: u16) -> Option<ErrorCode> {
    let groups = vec![Group { job: id.clone(), places: vec![slot(bucket)] }];
    let basis = f.state.revision();
    let applied = f.run(member("kanto"), Command::CommitPlacement { basis, groups, calls: None });
    assert_eq!(invariant::check(&f.state), Ok(()));
    match applied.outcome {
        Ok(Reply::Placed { rejected, .. }) => rejected.first().map(|(_, code)| *code),
        other => panic!("{other:?}"),
    }
}

fn submit_and_place(f: &mut Federation, facts: JobFacts, bucket: u16) -> Option<ErrorCode> {
    let id = f.submit(facts);
    place(f, &id, bucket)
}

#[test]
fn a_report_that_counts_a_device_twice_is_refused() {
    let mut f = Federation::furnished();
    let node: NodeId = NODE.parse().unwrap();
    let slip = Bucket { count: 3, ..bucket(2) };
    for bad in [
        vec![bucket(2), instances(1, 3)],
        vec![bucket(2), shares(1, 2)],
        vec![instances(1, 3), shares(1, 2)],
        vec![shares(1, 2), shares(1, 2)],
        vec![slip],
    ] {
        let before = tables(&f);
        assert_eq!(code(&f.equip(&node, bad.clone())), Some(ErrorCode::DeviceTwice), "{bad:?}");
        assert_eq!(tables(&f), before);
    }
    assert_eq!(f.equip(&node, mixed()).outcome, Ok(Reply::Done));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn each_kind_is_granted_as_what_it_is() {
    let mut f = begun();
    let two = f.submit(of("sapporo", "slices", Resources::of(class(SLICED), 2)));
    assert_eq!(place(&mut f, &two, WHOLE), Some(ErrorCode::NoDevice), "of another class");
    assert_eq!(place(&mut f, &two, SLICED), None);
    let grant = f.state.placement(&f.placements(&two)[0]).unwrap().grant.clone();
    assert_eq!((grant.gpus, grant.units, grant.memory_mib, grant.share), (2, 1, 9856, None));
    let over = of("sapporo", "over", Resources { units: 2, ..Resources::of(class(SLICED), 1) });
    assert_eq!(submit_and_place(&mut f, over, SLICED), Some(ErrorCode::NoDevice), "one unit each");
    let two = of("sapporo", "two", Resources::of(class(SLICED), 2));
    assert_eq!(submit_and_place(&mut f, two, SLICED), Some(ErrorCode::CapacityFull), "one is left");
    let mine = f.submit(share("sapporo", "mine", Sharing::Tenant));
    assert_eq!(place(&mut f, &mine, SHARED), None);
    let grant = f.state.placement(&f.placements(&mine)[0]).unwrap().grant.clone();
    let device = mixed()[usize::from(SHARED)].parts[0].gpu;
    assert_eq!(grant.share, Some(Share { device, with: Sharing::Tenant }));
    assert_eq!(f.state.usage(&"sapporo".parse().unwrap(), &class(SHARED)), 1, "a quota of its own");
}

#[test]
fn a_device_is_shared_by_those_who_agree_and_by_no_more() {
    let mut f = begun();
    let first = f.submit(share("sapporo", "first", Sharing::Tenant));
    assert_eq!(place(&mut f, &first, SHARED), None);
    let other = f.submit(share("naha", "other", Sharing::Any));
    assert_eq!(place(&mut f, &other, SHARED), Some(ErrorCode::ShareNeighbours));
    let second = f.submit(share("sapporo", "second", Sharing::Any));
    assert_eq!(place(&mut f, &second, SHARED), None);
    let third = f.submit(share("sapporo", "third", Sharing::Any));
    assert_eq!(place(&mut f, &third, SHARED), Some(ErrorCode::CapacityFull), "two shares");
    // Being stopped is not dead: the share is held, and with whom it was shared.
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: first.clone() });
    assert_eq!(place(&mut f, &third, SHARED), Some(ErrorCode::CapacityFull));
    all(&mut f, &first, &Phase::Ended(Ending::Stopped));
    assert_eq!(place(&mut f, &other, SHARED), None, "the second takes others");
    let alone = f.submit(share("sapporo", "alone", Sharing::Tenant));
    all(&mut f, &second, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(place(&mut f, &alone, SHARED), Some(ErrorCode::ShareNeighbours));
    assert_eq!(place(&mut f, &third, SHARED), None);
}

#[test]
fn who_did_not_agree_gets_no_share_and_who_agreed_no_more_than_one() {
    let mut f = begun();
    let submit = |facts: JobFacts| Command::SubmitJob { facts: Box::new(facts) };
    let by = user("kanto", "sapporo");
    let silent = of("sapporo", "silent", Resources::of(class(SHARED), 1));
    refused(&mut f, by.clone(), submit(silent), ErrorCode::InvalidArgument);
    let two = Resources { sharing: Sharing::Any, ..Resources::of(class(SHARED), 2) };
    refused(&mut f, by.clone(), submit(of("sapporo", "two", two)), ErrorCode::InvalidArgument);
    let whole = Resources { sharing: Sharing::Any, ..Resources::of(class(WHOLE), 1) };
    refused(&mut f, by, submit(of("sapporo", "whole", whole)), ErrorCode::InvalidArgument);
    // Whatever a state holds: the grant is judged again.
    let bent = f.submit(share("sapporo", "bent", Sharing::Any));
    let changes: [fn(&mut Resources); 2] =
        [|wanted| wanted.sharing = Sharing::Alone, |wanted| wanted.gpus = 2];
    for change in changes {
        let mut f = f.clone();
        f.state.jobs.update(&bent, |job| change(&mut job.facts.resources));
        assert_eq!(place(&mut f, &bent, SHARED), Some(ErrorCode::ShareRefused));
    }
}

#[test]
fn a_share_is_made_room_for_by_those_who_do_not_agree() {
    let mut f = begun();
    let low = f.submit(share("sapporo", "low", Sharing::Tenant));
    assert_eq!(place(&mut f, &low, SHARED), None);
    f.now = f.now.plus_ms(9_000);
    f.accept(member("kanto"), Command::Tick);
    let high = f.submit(JobFacts { priority: 90, ..share("naha", "high", Sharing::Any) });
    assert_eq!(place(&mut f, &high, SHARED), Some(ErrorCode::ShareNeighbours), "one share is free");
    let (victims, places) = (vec![low.clone()], vec![slot(SHARED)]);
    let preempt = Preempt { beneficiary: high.clone(), victims, places };
    f.accept(member("kanto"), Command::Preempt(Box::new(preempt)));
    assert_eq!(invariant::check(&f.state), Ok(()));
    // What is kept for it counts as if it stood there.
    let late = f.submit(share("sapporo", "late", Sharing::Tenant));
    assert!(place(&mut f, &late, SHARED).is_some());
    all(&mut f, &low, &Phase::Ended(Ending::Stopped));
    assert_eq!(f.state.job(&high).unwrap().phase, JobPhase::Placed);
    assert_eq!(place(&mut f, &late, SHARED), Some(ErrorCode::ShareNeighbours));
    assert_eq!(invariant::check(&f.state), Ok(()));
}
