//! `sekisho quota status`: what each tenant holds, may still be granted, has reserved now, and has left over time, on one line for
//! each quota.
//!
//! Must hold: a reservation stands at a quota if it is of the tenant itself and lies in its area; a budget stands at a quota if it counts everything that the quota admits; of several the one that runs out first.

use super::{QuotaView, all, place};
use crate::app::{App, Session};
use crate::command::budget::{self, used};
use crate::command::list::ListArgs;
use crate::command::{reservation, site, tenant};
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Shown, column};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::TenantId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::TENANT_DEPTH_MAX;
use sekisho_types::time::Timestamp;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A budget in its present period.
#[derive(Debug, Serialize)]
struct TightView {
    name: String,
    unit: &'static str,
    amount: u64,
    on_exhausted: &'static str,
    charged_milli: u64,
    forecast_milli: u64,
    until_ms: u64,
    exhausted_ms: Option<u64>,
}

/// What operators hold for a tenant now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct HeldView {
    used: u64,
    gpus: u64,
    short: u64,
}

#[derive(Debug, Serialize)]
struct StatusView {
    name: String,
    tenant: String,
    device_class: String,
    area: String,
    used: u64,
    limit: String,
    borrowed: u64,
    room: String,
    reserved: Option<HeldView>,
    budget: Option<TightView>,
}

impl Shown for StatusView {
    const COLUMNS: &'static [Column] = &[
        column("tenant", "テナント"),
        column("class", "種別"),
        column("area", "地域"),
        column("used", "使用"),
        column("limit", "上限"),
        column("borrowed", "借用"),
        column("room", "残り"),
        column("reserved", "予約"),
        column("budget", "予算"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let ends = |budget: &TightView| budget.ends(language);
        vec![
            self.tenant.clone(),
            self.device_class.clone(),
            place(&self.area),
            self.used.to_string(),
            self.limit.clone(),
            self.borrowed.to_string(),
            self.room.clone(),
            self.reserved.map_or_else(|| "-".to_owned(), |held| held.told(language)),
            self.budget.as_ref().map_or_else(|| "-".to_owned(), ends),
        ]
    }
    fn is_alarming(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.exhausted_ms.is_some())
            || self.reserved.is_some_and(|held| held.short > 0)
    }
}

impl HeldView {
    fn and(self, row: &v1::Reservation) -> Self {
        Self {
            used: self.used.saturating_add(row.used),
            gpus: self.gpus.saturating_add(row.gpus),
            short: self.short.saturating_add(row.short),
        }
    }

    /// Used of what is held, and what the offers lack.
    fn told(self, language: Language) -> String {
        let Self { used, gpus, short } = self;
        if short == 0 {
            return format!("{used}/{gpus}");
        }
        pick(
            language,
            format!("{used}/{gpus}, short by {short}"),
            format!("{used}/{gpus}、{short} 台不足"),
        )
    }
}

/// Reservations, and where their sites lie.
#[derive(Debug, Default)]
struct Promises {
    areas: BTreeMap<String, String>,
    rows: Vec<v1::Reservation>,
}

impl Promises {
    async fn of(
        app: &App<'_>,
        session: &Session,
        tenant: Option<&TenantId>,
    ) -> Result<Self, Failure> {
        let (rows, _) = reservation::all(app, session, tenant, &ListArgs::default()).await?;
        if rows.is_empty() {
            return Ok(Self::default());
        }
        let (sites, _) = site::all(app, session, &ListArgs::default()).await?;
        let areas = sites.into_iter().map(|site| (site.name, site.area)).collect();
        Ok(Self { areas, rows })
    }

    /// What is held now of what a quota admits; `None` if nothing is.
    fn held(&self, quota: &QuotaView) -> Option<HeldView> {
        let (tenant, _) = quota.name.split_once("/quotas/")?;
        let place = Area::resolve(&quota.area).ok()?;
        let lies_in = |site: &String| {
            let area = self.areas.get(site).and_then(|area| Area::resolve(area).ok());
            area.is_some_and(|area| place.contains(area))
        };
        let counts = |row: &&v1::Reservation| {
            row.name.split_once("/reservations/").is_some_and(|(of, _)| of == tenant)
                && row.device_class == quota.device_class
                && row.holds
                && lies_in(&row.site)
        };
        let held = self.rows.iter().filter(counts).fold(HeldView::default(), HeldView::and);
        (held.gpus > 0).then_some(held)
    }
}

