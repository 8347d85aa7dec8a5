//! Budgets over time: charged ahead, given back, and a hard stop (design section 8).

use super::*;
use crate::budget::hours;
use sekisho_types::budget::{AMOUNT_MAX, BudgetSpec, Exhausted, PER_HOUR, Period, Unit};
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::limit::BUDGETS_PER_TENANT_MAX;
use sekisho_types::name::Name;
use sekisho_types::revision::Revision;
use sekisho_types::time::{Date, Timestamp};

const NODE: &str = "tokyo-1/n-01";
const HOUR: u64 = 3_600_000;

fn sapporo() -> TenantId {
    "sapporo".parse().unwrap()
}

fn name() -> Name {
    "fy".parse().unwrap()
}

fn hard(unit: Unit, amount: u64) -> BudgetSpec {
    let (period, exhausted) = (Period::Month, Exhausted::Stop);
    BudgetSpec { unit, amount, period, class: None, area: Area::Japan, exhausted }
}

fn set(f: &Federation, tenant: &TenantId, budget: Option<BudgetSpec>) -> Command {
    let (tenant, name) = (tenant.clone(), name());
    let expected = f.state.budget(&tenant, &name).map_or(Revision(0), |row| row.revision);
    Command::SetBudget { tenant, name, budget, expected }
}

fn with(spec: BudgetSpec) -> Federation {
    let mut f = Federation::furnished();
    let command = set(&f, &sapporo(), Some(spec));
    f.accept(admin("kanto"), command);
    f
}

/// What is charged in the period of now, whole units.
fn charged(f: &Federation) -> u128 {
    let row = f.state.budget(&sapporo(), &name()).unwrap();
    let (first, _) = row.spec.period.span(f.state.clock()).unwrap();
    hours(row.charged.get(&first).copied().unwrap_or(0))
}

fn rejected(f: &mut Federation, job: &JobId, nodes: &[&str]) -> Option<ErrorCode> {
    match f.place(job, nodes).outcome {
        Ok(Reply::Placed { rejected, .. }) => rejected.first().map(|(_, code)| *code),
        other => panic!("{other:?}"),
    }
}

/// Walks the state clock on, which an entry moves by a bound only.
fn wait(f: &mut Federation, ms: u64) {
    f.now = f.now.plus_ms(ms);
    f.state.clock = f.now;
    f.run(member("kanto"), Command::Tick);
}

