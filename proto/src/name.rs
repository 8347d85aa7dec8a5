//! Resource names: `sites/tokyo-1/nodes/n-01`. Inside the system ids are values; names exist on the wire only.

use crate::field::{FieldError, FieldResult};
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_types::id::{
    ApprovalId, DeviceClass, JobId, MemberId, NodeId, OperatorId, PolicyId, PublicKey, SiteId,
    TenantId,
};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::offer::Vetoed;
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::revision::Revision;
use std::fmt::Display;

/// Stands for every parent in a list request.
pub const ANY: &str = "-";

/// An id that has a resource name.
pub trait Resource: Sized {
    /// The form, for messages.
    const FORM: &'static str;

    /// Its name.
    fn name(&self) -> String;

    /// The id of a name in exactly this form.
    fn from_name(name: &str) -> Option<Self>;

    /// Reads the name in `field`.
    ///
    /// # Errors
    /// [`FieldError`] if it has another form.
    fn from_field(field: &str, name: &str) -> FieldResult<Self> {
        Self::from_name(name)
            .ok_or_else(|| FieldError::new(field, format!("must be a name `{}`", Self::FORM)))
    }

    /// Reads a parent that may also be `COLLECTION/-` for all: `None`.
    ///
    /// # Errors
    /// [`FieldError`] if it is neither.
    fn from_parent(field: &str, name: &str) -> FieldResult<Option<Self>> {
        let any = name.split_once('/').is_some_and(|(collection, id)| {
            id == ANY && Self::FORM.split('/').next() == Some(collection)
        });
        if any { Ok(None) } else { Self::from_field(field, name).map(Some) }
    }
}

/// One tenant's quota for one class in one area.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaId {
    /// The tenant.
    pub tenant: TenantId,
    /// The class.
    pub class: DeviceClass,
    /// Where.
    pub area: Area,
}

/// One tenant's budget.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BudgetId {
    /// The tenant.
    pub tenant: TenantId,
    /// Its name, unique within the tenant.
    pub name: Name,
}

/// What one site offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferId {
    /// The site.
    pub site: SiteId,
    /// Its name, unique within the site.
    pub name: Name,
}

/// What is reserved for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReservationId {
    /// The tenant.
    pub tenant: TenantId,
    /// Its name, unique within the tenant.
    pub name: Name,
}

/// What one operator does not take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VetoId {
    /// The operator.
    pub operator: OperatorId,
    /// A tenant, or a job of one.
    pub of: Vetoed,
}

/// What one site holds of one tenant's quota for one class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EscrowId {
    /// The site.
    pub site: SiteId,
    /// The tenant.
    pub tenant: TenantId,
    /// The class.
    pub class: DeviceClass,
}

/// A registered key of a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId {
    /// Whose.
    pub principal: Principal,
    /// Which.
    pub key: PublicKey,
}

fn join(parts: [&dyn Display; 4]) -> String {
    let [a, b, c, d] = parts;
    format!("{a}/{b}/{c}/{d}")
}

macro_rules! top {
    ($($id:ty = $collection:literal, $form:literal;)+) => {$(
        impl Resource for $id {
            const FORM: &'static str = $form;
            fn name(&self) -> String {
                format!(concat!($collection, "/{}"), self)
            }
            fn from_name(name: &str) -> Option<Self> {
                name.strip_prefix(concat!($collection, "/"))?.parse().ok()
            }
        }
    )+};
}

top! {
    SiteId = "sites", "sites/SITE";
    TenantId = "tenants", "tenants/TENANT";
    PolicyId = "policies", "policies/POLICY";
    OperatorId = "operators", "operators/OPERATOR";
}

impl Resource for ApprovalId {
    const FORM: &'static str = "approvals/ID";
    fn name(&self) -> String {
        format!("approvals/{self}")
    }
    fn from_name(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("approvals/")?;
        // One spelling for each: upper case would be another name of the same.
        digits.parse().ok().filter(|id: &Self| id.to_string() == digits)
    }
}

/// An emergency right, by the entry that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BreakGlassId(pub Revision);

