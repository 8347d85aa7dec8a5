//! Budgets: made, changed and taken out by two operators, and shown with what is used of them.

use super::write::intent;
use super::*;
use crate::service::budget::BudgetApi;
use sekisho_fsm::testing::{BEGIN, job, member, user};
use sekisho_proto::convert::budget::{DeleteBudget, PutBudget};
use sekisho_proto::name::{BudgetId, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::budget_service_server::BudgetService as _;
use sekisho_types::quota::Limit;
use std::sync::Arc;

const NAME: &str = "tenants/sapporo/budgets/day";

fn put(amount: u64, expected: u64) -> PutBudget {
    PutBudget {
        budget: BudgetId::from_name(NAME).unwrap(),
        spec: BudgetSpec { amount, period: Period::Day, ..monthly() },
        expected: Revision(expected),
    }
}

fn command(put: &PutBudget) -> Command {
    let PutBudget { budget: BudgetId { tenant, name }, spec, expected } = put.clone();
    Command::SetBudget { tenant, name, budget: Some(spec), expected }
}

async fn get(fake: &Fake) -> Result<Response<v1::Budget>, Status> {
    let ask = v1::GetBudgetRequest { name: NAME.into(), read: None };
    let api = BudgetApi(Arc::clone(&fake.core));
    api.get_budget(request(&admin("naniwa"), ask)).await
}

#[tokio::test]
async fn a_budget_is_made_changed_and_taken_out_by_two_operators() {
    let fake = fake();
    let api = BudgetApi(Arc::clone(&fake.core));
    let (kanto, both) = (admin("kanto"), [admin("kanto"), admin("hokuto")]);
    assert_eq!(code(get(&fake).await), ErrorCode::NotFound);
    let new = put(100, 0);
    let alone = new.create_request(intent(1, &command(&new), &both[..1]));
    let refused = api.create_budget(request(&kanto, alone)).await;
    assert_eq!(code(refused), ErrorCode::SignaturesMissing);
    let made = new.create_request(intent(2, &command(&new), &both));
    let made = api.create_budget(request(&kanto, made)).await.unwrap().into_inner();
    let read = get(&fake).await.unwrap().into_inner();
    assert_eq!((read.amount, read.etag.clone()), (100, made.revision.to_string()));
    assert_eq!((read.name.as_str(), read.period.as_str(), read.area.as_str()), (NAME, "day", "JP"));
    let changed = put(50, made.revision);
    let change = changed.update_request(intent(3, &command(&changed), &both));
    let change = api.update_budget(request(&kanto, change)).await.unwrap().into_inner();
    assert_eq!(get(&fake).await.unwrap().into_inner().amount, 50);
    let late = changed.update_request(intent(4, &command(&changed), &both));
    let late = api.update_budget(request(&kanto, late)).await;
    assert_eq!(code(late), ErrorCode::RevisionMismatch);
    let delete = DeleteBudget { budget: changed.budget, expected: Revision(change.revision) };
    let DeleteBudget { budget: BudgetId { tenant, name }, expected } = delete.clone();
    let gone = Command::SetBudget { tenant, name, budget: None, expected };
    let message = delete.request(intent(5, &gone, &both));
    api.delete_budget(request(&kanto, message)).await.unwrap();
    assert_eq!(code(get(&fake).await), ErrorCode::NotFound);
    let own = put(100, 0).create_request(intent(6, &command(&new), &[]));
    let own = api.create_budget(request(&user("kanto", "sapporo"), own)).await;
    assert_eq!(code(own), ErrorCode::PermissionDenied);
}

/// Lets time pass, as far at once as the state clock goes.
fn pass(federation: &mut Federation, ms: u64) {
    let until = federation.now.plus_ms(ms);
    while federation.now < until {
        federation.now = federation.now.plus_ms(10_000).min(until);
        federation.accept(member("kanto"), Command::Tick);
    }
}

#[tokio::test]
async fn what_runs_is_charged_ahead_and_given_back() {
    let fake = fake();
    let half = 1_800_000;
    fake.replica.elsewhere(|federation| {
        federation.accept(admin("kanto"), command(&put(4, 0)));
        let job = federation.submit(job("train", 1, 4, &[]));
        federation.place(&job, &["tokyo-1/n-01"]);
        assert_eq!(federation.placements(&job).len(), 1);
    });
    // It began at nine in the morning in Japan: four GPUs for an hour.
    let spent = get(&fake).await.unwrap().into_inner().spent.unwrap();
    let begun = BEGIN.0 - 9 * 3_600_000;
    assert_eq!((spent.from_ms, spent.until_ms), (begun, begun + 86_400_000));
    assert_eq!((spent.charged_milli, spent.committed_milli), (4000, 4000));
    assert_eq!(spent.exhausted_ms, Some(BEGIN.0), "all of it is promised");
    fake.replica.elsewhere(|federation| pass(federation, half));
    let spent = get(&fake).await.unwrap().into_inner().spent.unwrap();
    assert_eq!((spent.charged_milli, spent.committed_milli), (4000, 2000));
    assert_eq!(spent.forecast_milli, 5053, "two in nine and a half hours, for all the day");
    fake.replica.elsewhere(|federation| pass(federation, 86_400_000));
    let told = get(&fake).await.unwrap().into_inner();
    assert_eq!((told.spent.unwrap().charged_milli, told.earlier.len()), (0, 1));
    assert_eq!((told.earlier[0].from_ms, told.earlier[0].charged_milli), (begun, 4000));
}

#[tokio::test]
async fn a_list_shows_budgets_of_tenants_that_the_caller_may_read() {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        let otaru = federation.tenant("otaru", Limit::Gpus(8));
        share(federation, &otaru);
        federation.accept(admin("kanto"), command(&put(4, 0)));
    });
    let api = BudgetApi(Arc::clone(&fake.core));
    let list = |who, parent: &str, filter: &str| {
        let (parent, filter) = (parent.to_owned(), filter.to_owned());
        let ask = v1::ListBudgetsRequest { parent, filter, ..Default::default() };
        let api = &api;
        async move {
            let page = api.list_budgets(request(&who, ask)).await?.into_inner();
            let names = page.budgets.into_iter().map(|row| row.name);
            Ok::<_, Status>(Response::new(names.collect::<Vec<_>>()))
        }
    };
    let of = |who, filter: &'static str| {
        let page = list(who, "tenants/-", filter);
        async move { page.await.unwrap().into_inner() }
    };
    let other = "tenants/otaru/budgets/month";
    assert_eq!(of(admin("naniwa"), "").await, [other, NAME]);
    assert_eq!(of(admin("naniwa"), "period = day AND unit = GPU_HOURS").await, [NAME]);
    assert_eq!(of(user("kanto", "otaru"), "exhausted != WARN").await, [other]);
    assert_eq!(of(user("kanto", "stranger"), "").await, [""; 0]);
    let hidden = list(user("kanto", "sapporo"), "tenants/otaru", "").await;
    assert_eq!(code(hidden), ErrorCode::NotFound);
    let misspelt = list(admin("naniwa"), "tenants/-", "unit = HOURS").await;
    assert_eq!(code(misspelt), ErrorCode::InvalidArgument);
}
