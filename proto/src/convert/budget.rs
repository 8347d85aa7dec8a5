//! Budgets: what makes, changes or takes out one. A change carries all of the budget, as it was read but for what changes.
//!
//! Must hold: what is made has no etag and what is changed has one that was read, so that neither stands for the other.

use super::site::same_name;
use crate::field::{FieldError, FieldResult, area, etag, parsed, required};
use crate::mask;
use crate::name::{BudgetId, Resource as _};
use crate::v1;
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

/// A budget to make or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBudget {
    /// Which.
    pub budget: BudgetId,
    /// What it is.
    pub spec: BudgetSpec,
    /// Revision at which the caller read it; 0 = must not exist.
    pub expected: Revision,
}

/// A budget to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteBudget {
    /// Which.
    pub budget: BudgetId,
    /// Revision at which the caller read it.
    pub expected: Revision,
}

const FIELDS: [&str; 2] = ["amount", "exhausted"];

fn unit(value: i32) -> FieldResult<Unit> {
    match v1::budget::Unit::try_from(value) {
        Ok(v1::budget::Unit::GpuHours) => Ok(Unit::GpuHours),
        Ok(v1::budget::Unit::Yen) => Ok(Unit::Yen),
        Ok(v1::budget::Unit::Unspecified) | Err(_) => {
            Err(FieldError::new("budget.unit", "must be GPU_HOURS or YEN"))
        }
    }
}

fn exhausted(value: i32) -> FieldResult<Exhausted> {
    match v1::budget::Exhausted::try_from(value) {
        Ok(v1::budget::Exhausted::Stop) => Ok(Exhausted::Stop),
        Ok(v1::budget::Exhausted::Warn) => Ok(Exhausted::Warn),
        Ok(v1::budget::Exhausted::Unspecified) | Err(_) => {
            Err(FieldError::new("budget.exhausted", "must be STOP or WARN"))
        }
    }
}

/// Those that begin anew have a word; one that does not has a span.
fn period(content: &v1::Budget) -> FieldResult<Period> {
    let words = [Period::Day, Period::Month, Period::FiscalYear];
    let (from, until) = (Timestamp(content.from_ms), Timestamp(content.until_ms));
    if content.period.is_empty() {
        if until == Timestamp(0) {
            let must = "must be given where there is no period";
            return Err(FieldError::new("budget.until_ms", must));
        }
        return Ok(Period::Once { from, until });
    }
    let found = words.into_iter().find(|word| word.to_string() == content.period);
    let must = "must be `day`, `month`, `fiscal-year` or empty";
    let found = found.ok_or_else(|| FieldError::new("budget.period", must))?;
    for (field, at) in [("budget.from_ms", from), ("budget.until_ms", until)] {
        if at != Timestamp(0) {
            return Err(FieldError::new(field, "must not be given where there is a period"));
        }
    }
    Ok(found)
}

fn spec(content: &v1::Budget) -> FieldResult<BudgetSpec> {
    let class = content.device_class.as_str();
    let class = (!class.is_empty()).then(|| parsed::<DeviceClass>("budget.device_class", class));
    let place = content.area.as_str();
    Ok(BudgetSpec {
        unit: unit(content.unit)?,
        amount: content.amount,
        period: period(content)?,
        class: class.transpose()?,
        area: if place.is_empty() { Area::Japan } else { area("budget.area", place)? },
        exhausted: exhausted(content.exhausted)?,
    })
}

impl TryFrom<&v1::CreateBudgetRequest> for PutBudget {
    type Error = FieldError;
    fn try_from(message: &v1::CreateBudgetRequest) -> FieldResult<Self> {
        let content = required("budget", message.budget.as_ref())?;
        let tenant = TenantId::from_field("parent", &message.parent)?;
        let budget = BudgetId { tenant, name: parsed("budget_id", &message.budget_id)? };
        same_name("budget.name", &content.name, &budget.name())?;
        Ok(Self { budget, spec: spec(content)?, expected: Revision(0) })
    }
}