impl Resource for BreakGlassId {
    const FORM: &'static str = "breakGlasses/REVISION";
    fn name(&self) -> String {
        format!("breakGlasses/{}", self.0)
    }
    fn from_name(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("breakGlasses/")?;
        let id = digits.parse().ok().filter(|id: &u64| id.to_string() == digits)?;
        Some(Self(Revision(id)))
    }
}

impl Resource for NodeId {
    const FORM: &'static str = "sites/SITE/nodes/NODE";
    fn name(&self) -> String {
        join([&"sites", &self.site, &"nodes", &self.name])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (site, node) = nested(name, "sites", "nodes")?;
        Some(Self { site: site.parse().ok()?, name: node.parse().ok()? })
    }
}

impl Resource for LandmarkId {
    const FORM: &'static str = "operators/OPERATOR/landmarks/LANDMARK";
    fn name(&self) -> String {
        join([&"operators", &self.operator, &"landmarks", &self.name])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (operator, landmark) = nested(name, "operators", "landmarks")?;
        Some(Self { operator: operator.parse().ok()?, name: landmark.parse().ok()? })
    }
}

impl Resource for JobId {
    const FORM: &'static str = "tenants/TENANT/jobs/JOB";
    fn name(&self) -> String {
        let whole = join([&"tenants", &self.tenant, &"jobs", &self.name]);
        self.task.map_or_else(|| whole.clone(), |task| format!("{whole}/tasks/{task}"))
    }
    fn from_name(name: &str) -> Option<Self> {
        let (name, task) = match name.split_once("/tasks/") {
            None => (name, None),
            Some((whole, task)) => (whole, Some(task)),
        };
        let (tenant, job) = nested(name, "tenants", "jobs")?;
        let whole = Self { tenant: tenant.parse().ok()?, name: job.parse().ok()?, task: None };
        let Some(task) = task else { return Some(whole) };
        // One spelling for each number, or one task had many names.
        let number: u32 = task.parse().ok().filter(|number: &u32| number.to_string() == task)?;
        Some(whole.task(number))
    }
}

impl Resource for QuotaId {
    const FORM: &'static str = "tenants/TENANT/quotas/CLASS[.AREA]";
    fn name(&self) -> String {
        let row = match self.area {
            Area::Japan => self.class.to_string(),
            Area::Code(_) => format!("{}.{}", self.class, self.area),
        };
        join([&"tenants", &self.tenant, &"quotas", &row])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (tenant, row) = nested(name, "tenants", "quotas")?;
        let (class, area) = match row.split_once('.') {
            None => (row, Area::Japan),
            Some((class, code)) => (class, area(code)?),
        };
        Some(Self { tenant: tenant.parse().ok()?, class: class.parse().ok()?, area })
    }
}

/// An area by its six digits. One spelling: all Japan is left out, and a name would be another one of the same quota.
fn area(code: &str) -> Option<Area> {
    let found = Area::resolve(code).ok()?;
    (found != Area::Japan && found.to_string() == code).then_some(found)
}

impl Resource for BudgetId {
    const FORM: &'static str = "tenants/TENANT/budgets/BUDGET";
    fn name(&self) -> String {
        join([&"tenants", &self.tenant, &"budgets", &self.name])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (tenant, budget) = nested(name, "tenants", "budgets")?;
        Some(Self { tenant: tenant.parse().ok()?, name: budget.parse().ok()? })
    }
}

impl Resource for ReservationId {
    const FORM: &'static str = "tenants/TENANT/reservations/RESERVATION";
    fn name(&self) -> String {
        join([&"tenants", &self.tenant, &"reservations", &self.name])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (tenant, reservation) = nested(name, "tenants", "reservations")?;
        Some(Self { tenant: tenant.parse().ok()?, name: reservation.parse().ok()? })
    }
}

impl Resource for OfferId {
    const FORM: &'static str = "sites/SITE/offers/OFFER";
    fn name(&self) -> String {
        join([&"sites", &self.site, &"offers", &self.name])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (site, offer) = nested(name, "sites", "offers")?;
        Some(Self { site: site.parse().ok()?, name: offer.parse().ok()? })
    }
}

