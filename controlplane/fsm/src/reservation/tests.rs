//! Random reservations, jobs and time on one offer: what is reserved and held never comes to more than is offered, now or
//! later, and each holder has at any time what is left of its own.

use super::*;
use crate::command::{Command, DeleteReservation};
use crate::invariant;
use crate::outcome::Reply;
use crate::testing::{Federation, admin, agent, job, member, offer, reservation};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::quota::Limit;

const NODE: &str = "tokyo-1/n-01";
const TENANTS: [&str; 3] = ["naha", "otaru", "sapporo"];
/// Everything begins and ends at a whole number of these.
const HALF_HOUR_MS: u64 = 1_800_000;

#[derive(Debug, Clone)]
enum Step {
    /// Of a tenant: devices, begins after, lasts; 0 = without an end.
    Reserve(usize, u64, u64, u64),
    /// The n-th reservation goes.
    Release(usize),
    /// Of a tenant: devices, time limit.
    Job(usize, u32, u64),
    /// The n-th placement ends.
    End(usize),
    Pass,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..3, 1u64..5, 0u64..6, 0u64..5).prop_map(|(t, g, a, l)| Step::Reserve(t, g, a, l)),
        1 => (0usize..8).prop_map(Step::Release),
        6 => (0usize..3, 1u32..4, 1u64..7).prop_map(|(t, g, l)| Step::Job(t, g, l)),
        2 => (0usize..8).prop_map(Step::End),
        3 => Just(Step::Pass),
    ]
}

fn id(tenant: &str, n: usize) -> JobId {
    format!("{tenant}/j-{n}").parse().unwrap()
}

/// Submits a job and asks for its place; whether it has it.
fn placed(f: &mut Federation, id: JobId, gpus: u32, limit_s: u64) -> bool {
    let facts = job("any", 1, gpus, &[]);
    f.submit(JobFacts { id: id.clone(), time_limit_s: limit_s, ..facts });
    let Ok(Reply::Placed { granted, .. }) = f.place(&id, &[NODE]).outcome else { panic!("{id}") };
    !granted.is_empty()
}

fn end(f: &mut Federation, id: PlacementId) {
    let node: NodeId = NODE.parse().unwrap();
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let phases = vec![(id, Phase::Ended(Ending::Exited(0)))];
    f.accept(agent(&node), Command::Report { node, session, phases });
}

fn living(f: &Federation, over: impl Fn(&Placement) -> bool) -> Vec<PlacementId> {
    let rows = f.state.placements().filter(|(_, row)| !row.phase.is_ended() && over(row));
    rows.map(|(id, _)| *id).collect()
}

/// A reservation that work of others stands in the way of is none that this is about.
fn reserve(f: &mut Federation, n: usize, tenant: &str, spec: ReservationSpec) {
    let name = format!("r-{n}");
    let put = f.reserving(tenant, &name, spec);
    if f.run(admin("kanto"), put).outcome.is_err() {
        return;
    }
    let key = (tenant.parse().unwrap(), name.parse().unwrap());
    let row = f.state.reservation(&key.0, &key.1).unwrap();
    let (expected, occupied) = (row.revision, f.state.standing(&key, row).occupied);
    if occupied > 0 || demand(f).into_iter().any(|(_, taken)| taken > offered(f)) {
        release(f, (key, expected));
    }
}

fn release(f: &mut Federation, ((tenant, name), expected): (ReservationKey, Revision)) {
    let delete = DeleteReservation { tenant, name, expected };
    f.accept(admin("kanto"), Command::DeleteReservation(Box::new(delete)));
}

fn offered(f: &Federation) -> u64 {
    f.state.offer(&"tokyo-1".parse().unwrap(), &"all".parse().unwrap()).unwrap().spec.gpus
}

/// What is reserved or held at now and each later beginning, told once more.
fn demand(f: &Federation) -> Vec<(Timestamp, u64)> {
    let now = f.state.clock();
    let begins = f.state.reservations().map(|(_, row)| row.spec.from).filter(|from| *from > now);
    let moments: Vec<Timestamp> = begins.chain([now]).collect();
    let taken = |at: Timestamp| -> u64 {
        let of = |tenant: &&str| {
            let tenant: TenantId = tenant.parse().unwrap();
            let rows = f.state.reservations().filter(|((of, _), _)| *of == tenant);
            let rows = rows.filter(|(_, row)| row.spec.holds_at(at));
            let reserved: u64 = rows.map(|(_, row)| row.spec.gpus).sum();
            let lasts = |row: &Placement| {
                row.grant.job.tenant == tenant && (at == now || at < left_by(row.charge.until))
            };
            let lives = f.state.placements().filter(|(_, row)| !row.phase.is_ended());
            let held =
                lives.filter(|(_, row)| lasts(row)).map(|(_, row)| u64::from(row.grant.gpus));
            reserved.max(held.sum())
        };
        TENANTS.iter().map(of).sum()
    };
    moments.into_iter().map(|at| (at, taken(at))).collect()
}