impl TryFrom<&v1::UpdateBudgetRequest> for PutBudget {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateBudgetRequest) -> FieldResult<Self> {
        let content = required("budget", message.budget.as_ref())?;
        // The message has all of it whatever the mask names: what is signed must not depend on what stands now.
        mask::named("budget", message.update_mask.as_ref(), &FIELDS.map(|field| (field, true)))?;
        let budget = BudgetId::from_field("budget.name", &content.name)?;
        Ok(Self { budget, spec: spec(content)?, expected: read("budget.etag", &content.etag)? })
    }
}

/// The etag of a budget that is there.
fn read(field: &str, text: &str) -> FieldResult<Revision> {
    let none = || FieldError::new(field, "must be the etag that was read");
    Some(etag(field, text)?).filter(|revision| *revision != Revision(0)).ok_or_else(none)
}

impl From<&BudgetSpec> for v1::Budget {
    fn from(spec: &BudgetSpec) -> Self {
        let unit = match spec.unit {
            Unit::GpuHours => v1::budget::Unit::GpuHours,
            Unit::Yen => v1::budget::Unit::Yen,
        };
        let exhausted = match spec.exhausted {
            Exhausted::Stop => v1::budget::Exhausted::Stop,
            Exhausted::Warn => v1::budget::Exhausted::Warn,
        };
        let (period, from_ms, until_ms) = match spec.period {
            Period::Once { from, until } => (String::new(), from.0, until.0),
            word @ (Period::Day | Period::Month | Period::FiscalYear) => (word.to_string(), 0, 0),
        };
        Self {
            unit: unit.into(),
            amount: spec.amount,
            period,
            from_ms,
            until_ms,
            device_class: spec.class.as_ref().map(DeviceClass::to_string).unwrap_or_default(),
            area: spec.area.to_string(),
            exhausted: exhausted.into(),
            ..Self::default()
        }
    }
}

impl PutBudget {
    /// The request that makes it; [`PutBudget::expected`] must be 0.
    #[must_use]
    pub fn create_request(&self, intent: v1::Intent) -> v1::CreateBudgetRequest {
        v1::CreateBudgetRequest {
            parent: self.budget.tenant.name(),
            budget_id: self.budget.name.to_string(),
            budget: Some(v1::Budget { name: self.budget.name(), ..(&self.spec).into() }),
            intent: Some(intent),
        }
    }

