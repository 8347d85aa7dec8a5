//! Random grants, ends, prices and time around midnight, the end of a month and of a fiscal year, against budgets that are summed
//! up here a second time from what ran: by days since 1970 in Japan, without a word of the periods of the state machine.

use super::*;
use crate::command::Command;
use crate::invariant;
use crate::outcome::Reply;
use crate::testing::{Federation, admin, agent, job, key, member, offer, user, user_key};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sekisho_types::budget::Period;
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::offer::OfferSpec;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::quota::Limit;
use sekisho_types::revision::PlacementId;
use sekisho_types::time::Date;

/// A host with a price, and one for nothing.
const NODES: [(&str, &str); 2] = [("tokyo-1/n-01", "131016"), ("sakai-1/n-01", "271403")];
const HOUR: u64 = 3_600_000;
/// The state machine hears of an end so much later at most.
const TICK_MS: u64 = 10_000;
/// Whose budget it is, and what it counts.
const BUDGETS: [(&str, &str, Unit, Period); 4] = [
    ("sapporo", "day", Unit::GpuHours, Period::Day),
    ("ministry", "month", Unit::Yen, Period::Month),
    ("ministry", "year", Unit::GpuHours, Period::FiscalYear),
    ("sapporo", "soft", Unit::Yen, Period::Day),
];

#[derive(Debug, Clone)]
enum Step {
    /// Devices, time limit in quarters of an hour, which host.
    Job(u32, u64, usize),
    /// The n-th placement ends.
    End(usize),
    /// Quarters of an hour pass; what is at its limit is heard of so late.
    Pass(u64, u64),
    /// A device and hour costs so much from now on.
    Price(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1u32..4, 1u64..200, 0usize..2).prop_map(|(g, l, n)| Step::Job(g, l, n)),
        2 => (0usize..6).prop_map(Step::End),
        3 => (1u64..40, 0u64..=TICK_MS).prop_map(|(q, late)| Step::Pass(q, late)),
        1 => (0u64..400).prop_map(Step::Price),
    ]
}

/// What was granted, as the test saw it.
#[derive(Debug, Clone)]
struct Ran {
    gpus: u64,
    yen: u64,
    from: u64,
    limit: u64,
    end: Option<u64>,
}

/// Begins of the period that an instant is in and of the next one, told from the calendar of these months alone.
fn around(period: Period, at: u64) -> (u64, u64) {
    let midnight = |year, month, day| Timestamp::of_midnight_in_japan(Date { year, month, day }).0;
    let begins: Vec<u64> = match period {
        Period::Day => {
            let first = midnight(2027, 1, 1);
            (0..180).map(|day: u64| first.saturating_add(day.saturating_mul(24 * HOUR))).collect()
        }
        Period::Month => (1..7).map(|month| midnight(2027, month, 1)).collect(),
        Period::FiscalYear => {
            vec![midnight(2026, 4, 1), midnight(2027, 4, 1), midnight(2028, 4, 1)]
        }
        Period::Once { .. } => vec![],
    };
    let next = begins.iter().position(|begin| *begin > at).unwrap();
    (begins[next.saturating_sub(1)], begins[next])
}

fn rate(unit: Unit, one: &Ran) -> u128 {
    let gpus = u128::from(one.gpus);
    match unit {
        Unit::GpuHours => gpus,
        Unit::Yen => gpus.saturating_mul(u128::from(one.yen)),
    }
}

/// What of a period one takes from its grant until `end`.
fn share(unit: Unit, one: &Ran, end: u64, (first, next): (u64, u64)) -> u128 {
    let ms = end.min(next).saturating_sub(one.from.max(first));
    rate(unit, one).saturating_mul(u128::from(ms))
}

/// What all of them are charged in a period: to their limits, or to their ends.
fn charged(unit: Unit, ran: &[Ran], span: (u64, u64)) -> u128 {
    let until = |one: &Ran| one.end.map_or(one.limit, |end| end.min(one.limit));
    ran.iter().fold(0, |sum, one| sum.saturating_add(share(unit, one, until(one), span)))
}

struct World {
    f: Federation,
    ran: BTreeMap<PlacementId, Ran>,
    serial: u64,
    yen: u64,
}