/// Whoever holds something gets the rest of it at once.
fn holders_have_theirs(f: &Federation, n: usize) -> Result<(), TestCaseError> {
    for tenant in TENANTS {
        let of: TenantId = tenant.parse().unwrap();
        let rows = f.state.reservations().filter(|((holder, _), _)| *holder == of);
        let rows = rows.filter(|(_, row)| row.spec.holds_at(f.state.clock()));
        let reserved: u64 = rows.map(|(_, row)| row.spec.gpus).sum();
        let left = reserved.saturating_sub(f.state.usage(&of, &"sim-h100".parse().unwrap()));
        if left > 0 {
            let (mut f, id) = (f.clone(), id(tenant, n.saturating_add(1000)));
            let has = placed(&mut f, id, u32::try_from(left).unwrap(), 60);
            prop_assert!(has, "{} lacks {} of {}", tenant, left, reserved);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nobody_takes_what_another_reserved_and_the_holder_has_it(
        gpus in 2u64..12,
        steps in prop::collection::vec(step(), 1..20),
    ) {
        let mut f = Federation::new();
        f.ready_node(NODE, 64);
        for tenant in TENANTS {
            f.tenant(tenant, Limit::Unlimited);
        }
        f.offer("tokyo-1", offer(gpus));
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Reserve(tenant, gpus, after, lasts) => {
                    let from = f.state.clock().plus_ms(after.saturating_mul(HALF_HOUR_MS));
                    let until = (lasts > 0).then(|| from.plus_ms(lasts.saturating_mul(HALF_HOUR_MS)));
                    let spec = ReservationSpec { from, until, ..reservation("tokyo-1", gpus) };
                    reserve(&mut f, n, TENANTS[tenant], spec);
                }
                Step::Release(at) => {
                    let row = f.state.reservations().nth(at);
                    if let Some((key, row)) = row.map(|(key, row)| (key.clone(), row.revision)) {
                        release(&mut f, (key, row));
                    }
                }
                Step::Job(tenant, gpus, limit) => {
                    let limit_s = limit.saturating_mul(HALF_HOUR_MS) / 1000;
                    placed(&mut f, id(TENANTS[tenant], n), gpus, limit_s);
                }
                Step::End(at) => {
                    let all = living(&f, |_| true);
                    all.into_iter().skip(at).take(1).for_each(|id| end(&mut f, id));
                }
                Step::Pass => {
                    let now = f.now.plus_ms(HALF_HOUR_MS);
                    for id in living(&f, |row| row.charge.until <= now) {
                        end(&mut f, id);
                    }
                    f.now = now;
                    f.state.clock = now;
                    f.accept(member("kanto"), Command::Tick);
                }
            }
            prop_assert_eq!(invariant::check(&f.state), Ok(()));
            for (at, taken) in demand(&f) {
                prop_assert!(taken <= gpus, "{} of {} at {}", taken, gpus, at);
            }
            holders_have_theirs(&f, n)?;
        }
    }
}

#[test]
fn of_several_at_one_place_each_is_told_what_it_covers() {
    let mut f = Federation::new();
    f.ready_node(NODE, 64);
    f.tenant("otaru", Limit::Unlimited);
    let first = ReservationSpec { from: Timestamp(1000), ..reservation("tokyo-1", 2) };
    f.reserve("otaru", "first", first);
    f.reserve("otaru", "next", reservation("tokyo-1", 4));
    assert!(placed(&mut f, id("otaru", 1), 3, 600));
    let used = |name: &str| {
        let key: ReservationKey = ("otaru".parse().unwrap(), name.parse().unwrap());
        f.state.standing(&key, f.state.reservation(&key.0, &key.1).unwrap()).used
    };
    assert_eq!((used("first"), used("next")), (2, 1));
}
