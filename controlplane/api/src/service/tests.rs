//! The services over an in-memory federation of three operators; this member is kanto's.

mod access;
mod agent;
mod approval;
mod audit;
mod budget;
mod escrow;
mod event;
mod hidden;
mod job;
mod join;
mod landmark;
mod list;
mod member;
mod node;
mod offer;
mod operation;
mod operator;
mod policy;
mod quota;
mod read;
mod reservation;
mod scheduler;
mod sealed;
mod snapshot;
mod write;

use crate::fake::{Fake, fake, request};
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, Federation, admin};
use sekisho_proto::status::ApiError;
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::TenantId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::Vetoed;
use sekisho_types::revision::Revision;
use tonic::{Response, Status};

/// The code of a refusal.
fn code<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> ErrorCode {
    let error = ApiError::from_status(&answer.unwrap_err());
    assert!(error.explained, "{error}");
    error.code
}

/// A hundred GPU-hours for each month.
fn monthly() -> BudgetSpec {
    BudgetSpec {
        unit: Unit::GpuHours,
        amount: 100,
        period: Period::Month,
        class: None,
        area: Area::Japan,
        exhausted: Exhausted::Stop,
    }
}

/// A budget `month` of a tenant, a slice of its quota at Tokyo, an offer `spare` and a reservation `night` there, and a veto of
/// naniwa against it.
fn share(federation: &mut Federation, tenant: &TenantId) {
    let (kanto, expected) = (admin("kanto"), Revision(0));
    let (name, budget) = ("month".parse().unwrap(), Some(monthly()));
    let set = Command::SetBudget { tenant: tenant.clone(), name, budget, expected };
    federation.accept(kanto.clone(), set);
    let (site, class) = ("tokyo-1".parse().unwrap(), testing::CLASS.parse().unwrap());
    let hold = Command::SetEscrow { site, tenant: tenant.clone(), class, gpus: 1, expected };
    federation.accept(kanto.clone(), hold);
    let (site, name) = ("tokyo-1".parse().unwrap(), "spare".parse().unwrap());
    let offer = Box::new(testing::offer(4));
    federation.accept(kanto, Command::PutOffer { site, name, offer, expected: None });
    federation.reserve(tenant.as_str(), "night", testing::reservation("tokyo-1", 1));
    let (operator, of) = ("naniwa".parse().unwrap(), Vetoed::Tenant(tenant.clone()));
    let veto = Command::Veto { operator, of, reason: "drill".to_owned() };
    federation.accept(admin("naniwa"), veto);
}