impl World {
    /// Amounts of the budgets, and when it begins.
    fn new(amounts: [u64; 4], begin: Timestamp) -> Self {
        let mut f = Federation::new();
        let sapporo = f.tenant("sapporo", Limit::Unlimited);
        let ministry = f.tenant("ministry", Limit::None);
        f.part_of(&sapporo, &ministry);
        for ((tenant, name, unit, period), amount) in BUDGETS.into_iter().zip(amounts) {
            let exhausted = if name == "soft" { Exhausted::Warn } else { Exhausted::Stop };
            let (class, area) = (None, Area::Japan);
            let spec = BudgetSpec { unit, amount, period, class, area, exhausted };
            let (tenant, name) = (tenant.parse().unwrap(), name.parse().unwrap());
            let (budget, expected) = (Some(spec), Revision(0));
            f.accept(admin("kanto"), Command::SetBudget { tenant, name, budget, expected });
        }
        for (node, _) in NODES {
            f.ready_node(node, 64);
        }
        let mut world = Self { f, ran: BTreeMap::new(), serial: 1, yen: 0 };
        world.go_to(begin);
        let principal = user("kanto", "sapporo");
        let (public_key, role) = (user_key(&principal).public(), Role::TenantUser(sapporo));
        let expires = begin.plus_ms(60 * 24 * HOUR);
        world.f.register(KeyRecord { public_key, principal, role, expires });
        world.price(100);
        world
    }

    /// Tags are of a day: they are renewed.
    fn go_to(&mut self, now: Timestamp) {
        self.f.now = now;
        self.f.state.clock = now;
        self.serial = self.serial.saturating_add(1);
        for (node, area) in NODES {
            let node: NodeId = node.parse().unwrap();
            let tag = self.f.tag(&node, area, self.serial);
            let operator = agent(&node).operator;
            let tag = tag.sign(&key("site-tag", operator.as_str())).unwrap();
            self.f.accept(member(operator.as_str()), Command::RenewTag { node, tag });
        }
    }

    fn price(&mut self, yen: u64) {
        self.yen = yen;
        self.f.offer("tokyo-1", OfferSpec { yen_per_gpu_hour: yen, ..offer(1000) });
    }

    fn end(&mut self, id: PlacementId) {
        let node = self.f.state.placement(&id).unwrap().grant.node.clone();
        let session = self.f.state.node(&node).unwrap().session.as_ref().unwrap().id;
        let phases = vec![(id, Phase::Ended(Ending::Exited(0)))];
        self.f.accept(agent(&node), Command::Report { node, session, phases });
        let now = self.f.state.clock().0;
        self.ran.get_mut(&id).unwrap().end = Some(now);
    }

    fn living(&self) -> Vec<PlacementId> {
        self.ran.iter().filter(|(_, one)| one.end.is_none()).map(|(id, _)| *id).collect()
    }

    /// Submits a job and asks for its place. Refused it is by a hard budget that it would overspend, and for nothing else.
    fn job(
        &mut self,
        n: usize,
        (gpus, quarters): (u32, u64),
        node: usize,
    ) -> Result<(), TestCaseError> {
        let id: JobId = format!("sapporo/j-{n}").parse().unwrap();
        let limit_ms = quarters.saturating_mul(HOUR / 4);
        let facts = job("any", 1, gpus, &[]);
        self.f.submit(JobFacts { id: id.clone(), time_limit_s: limit_ms / 1000, ..facts });
        let from = self.f.state.clock().0;
        let yen = if node == 0 { self.yen } else { 0 };
        let limit = from.saturating_add(limit_ms);
        let one = Ran { gpus: u64::from(gpus), yen, from, limit, end: None };
        let ran: Vec<Ran> = self.ran.values().cloned().chain([one.clone()]).collect();
        let over = BUDGETS.into_iter().any(|(tenant, name, unit, period)| {
            let spec = self.spec(tenant, name);
            let mut at = from;
            let mut over = false;
            while at < limit {
                let span = around(period, at);
                over |= spec.exhausted == Exhausted::Stop
                    && share(unit, &one, limit, span) > 0
                    && charged(unit, &ran, span) > spec.whole();
                at = span.1;
            }
            over
        });
        let placed = self.f.place(&id, &[NODES[node].0]).outcome;
        let Ok(Reply::Placed { granted, rejected }) = &placed else { panic!("{placed:?}") };
        prop_assert_eq!(granted.is_empty(), over, "{:?}: {:?}", one, rejected);
        for placement in self.f.placements(&id) {
            self.ran.insert(placement, one.clone());
        }
        Ok(())
    }

