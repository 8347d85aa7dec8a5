//! A budget for people and programs.

use crate::command::quota::place;
use crate::command::{short, when};
use crate::language::pick;
use crate::output::{Column, Shown, column, wide};
use sekisho_proto::name::{BudgetId, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::budget::Spent;
use sekisho_types::budget::{Exhausted, Unit};
use sekisho_types::error_code::Language;
use sekisho_types::jurisdiction::Area;
use sekisho_types::time::Timestamp;
use serde::Serialize;

/// What was used in one period, in thousandths of the unit.
#[derive(Debug, Serialize)]
struct SpentView {
    from_ms: u64,
    until_ms: u64,
    charged_milli: u64,
    committed_milli: u64,
    forecast_milli: u64,
    exhausted_ms: Option<u64>,
}

impl From<Spent> for SpentView {
    fn from(spent: Spent) -> Self {
        let Spent { from_ms, until_ms, charged_milli, committed_milli, .. } = spent;
        let (forecast_milli, exhausted_ms) = (spent.forecast_milli, spent.exhausted_ms);
        Self { from_ms, until_ms, charged_milli, committed_milli, forecast_milli, exhausted_ms }
    }
}

/// A budget as shown.
#[derive(Debug, Serialize)]
pub(in crate::command) struct BudgetView {
    name: String,
    tenant: String,
    unit: &'static str,
    amount: u64,
    /// `once` for one that does not begin anew.
    period: String,
    from_ms: Option<u64>,
    until_ms: Option<u64>,
    device_class: Option<String>,
    area: String,
    on_exhausted: &'static str,
    spent: Option<SpentView>,
    earlier: Vec<SpentView>,
    etag: String,
}

/// The word of a unit.
pub(in crate::command) fn unit(unit: v1::budget::Unit) -> &'static str {
    match unit {
        v1::budget::Unit::Unspecified => "unknown",
        v1::budget::Unit::GpuHours => Unit::GpuHours.as_str(),
        v1::budget::Unit::Yen => Unit::Yen.as_str(),
    }
}

/// The word of what happens when nothing is left.
pub(in crate::command) fn exhausted(exhausted: v1::budget::Exhausted) -> &'static str {
    match exhausted {
        v1::budget::Exhausted::Unspecified => "unknown",
        v1::budget::Exhausted::Stop => Exhausted::Stop.as_str(),
        v1::budget::Exhausted::Warn => Exhausted::Warn.as_str(),
    }
}

/// How much is charged of how much, for people; whole units, what is charged rounded up.
pub(in crate::command) fn used(
    language: Language,
    charged_milli: Option<u64>,
    (amount, unit): (u64, &str),
) -> String {
    let charged = charged_milli.map_or_else(|| "-".to_owned(), units);
    let unit = match (language, unit) {
        (Language::Ja, "gpu-hours") => "GPU時間",
        (Language::Ja, "yen") => "円",
        (Language::En | Language::Ja, other) => other,
    };
    format!("{charged}/{amount} {unit}")
}

fn units(milli: u64) -> String {
    milli.div_ceil(1000).to_string()
}

fn day(ms: u64) -> String {
    Timestamp(ms).date_in_japan().to_string()
}

impl From<v1::Budget> for BudgetView {
    fn from(budget: v1::Budget) -> Self {
        let (unit, on_exhausted) = (unit(budget.unit()), exhausted(budget.exhausted()));
        let v1::Budget { name, amount, period, from_ms, until_ms, device_class, .. } = budget;
        let once = period.is_empty();
        // Of a budget, no area is all Japan.
        let area = if budget.area.is_empty() { Area::Japan.to_string() } else { budget.area };
        let id = BudgetId::from_name(&name);
        Self {
            tenant: id.map(|id| id.tenant.to_string()).unwrap_or_default(),
            name,
            unit,
            amount,
            period: if once { "once".to_owned() } else { period },
            from_ms: once.then_some(from_ms),
            until_ms: once.then_some(until_ms),
            device_class: Some(device_class).filter(|class| !class.is_empty()),
            area,
            on_exhausted,
            spent: budget.spent.map(SpentView::from),
            earlier: budget.earlier.into_iter().map(SpentView::from).collect(),
            etag: budget.etag,
        }
    }
}

impl BudgetView {
    fn period(&self, language: Language) -> String {
        if let (Some(from), Some(until)) = (self.from_ms, self.until_ms) {
            let time = |ms| when::shown(Timestamp(ms));
            return format!("{}/{}", time(from), time(until));
        }
        let word = match (language, self.period.as_str()) {
            (Language::Ja, "day") => "日",
            (Language::Ja, "month") => "月",
            (Language::Ja, "fiscal-year") => "年度",
            (Language::En | Language::Ja, other) => other,
        };
        word.to_owned()
    }

    /// What it comes to in this period, or when nothing is left.
    fn forecast(&self, language: Language) -> String {
        let Some(spent) = &self.spent else { return "-".to_owned() };
        match spent.exhausted_ms.map(day) {
            Some(day) => pick(language, format!("used up {day}"), format!("{day} に使い切り")),
            None => units(spent.forecast_milli),
        }
    }

    fn on_exhausted(&self, language: Language) -> &'static str {
        match (language, self.on_exhausted) {
            (Language::Ja, "stop") => "停止",
            (Language::Ja, "warn") => "警告",
            (Language::En | Language::Ja, other) => other,
        }
    }
}

impl Shown for BudgetView {
    const COLUMNS: &'static [Column] = &[
        column("tenant", "テナント"),
        column("budget", "予算"),
        column("used", "使用"),
        column("period", "期間"),
        column("forecast", "見込み"),
        column("when used up", "使い切り時"),
        wide("class", "種別"),
        wide("area", "地域"),
        wide("committed", "返却見込み"),
        wide("earlier", "以前の期間"),
        wide("etag", "etag"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let charged = self.spent.as_ref().map(|spent| spent.charged_milli);
        let committed = self.spent.as_ref().map(|spent| units(spent.committed_milli));
        let earlier = self.earlier.iter().map(|spent| units(spent.charged_milli));
        vec![
            self.tenant.clone(),
            short(&self.name).to_owned(),
            used(language, charged, (self.amount, self.unit)),
            self.period(language),
            self.forecast(language),
            self.on_exhausted(language).to_owned(),
            self.device_class.clone().unwrap_or_else(|| "-".to_owned()),
            place(&self.area),
            committed.unwrap_or_else(|| "-".to_owned()),
            earlier.collect::<Vec<_>>().join(", "),
            self.etag.clone(),
        ]
    }
    fn is_alarming(&self) -> bool {
        self.spent.as_ref().is_some_and(|spent| spent.exhausted_ms.is_some())
    }
}