impl TightView {
    fn of(budget: &v1::Budget) -> Option<Self> {
        let spent = budget.spent.as_ref()?;
        Some(Self {
            name: budget.name.clone(),
            unit: budget::unit(budget.unit()),
            amount: budget.amount,
            on_exhausted: budget::exhausted(budget.exhausted()),
            charged_milli: spent.charged_milli,
            forecast_milli: spent.forecast_milli,
            until_ms: spent.until_ms,
            exhausted_ms: spent.exhausted_ms,
        })
    }

    /// The sooner it runs out, then the more of it is used.
    fn tightness(&self) -> (Reverse<u64>, u64) {
        let share = self.charged_milli.checked_div(self.amount).unwrap_or(u64::MAX);
        (Reverse(self.exhausted_ms.unwrap_or(u64::MAX)), share)
    }

    /// When it runs out, if it does so before its period is over.
    fn ends(&self, language: Language) -> String {
        let Some(ms) = self.exhausted_ms else { return "ok".to_owned() };
        let used = used(language, Some(self.charged_milli), (self.amount, self.unit));
        let day = Timestamp(ms).date_in_japan();
        pick(language, format!("{used}, used up {day}"), format!("{used}、{day} に使い切り"))
    }
}

/// Budgets, and of which tenant each tenant is a part; all by name.
#[derive(Debug, Default)]
struct Books {
    parents: BTreeMap<String, String>,
    budgets: Vec<v1::Budget>,
}

impl Books {
    /// Those of every tenant.
    async fn all(app: &App<'_>, session: &Session) -> Result<Self, Failure> {
        let (tenants, _) = tenant::all(app, session, &ListArgs::default()).await?;
        let parts = tenants.into_iter().filter(|tenant| !tenant.parent.is_empty());
        let parents = parts.map(|tenant| (tenant.name, tenant.parent)).collect();
        let (budgets, _) = budget::all(app, session, None, &ListArgs::default()).await?;
        Ok(Self { parents, budgets })
    }