    fn spec(&self, tenant: &str, name: &str) -> BudgetSpec {
        self.f.state.budget(&tenant.parse().unwrap(), &name.parse().unwrap()).unwrap().spec.clone()
    }

    /// Each period has charged what the test says; no hard one is beyond its amount, and what was really held is beyond it by what a
    /// tick is worth at most.
    fn check(&self) -> Result<(), TestCaseError> {
        let ran: Vec<Ran> = self.ran.values().cloned().collect();
        let now = self.f.state.clock().0;
        for (tenant, name, unit, period) in BUDGETS {
            let row =
                self.f.state.budget(&tenant.parse().unwrap(), &name.parse().unwrap()).unwrap();
            let last = ran.iter().map(|one| one.limit).max().unwrap_or(now).max(now);
            let mut at = ran.iter().map(|one| one.from).min().unwrap_or(now);
            let mut periods = 0usize;
            while at <= last {
                let span = around(period, at);
                let due = charged(unit, &ran, span);
                let kept = row.charged.get(&Timestamp(span.0)).copied().unwrap_or(0);
                prop_assert_eq!(kept, due, "{} of {} from {}", name, tenant, span.0);
                periods = periods.saturating_add(usize::from(kept > 0));
                if row.spec.exhausted == Exhausted::Stop {
                    prop_assert!(due <= row.spec.whole(), "{} has {} charged", name, due);
                    let held = |one: &Ran| share(unit, one, one.end.unwrap_or(now), span);
                    let held = ran.iter().fold(0u128, |sum, one| sum.saturating_add(held(one)));
                    let tick = ran.iter().fold(0u128, |sum, one| {
                        sum.saturating_add(rate(unit, one).saturating_mul(u128::from(TICK_MS)))
                    });
                    prop_assert!(held <= row.spec.whole().saturating_add(tick), "{} used", held);
                }
                at = span.1;
            }
            prop_assert_eq!(row.charged.len(), periods, "nothing is charged to another period");
        }
        prop_assert_eq!(invariant::check(&self.f.state), Ok(()));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Q2: charged in the entry that grants, given back once to the periods that it came from; never overspent.
    #[test]
    fn a_budget_is_charged_what_ran_in_each_period_and_never_overspent(
        amounts in (1u64..300, 1u64..40_000, 1u64..600, 0u64..9),
        begin in prop::sample::select(vec![(2, 28), (3, 31), (4, 30), (3, 15)]),
        hour in 8u64..24,
        steps in prop::collection::vec(step(), 1..20),
    ) {
        let (month, day) = begin;
        let begin = Timestamp::of_midnight_in_japan(Date { year: 2027, month, day });
        let begin = begin.plus_ms(hour.saturating_mul(HOUR));
        let mut world = World::new([amounts.0, amounts.1, amounts.2, amounts.3], begin);
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Job(gpus, quarters, node) => world.job(n, (gpus, quarters), node)?,
                Step::End(at) => {
                    let all = world.living();
                    all.into_iter().skip(at).take(1).for_each(|id| world.end(id));
                }
                Step::Pass(quarters, late) => {
                    let until = world.f.state.clock().plus_ms(quarters.saturating_mul(HOUR / 4));
                    // What reaches its limit on the way is heard of at once, or some time later.
                    while let Some((limit, id)) = world.living().into_iter()
                        .map(|id| (world.ran[&id].limit, id))
                        .filter(|(limit, _)| Timestamp(*limit) <= until)
                        .min()
                    {
                        let heard = Timestamp(limit.saturating_add(late)).max(world.f.state.clock());
                        world.go_to(heard);
                        world.end(id);
                    }
                    let now = until.max(world.f.state.clock());
                    world.go_to(now);
                }
                Step::Price(yen) => world.price(yen),
            }
            world.check()?;
        }
    }
}
