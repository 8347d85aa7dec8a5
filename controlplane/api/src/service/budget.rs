//! `BudgetService`: what tenants may use over time, and use. One of a tenant that the caller may not read looks like none.

mod spent;

use super::policy::beside;
use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::State;
use sekisho_fsm::budget::{Budget, BudgetKey};
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::budget::{DeleteBudget, PutBudget};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::name::{BudgetId, Resource as _};
use sekisho_proto::v1::{self, budget_service_server::BudgetService};
use sekisho_types::id::{DeviceClass, TenantId};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct BudgetApi(pub(crate) Arc<Core>);

pub(super) type Row<'s> = (&'s BudgetKey, &'s Budget);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 8] {
    [
        Field::new("name", Kind::Text, |(key, _)| name(key).into()),
        Field::new("tenant", Kind::Text, |((tenant, _), _)| tenant.name().into()),
        Field::new("unit", Kind::Word(&["GPU_HOURS", "YEN"]), |(_, row)| {
            set(row).unit().as_str_name().into()
        }),
        Field::new("amount", Kind::Number, |(_, row)| row.spec.amount.into()),
        Field::new("period", Kind::Text, |(_, row)| set(row).period.into()),
        Field::new("device_class", Kind::Text, |(_, row)| {
            row.spec.class.as_ref().map_or("", DeviceClass::as_str).into()
        }),
        Field::new("area", Kind::Text, |(_, row)| row.spec.area.to_string().into()),
        Field::new("exhausted", Kind::Word(&["STOP", "WARN"]), |(_, row)| {
            set(row).exhausted().as_str_name().into()
        }),
    ]
}

/// As it was set.
fn set(row: &Budget) -> v1::Budget {
    (&row.spec).into()
}

/// The name of a budget.
pub(crate) fn name((tenant, name): &BudgetKey) -> String {
    BudgetId { tenant: tenant.clone(), name: name.clone() }.name()
}

/// A budget, with what is used of it. It looks at all placements.
pub(crate) fn message(state: &State, (key, row): Row<'_>) -> v1::Budget {
    let (spent, earlier) = spent::of(state, key, row);
    v1::Budget { name: name(key), spent, earlier, etag: row.revision.to_string(), ..set(row) }
}

fn messages(state: &State, keys: &[BudgetKey]) -> Vec<v1::Budget> {
    let rows = keys.iter().filter_map(|key| Some((key, state.budget(&key.0, &key.1)?)));
    rows.map(|row| message(state, row)).collect()
}

fn command(put: PutBudget) -> Command {
    let PutBudget { budget: BudgetId { tenant, name }, spec, expected } = put;
    Command::SetBudget { tenant, name, budget: Some(spec), expected }
}

#[tonic::async_trait]
impl BudgetService for BudgetApi {
    async fn list_budgets(
        &self,
        request: Request<v1::ListBudgetsRequest>,
    ) -> Result<Response<v1::ListBudgetsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let tenant = TenantId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("budgets/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        if let Some(tenant) = &tenant {
            let read = Verb::ReadTenant;
            call.may_on(&state, read, read, Target::Tenant(tenant), &ask.parent)?;
        }
        let wanted = |of: &TenantId| {
            tenant.as_ref().is_none_or(|tenant| of == tenant)
                && call.can(&state, Verb::ReadTenant, Target::Tenant(of))
        };
        let rows = state.budgets().filter(|((of, _), _)| wanted(of));
        let (rows, next_page_token) =
            list.take(state.revision(), rows.map(|(key, row)| (key, (key, row))));
        let keys: Vec<BudgetKey> = rows.into_iter().map(|(key, _)| key.clone()).collect();
        let of = state.clone();
        Ok(Response::new(v1::ListBudgetsResponse {
            budgets: beside(move || messages(&of, &keys)).await?,
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_budget(
        &self,
        request: Request<v1::GetBudgetRequest>,
    ) -> Result<Response<v1::Budget>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let BudgetId { tenant, name } = BudgetId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadTenant;
        call.may_on(&state, read, read, Target::Tenant(&tenant), &ask.name)?;
        let row = state.budget(&tenant, &name).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&state, (&(tenant, name), row))))
    }

    async fn create_budget(
        &self,
        request: Request<v1::CreateBudgetRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = PutBudget::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::SetBudget, Target::Federation)?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn update_budget(
        &self,
        request: Request<v1::UpdateBudgetRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = PutBudget::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::SetBudget, Target::Federation)?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn delete_budget(
        &self,
        request: Request<v1::DeleteBudgetRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let DeleteBudget { budget, expected } = DeleteBudget::try_from(&ask)?;
        let BudgetId { tenant, name } = budget;
        call.may(&self.0.replica.state(), Verb::SetBudget, Target::Federation)?;
        let command = Command::SetBudget { tenant, name, budget: None, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