    /// The request that changes it; [`PutBudget::expected`] must be the revision that was read.
    #[must_use]
    pub fn update_request(&self, intent: v1::Intent) -> v1::UpdateBudgetRequest {
        let (name, etag) = (self.budget.name(), self.expected.to_string());
        v1::UpdateBudgetRequest {
            budget: Some(v1::Budget { name, etag, ..(&self.spec).into() }),
            update_mask: Some(mask::of(&FIELDS)),
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::DeleteBudgetRequest> for DeleteBudget {
    type Error = FieldError;
    fn try_from(message: &v1::DeleteBudgetRequest) -> FieldResult<Self> {
        let budget = BudgetId::from_field("name", &message.name)?;
        Ok(Self { budget, expected: read("etag", &message.etag)? })
    }
}

impl DeleteBudget {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::DeleteBudgetRequest {
        v1::DeleteBudgetRequest {
            name: self.budget.name(),
            etag: self.expected.to_string(),
            intent: Some(intent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::error_code::ErrorCode;

    fn put(period: Period, expected: u64) -> PutBudget {
        let spec = BudgetSpec {
            unit: Unit::GpuHours,
            amount: 5000,
            period,
            class: Some("h100-80g".parse().unwrap()),
            area: Area::resolve("131016").unwrap(),
            exhausted: Exhausted::Stop,
        };
        let budget = BudgetId::from_name("tenants/acme/budgets/fy-2026").unwrap();
        PutBudget { budget, spec, expected: Revision(expected) }
    }

    #[test]
    fn budgets_round_trip() {
        let intent = v1::Intent::default;
        let once = Period::Once { from: Timestamp(1000), until: Timestamp(9000) };
        for period in [Period::Day, Period::Month, Period::FiscalYear, once] {
            let new = put(period, 0);
            assert_eq!(PutBudget::try_from(&new.create_request(intent())), Ok(new));
            let mut changed = put(period, 42);
            changed.spec.class = None;
            (changed.spec.unit, changed.spec.exhausted) = (Unit::Yen, Exhausted::Warn);
            assert_eq!(PutBudget::try_from(&changed.update_request(intent())), Ok(changed));
        }
        let mut whole = put(Period::Month, 0);
        let mut message = whole.create_request(intent());
        message.budget.as_mut().unwrap().area.clear();
        whole.spec.area = Area::Japan;
        assert_eq!(PutBudget::try_from(&message), Ok(whole));
        let delete = DeleteBudget { budget: put(Period::Day, 0).budget, expected: Revision(7) };
        assert_eq!(DeleteBudget::try_from(&delete.request(intent())), Ok(delete));
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::Budget)| {
            let mut message = put(Period::Month, 42).update_request(v1::Intent::default());
            change(message.budget.as_mut().unwrap());
            let error = PutBudget::try_from(&message).unwrap_err();
            (error.field, error.code)
        };
        let invalid = |field: &str| (field.to_owned(), ErrorCode::InvalidArgument);
        assert_eq!(refused(&|b| b.name = "acme/fy-2026".into()), invalid("budget.name"));
        for bad in [0, 9] {
            assert_eq!(refused(&|b| b.unit = bad), invalid("budget.unit"));
            assert_eq!(refused(&|b| b.exhausted = bad), invalid("budget.exhausted"));
        }
        assert_eq!(refused(&|b| b.period = "week".into()), invalid("budget.period"));
        assert_eq!(refused(&|b| b.period.clear()), invalid("budget.until_ms"));
        assert_eq!(refused(&|b| b.from_ms = 1), invalid("budget.from_ms"));
        assert_eq!(refused(&|b| b.until_ms = 1), invalid("budget.until_ms"));
        assert_eq!(refused(&|b| b.device_class = "H100".into()), invalid("budget.device_class"));
        let foreign = ("budget.area".to_owned(), ErrorCode::ResidencyOutsideJp);
        assert_eq!(refused(&|b| b.area = "KR-26".into()), foreign);
        // One that was read is at no revision 0: this would make one under the name of a change.
        for bad in ["", "0", "042"] {
            assert_eq!(refused(&|b| b.etag = bad.into()), invalid("budget.etag"), "{bad}");
        }
    }

    #[test]
    fn what_is_made_and_taken_out_names_what_it_is() {
        let field =
            |message: &v1::CreateBudgetRequest| PutBudget::try_from(message).unwrap_err().field;
        let good = put(Period::Month, 0).create_request(v1::Intent::default());
        let bad = v1::CreateBudgetRequest { parent: "acme".into(), ..good.clone() };
        assert_eq!(field(&bad), "parent");
        let bad = v1::CreateBudgetRequest { budget_id: "FY".into(), ..good.clone() };
        assert_eq!(field(&bad), "budget_id");
        let bad = v1::CreateBudgetRequest { budget_id: "other".into(), ..good.clone() };
        assert_eq!(field(&bad), "budget.name");
        assert_eq!(field(&v1::CreateBudgetRequest { budget: None, ..good }), "budget");
        let mut change = put(Period::Month, 42).update_request(v1::Intent::default());
        change.update_mask = Some(mask::of(&["unit"]));
        assert_eq!(PutBudget::try_from(&change).unwrap_err().field, "update_mask");
        let delete = v1::DeleteBudgetRequest::default();
        assert_eq!(DeleteBudget::try_from(&delete).unwrap_err().field, "name");
        let name = "tenants/acme/budgets/fy-2026".to_owned();
        let delete = v1::DeleteBudgetRequest { name, ..delete };
        assert_eq!(DeleteBudget::try_from(&delete).unwrap_err().field, "etag");
    }
}