    /// Those of a tenant and of what it is a part of, as far as they are for the caller.
    async fn of(app: &App<'_>, session: &Session, tenant: &TenantId) -> Result<Self, Failure> {
        let (mut books, mut next) = (Self::default(), Some(tenant.clone()));
        for level in 0..TENANT_DEPTH_MAX {
            let Some(at) = next.take() else { break };
            match books.add(app, session, &at).await {
                Ok(parent) => next = parent,
                Err(failure) if level > 0 && is_hidden(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(books)
    }

    /// Adds a tenant's; returns of which it is a part.
    async fn add(
        &mut self,
        app: &App<'_>,
        session: &Session,
        tenant: &TenantId,
    ) -> Result<Option<TenantId>, Failure> {
        let read = tenant::get(app, session, tenant).await?;
        let (budgets, _) = budget::all(app, session, Some(tenant), &ListArgs::default()).await?;
        self.budgets.extend(budgets);
        let parent = TenantId::from_name(&read.parent);
        if parent.is_some() {
            self.parents.insert(read.name, read.parent);
        }
        Ok(parent)
    }

    /// The tightest budget that counts all that a quota admits.
    fn tightest(&self, quota: &QuotaView) -> Option<TightView> {
        let (tenant, _) = quota.name.split_once("/quotas/")?;
        let up = |at: &&str| self.parents.get(*at).map(String::as_str);
        let path: Vec<&str> =
            std::iter::successors(Some(tenant), up).take(TENANT_DEPTH_MAX).collect();
        let is_of = |budget: &&v1::Budget| {
            budget.name.split_once("/budgets/").is_some_and(|(of, _)| path.contains(&of))
        };
        let counting = self.budgets.iter().filter(is_of).filter(|budget| counts(budget, quota));
        counting.filter_map(TightView::of).max_by_key(TightView::tightness)
    }
}

fn counts(budget: &v1::Budget, quota: &QuotaView) -> bool {
    let class = budget.device_class.is_empty() || budget.device_class == quota.device_class;
    // Of a budget, no area is all Japan.
    let of = if budget.area.is_empty() { Ok(Area::Japan) } else { Area::resolve(&budget.area) };
    let place = Area::resolve(&quota.area);
    class && of.is_ok_and(|of| place.is_ok_and(|place| of.contains(place)))
}

/// Whether there is nothing for the caller.
fn is_hidden(failure: &Failure) -> bool {
    failure.code == ErrorCode::NotFound || failure.code == ErrorCode::PermissionDenied
}

pub(super) async fn run(app: &mut App<'_>, tenant: Option<&TenantId>) -> Result<(), Failure> {
    let session = app.session()?;
    let (quotas, beside) = all(app, &session, tenant, &ListArgs::default()).await?;
    let books = match tenant {
        Some(tenant) => Books::of(app, &session, tenant).await?,
        None => Books::all(app, &session).await?,
    };
    let promises = Promises::of(app, &session, tenant).await?;
    let row = |quota: QuotaView| {
        let (budget, reserved) = (books.tightest(&quota), promises.held(&quota));
        let QuotaView { name, tenant, device_class, area, used, limit, borrowed, room, .. } = quota;
        StatusView {
            name,
            tenant,
            device_class,
            area,
            used,
            limit,
            borrowed,
            room,
            reserved,
            budget,
        }
    };
    let items: Vec<StatusView> = quotas.into_iter().map(row).collect();
    app.output.list(&items, &beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_proto::v1::budget::{Exhausted, Spent, Unit};

    fn budget(name: &str, charged_milli: u64, exhausted_ms: Option<u64>) -> v1::Budget {
        let spent = Spent { charged_milli, exhausted_ms, ..Spent::default() };
        v1::Budget {
            name: name.to_owned(),
            unit: Unit::GpuHours.into(),
            amount: 1000,
            period: "month".to_owned(),
            exhausted: Exhausted::Stop.into(),
            spent: Some(spent),
            ..v1::Budget::default()
        }
    }

    fn quota(name: &str) -> QuotaView {
        QuotaView::from(v1::Quota { name: name.to_owned(), ..v1::Quota::default() })
    }

    fn books(budgets: Vec<v1::Budget>) -> Books {
        let parent = ("tenants/lab".to_owned(), "tenants/city".to_owned());
        Books { parents: [parent].into(), budgets }
    }

    #[test]
    fn the_budget_that_runs_out_first_stands_there_whosever_it_is() {
        let own = budget("tenants/lab/budgets/own", 900_000, None);
        let above = budget("tenants/city/budgets/all", 412_000, Some(1_797_606_000_000));
        let other = budget("tenants/port/budgets/all", 999_000, Some(1));
        let all = books(vec![own.clone(), above, other]);
        let tight = all.tightest(&quota("tenants/lab/quotas/h100")).unwrap();
        assert_eq!(tight.ends(Language::En), "412/1000 gpu-hours, used up 2026-12-19");
        assert_eq!(tight.ends(Language::Ja), "412/1000 GPU時間、2026-12-19 に使い切り");
        let none = books(Vec::new());
        assert!(none.tightest(&quota("tenants/lab/quotas/h100")).is_none());
        let fine = books(vec![own]).tightest(&quota("tenants/lab/quotas/h100")).unwrap();
        assert_eq!(
            (fine.ends(Language::En).as_str(), fine.name.as_str()),
            ("ok", "tenants/lab/budgets/own")
        );
    }

    #[test]
    fn what_is_held_now_in_the_area_stands_there() {
        let row = |name: &str, site: &str, holds| v1::Reservation {
            name: format!("tenants/{name}"),
            site: format!("sites/{site}"),
            device_class: "h100".to_owned(),
            gpus: 8,
            used: 3,
            short: 1,
            holds,
            ..v1::Reservation::default()
        };
        let rows = vec![
            row("lab/reservations/a", "ishikari-1", true),
            row("lab/reservations/later", "ishikari-1", false),
            row("lab/reservations/b", "tokyo-1", true),
            row("port/reservations/a", "tokyo-1", true),
        ];
        let areas = [("ishikari-1", "012351"), ("tokyo-1", "131016")];
        let areas = areas.map(|(site, area)| (format!("sites/{site}"), area.to_owned())).into();
        let promises = Promises { areas, rows };
        let held = |name: &str| promises.held(&quota(name)).map(|held| held.told(Language::En));
        assert_eq!(held("tenants/lab/quotas/h100").as_deref(), Some("6/16, short by 2"));
        assert_eq!(held("tenants/lab/quotas/h100.012351").as_deref(), Some("3/8, short by 1"));
        assert_eq!(held("tenants/lab/quotas/h200"), None);
    }

    #[test]
    fn a_budget_of_another_class_or_place_counts_nothing_of_it() {
        let of = |device_class: &str, area: &str| {
            let plain = budget("tenants/lab/budgets/own", 1, None);
            books(vec![v1::Budget {
                device_class: device_class.to_owned(),
                area: area.to_owned(),
                ..plain
            }])
        };
        let (japan, ishikari) =
            (quota("tenants/lab/quotas/h100"), quota("tenants/lab/quotas/h100.012351"));
        assert!(
            of("h100", "JP").tightest(&japan).is_some() && of("", "").tightest(&ishikari).is_some()
        );
        assert!(of("h100", "010006").tightest(&ishikari).is_some());
        assert!(of("h200", "JP").tightest(&japan).is_none());
        assert!(of("h100", "010006").tightest(&japan).is_none(), "it counts a part only");
    }
}