impl Resource for VetoId {
    const FORM: &'static str = "operators/OPERATOR/vetoes/TENANT[.JOB]";
    fn name(&self) -> String {
        let of = match &self.of {
            Vetoed::Tenant(tenant) => tenant.to_string(),
            Vetoed::Job(job) => format!("{}.{}", job.tenant, job.name),
        };
        join([&"operators", &self.operator, &"vetoes", &of])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (operator, of) = nested(name, "operators", "vetoes")?;
        // Names have no dots, so that one parts them.
        let of = match of.split_once('.') {
            None => Vetoed::Tenant(of.parse().ok()?),
            Some((tenant, job)) => Vetoed::Job(JobId {
                tenant: tenant.parse().ok()?,
                name: job.parse().ok()?,
                task: None,
            }),
        };
        Some(Self { operator: operator.parse().ok()?, of })
    }
}

impl Resource for EscrowId {
    const FORM: &'static str = "sites/SITE/escrows/TENANT.CLASS";
    fn name(&self) -> String {
        let row = format!("{}.{}", self.tenant, self.class);
        join([&"sites", &self.site, &"escrows", &row])
    }
    fn from_name(name: &str) -> Option<Self> {
        let (site, row) = nested(name, "sites", "escrows")?;
        let (tenant, class) = row.split_once('.')?;
        Some(Self {
            site: site.parse().ok()?,
            tenant: tenant.parse().ok()?,
            class: class.parse().ok()?,
        })
    }
}

impl Resource for KeyId {
    const FORM: &'static str = "operators/OPERATOR/users/USER/keys/KEY";
    fn name(&self) -> String {
        let Principal { operator, workload } = &self.principal;
        // Keys are registered for users only; what anybody else is called is read back by nobody.
        let user = match workload {
            Workload::User { name } => name.to_string(),
            Workload::Member { .. } | Workload::Agent { .. } | Workload::Landmark { .. } => {
                self.principal.path()
            }
        };
        format!("operators/{operator}/users/{user}/keys/{}", self.key)
    }
    fn from_name(name: &str) -> Option<Self> {
        let (owner, key) = name.rsplit_once("/keys/")?;
        let (operator, user) = nested(owner, "operators", "users")?;
        let workload = Workload::User { name: user.parse().ok()? };
        let principal = Principal { operator: operator.parse().ok()?, workload };
        // One spelling: capitals would be another name of the same key.
        let spelt: PublicKey = key.parse().ok()?;
        (spelt.to_string() == key).then_some(Self { principal, key: spelt })
    }
}

impl Resource for MemberId {
    const FORM: &'static str = "members/NUMBER";
    fn name(&self) -> String {
        format!("members/{self}")
    }
    fn from_name(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("members/")?;
        // One spelling per member: `01` and `+1` would be other names of the same voter.
        digits.parse().ok().filter(|id: &u64| id.to_string() == digits).map(Self)
    }
}