#[test]
fn a_placement_is_charged_for_its_whole_limit_and_gets_the_rest_back() {
    let mut f = with(hard(Unit::GpuHours, 10));
    let runs = f.submit(job("runs", 2, 2, &[]));
    assert_eq!(rejected(&mut f, &runs, &[NODE, "tokyo-1/n-02"]), None);
    assert_eq!(charged(&f), 4, "four GPUs for an hour");
    let key = (sapporo(), name());
    assert_eq!(hours(f.state.committed(&key, f.state.clock())), 4);
    wait(&mut f, HOUR / 4);
    assert_eq!((charged(&f), hours(f.state.committed(&key, f.state.clock()))), (4, 3));
    all(&mut f, &runs, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(charged(&f), 1, "a quarter of an hour");
    assert_eq!(f.state.committed(&key, f.state.clock()), 0);
}

#[test]
fn a_hard_budget_is_never_overspent_and_a_soft_one_tells() {
    let mut f = with(hard(Unit::GpuHours, 5));
    let first = f.submit(job("first", 1, 4, &[]));
    let second = f.submit(job("second", 1, 2, &[]));
    let never = f.submit(job("never", 2, 3, &[]));
    assert_eq!(rejected(&mut f, &first, &[NODE]), None);
    let left = rejected(&mut f, &second, &["tokyo-1/n-02"]);
    assert_eq!(left, Some(ErrorCode::BudgetExhausted));
    let whole = rejected(&mut f, &never, &["sakai-1/n-01", "sakai-1/n-02"]);
    assert_eq!(whole, Some(ErrorCode::BudgetTooSmall), "two are more than a whole period");
    let mut long = job("long", 1, 1, &[]);
    long.time_limit_s = 6 * 3600;
    let long = f.submit(long);
    assert_eq!(rejected(&mut f, &long, &["tokyo-1/n-02"]), Some(ErrorCode::BudgetTooSmall));
    // A budget that is lowered below what is charged moves nothing.
    let lower = set(&f, &sapporo(), Some(hard(Unit::GpuHours, 1)));
    f.accept(admin("kanto"), lower);
    assert_eq!((f.state.job(&first).unwrap().phase, charged(&f)), (JobPhase::Placed, 4));
    let soft = BudgetSpec { exhausted: Exhausted::Warn, ..hard(Unit::GpuHours, 1) };
    let soften = set(&f, &sapporo(), Some(soft));
    f.accept(admin("kanto"), soften);
    assert_eq!(rejected(&mut f, &second, &["tokyo-1/n-02"]), None);
    assert_eq!(charged(&f), 6);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_limit_that_crosses_midnight_of_the_month_is_charged_to_both() {
    let mut f = with(hard(Unit::GpuHours, 4));
    let begin = Timestamp::of_midnight_in_japan(Date { year: 2026, month: 12, day: 1 });
    let ms = begin.since_ms(f.now) - HOUR / 2;
    wait(&mut f, ms);
    for node in ["tokyo-1/n-01", "sakai-1/n-01"] {
        let node: NodeId = node.parse().unwrap();
        let operator = agent(&node).operator;
        let tag =
            f.tag(&node, if node.site.as_str() == "tokyo-1" { "131016" } else { "271403" }, 2);
        let tag = tag.sign(&crate::testing::key("site-tag", operator.as_str())).unwrap();
        f.accept(member(operator.as_str()), Command::RenewTag { node, tag });
    }
    let principal = user("kanto", "sapporo");
    f.register(sekisho_types::principal::KeyRecord {
        public_key: user_key(&principal).public(),
        principal,
        role: sekisho_types::principal::Role::TenantUser(sapporo()),
        expires: f.now.plus_ms(86_400_000),
    });
    let mut facts = job("crosses", 1, 4, &[]);
    facts.time_limit_s = 3600;
    let crosses = f.submit(facts);
    assert_eq!(rejected(&mut f, &crosses, &[NODE]), None);
    let row = f.state.budget(&sapporo(), &name()).unwrap();
    let parts: Vec<u128> = row.charged.values().map(|kept| hours(*kept)).collect();
    assert_eq!(parts, [2, 2], "half an hour in each");
    wait(&mut f, HOUR * 3 / 4);
    all(&mut f, &crosses, &Phase::Ended(Ending::Exited(0)));
    let row = f.state.budget(&sapporo(), &name()).unwrap();
    let parts: Vec<u128> =
        row.charged.values().map(|kept| kept * 4 / u128::from(PER_HOUR)).collect();
    assert_eq!(parts, [8, 4], "a quarter of an hour of the second");
}

#[test]
fn budgets_above_count_what_parts_use_of_their_class_and_area() {
    let mut f = Federation::furnished();
    let ministry = f.tenant("ministry", Limit::None);
    f.part_of(&sapporo(), &ministry);
    let north = BudgetSpec {
        area: Area::resolve("JP-01").unwrap(),
        class: Some(CLASS.parse().unwrap()),
        ..hard(Unit::GpuHours, 2)
    };
    let other = BudgetSpec { class: Some("other".parse().unwrap()), ..hard(Unit::GpuHours, 0) };
    let of_ministry = set(&f, &ministry, Some(north));
    f.accept(admin("kanto"), of_ministry);
    let of_other = set(&f, &sapporo(), Some(other));
    f.accept(admin("kanto"), of_other);
    let jobs: Vec<JobId> = (0..3).map(|n| f.submit(job(&format!("j-{n}"), 1, 2, &[]))).collect();
    assert_eq!(rejected(&mut f, &jobs[0], &["ishikari-1/n-01"]), None);
    let north = rejected(&mut f, &jobs[1], &["ishikari-1/n-02"]);
    assert_eq!(north, Some(ErrorCode::BudgetExhausted));
    assert_eq!(rejected(&mut f, &jobs[1], &[NODE]), None);
    assert_eq!(f.state.budgets_of(&ministry).count(), 1);
}

#[test]
fn yen_are_charged_at_the_price_of_the_offer_when_it_was_granted() {
    let mut f = with(hard(Unit::Yen, 1000));
    let priced = |yen| OfferSpec { yen_per_gpu_hour: yen, ..offer(100) };
    f.offer("tokyo-1", priced(300));
    let runs = f.submit(job("runs", 1, 2, &[]));
    assert_eq!(rejected(&mut f, &runs, &[NODE]), None);
    assert_eq!(charged(&f), 600);
    f.offer("tokyo-1", priced(900));
    wait(&mut f, HOUR / 2);
    all(&mut f, &runs, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(charged(&f), 300, "given back as it was charged");
    let dear = f.submit(job("dear", 1, 1, &[]));
    assert_eq!(rejected(&mut f, &dear, &[NODE]), Some(ErrorCode::BudgetExhausted));
    assert_eq!(rejected(&mut f, &dear, &["sakai-1/n-01"]), None, "where it costs nothing");
}

#[test]
fn bad_budgets_are_refused_and_what_one_counts_never_changes() {
    let mut f = with(hard(Unit::GpuHours, 5));
    let by = || admin("kanto");
    let bad = |f: &mut Federation, spec: BudgetSpec, code| {
        let command = set(f, &sapporo(), Some(spec));
        refused(f, admin("kanto"), command, code);
    };
    bad(&mut f, hard(Unit::GpuHours, AMOUNT_MAX + 1), ErrorCode::InvalidArgument);
    for other in [
        hard(Unit::Yen, 5),
        BudgetSpec { period: Period::Day, ..hard(Unit::GpuHours, 5) },
        BudgetSpec { class: Some("other".parse().unwrap()), ..hard(Unit::GpuHours, 5) },
        BudgetSpec { area: Area::resolve("JP-01").unwrap(), ..hard(Unit::GpuHours, 5) },
    ] {
        bad(&mut f, other, ErrorCode::InvalidArgument);
    }
    let now = f.state.clock();
    let once =
        |from, until| BudgetSpec { period: Period::Once { from, until }, ..hard(Unit::Yen, 1) };
    let new = |budget| Command::SetBudget {
        tenant: sapporo(),
        name: "once".parse().unwrap(),
        budget: Some(budget),
        expected: Revision(0),
    };
    refused(&mut f, by(), new(once(Timestamp(0), now)), ErrorCode::InvalidArgument);
    refused(&mut f, by(), new(once(now, now)), ErrorCode::InvalidArgument);
    let past = once(Timestamp(now.0 - HOUR), now);
    refused(&mut f, by(), new(past), ErrorCode::BudgetPast);
    let gone = Command::SetBudget {
        tenant: sapporo(),
        name: "gone".parse().unwrap(),
        budget: None,
        expected: Revision(0),
    };
    refused(&mut f, by(), gone, ErrorCode::NotFound);
    refused(&mut f, user("kanto", "sapporo"), new(hard(Unit::Yen, 1)), ErrorCode::PermissionDenied);
    for n in 1..BUDGETS_PER_TENANT_MAX {
        let mut command = new(hard(Unit::Yen, 1));
        if let Command::SetBudget { name, .. } = &mut command {
            *name = format!("b-{n}").parse().unwrap();
        }
        f.accept(by(), command);
    }
    refused(&mut f, by(), new(hard(Unit::Yen, 1)), ErrorCode::TooLarge);
    let delete = set(&f, &sapporo(), None);
    f.accept(by(), delete);
    assert!(f.state.budget(&sapporo(), &name()).is_none());
}

#[test]
fn another_budget_of_the_same_name_is_given_nothing_back() {
    let mut f = with(hard(Unit::GpuHours, 10));
    let runs = f.submit(job("runs", 1, 4, &[]));
    f.place(&runs, &[NODE]);
    let delete = set(&f, &sapporo(), None);
    f.accept(admin("kanto"), delete);
    let anew = set(&f, &sapporo(), Some(hard(Unit::GpuHours, 10)));
    f.accept(admin("kanto"), anew);
    let later = f.submit(job("later", 1, 4, &[]));
    f.place(&later, &["tokyo-1/n-02"]);
    all(&mut f, &runs, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(charged(&f), 4, "what the one before was charged is not this one's");
}

#[test]
fn who_asks_to_be_refused_over_a_budget_is() {
    let mut f = with(hard(Unit::GpuHours, 5));
    let mut facts = job("long", 1, 2, &[]);
    facts.over_limit = OverLimit::Reject;
    facts.time_limit_s = 3 * 3600;
    let submit = |facts: &sekisho_types::job::JobFacts| Command::SubmitJob {
        facts: Box::new(facts.clone()),
    };
    refused(&mut f, user("kanto", "sapporo"), submit(&facts), ErrorCode::BudgetTooSmall);
    let runs = f.submit(job("runs", 1, 4, &[]));
    f.place(&runs, &[NODE]);
    facts.time_limit_s = 3600;
    refused(&mut f, user("kanto", "sapporo"), submit(&facts), ErrorCode::BudgetExhausted);
}