fn nested<'n>(name: &'n str, outer: &str, inner: &str) -> Option<(&'n str, &'n str)> {
    let mut parts = name.split('/');
    let (a, id, b, nested) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (a == outer && b == inner && parts.next().is_none()).then_some((id, nested))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: Resource>(names: &[&str], bad: &[&str]) {
        for name in names {
            assert_eq!(T::from_name(name).map(|id| id.name()).as_deref(), Some(*name));
        }
        for name in bad {
            assert!(T::from_name(name).is_none(), "{name}");
            assert_eq!(T::from_field("name", name).err().map(|e| e.field), Some("name".into()));
        }
    }

    #[test]
    fn names_round_trip_and_other_forms_are_refused() {
        same::<SiteId>(&["sites/tokyo-1"], &["", "sites/", "tokyo-1", "sites/A", "sites/a/b"]);
        same::<TenantId>(&["tenants/acme"], &["tenant/acme", "sites/acme"]);
        same::<PolicyId>(&["policies/gov"], &["policies/"]);
        same::<NodeId>(
            &["sites/tokyo-1/nodes/n-01"],
            &["sites/tokyo-1", "sites/tokyo-1/node/n", "sites/t/nodes/n/x", "sites//nodes/n"],
        );
        same::<JobId>(
            &["tenants/acme/jobs/train", "tenants/acme/jobs/train/tasks/0"],
            &[
                "tenants/acme/jobs/",
                "tenants/-/jobs/x",
                "tenants/acme/jobs/x/tasks/",
                "tenants/acme/jobs/x/tasks/01",
                "tenants/acme/jobs/x/tasks/1/tasks/1",
                "tenants/acme/jobs/x/tasks/4294967296",
            ],
        );
        let digits = "0a".repeat(16);
        let (good, upper) = (format!("approvals/{digits}"), digits.to_uppercase());
        same::<ApprovalId>(&[&good], &["approvals/", &digits, &format!("approvals/{upper}")]);
        same::<BreakGlassId>(&["breakGlasses/12"], &["breakGlasses/012", "breakGlasses/x", "12"]);
        same::<OperatorId>(&["operators/kanto"], &["operators/", "operator/kanto", "operators/-"]);
        let key = |hex: &str| format!("operators/kanto/users/alice/keys/{}", hex.repeat(32));
        let (good, bad) = (key("0a"), [key("0A"), key("0"), format!("{}/x", key("0a"))]);
        same::<KeyId>(&[&good], &[&bad[0], &bad[1], &bad[2], "operators/kanto/keys/0a"]);
        same::<MemberId>(&["members/3"], &["members/03", "members/+3", "members/x", "member/3"]);
    }

    #[test]
    fn what_is_shared_out_has_one_spelling_each() {
        let quota = |row: &str| format!("tenants/acme/quotas/{row}");
        same::<QuotaId>(
            &[&quota("h100-80g"), &quota("h100-80g.131016"), &quota("h100-80g.010006")],
            &[
                "tenants/acme/quota/h100-80g",
                &quota("h100-80g.JP"),
                &quota("h100-80g."),
                &quota("h100-80g.13101"),
                &quota("h100-80g.JP-13"),
                &quota("h100-80g.東京都"),
                &quota("h100-80g.999999"),
                &quota("h100-80g.131016.131016"),
                &quota(".131016"),
            ],
        );
        let whole = QuotaId::from_name(&quota("h100-80g")).unwrap();
        assert_eq!(whole.area, Area::Japan);
        same::<BudgetId>(
            &["tenants/acme/budgets/fy-2026"],
            &["tenants/acme/budgets/", "tenants/acme/budget/x", "tenants/-/budgets/x"],
        );
        same::<ReservationId>(
            &["tenants/sapporo/reservations/night"],
            &["tenants/sapporo/reservations/", "sapporo/reservations/night"],
        );
        same::<OfferId>(
            &["sites/tokyo-1/offers/night"],
            &["sites/tokyo-1/offers/", "sites/tokyo-1/offers/Night", "tokyo-1/offers/night"],
        );
        let veto = |of: &str| format!("operators/kanto/vetoes/{of}");
        same::<VetoId>(
            &[&veto("acme"), &veto("acme.train")],
            &[&veto(""), &veto("acme."), &veto(".train"), &veto("acme.train.x"), &veto("acme/x")],
        );
        same::<EscrowId>(
            &["sites/tokyo-1/escrows/acme.h100-80g"],
            &[
                "sites/tokyo-1/escrows/acme",
                "sites/tokyo-1/escrows/acme.",
                "sites/tokyo-1/escrows/acme.h100-80g.x",
                "sites/tokyo-1/escrow/acme.h100-80g",
            ],
        );
    }

    #[test]
    fn a_parent_may_be_any() {
        let one = TenantId::from_parent("parent", "tenants/acme").unwrap();
        assert_eq!(one.map(|t| t.to_string()).as_deref(), Some("acme"));
        assert_eq!(TenantId::from_parent("parent", "tenants/-"), Ok(None));
        assert_eq!(SiteId::from_parent("parent", "sites/-"), Ok(None));
        for bad in ["", "-", "sites/-", "tenants/-/jobs/x"] {
            TenantId::from_parent("parent", bad).unwrap_err();
        }
    }
}
