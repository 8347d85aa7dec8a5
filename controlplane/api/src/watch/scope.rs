//! What somebody watches, and whether they may.
//!
//! Must hold: whoever watches sees what a list would show them and no more, today and after the next change of roles; a
//! parent that the caller may not know looks as if it did not exist.

use crate::call::Call;
use crate::limit::{WATCH_NAME_MAX, WATCH_NAMES_MAX};
use crate::service::landmark;
use sekisho_fsm::State;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::field::{FieldError, FieldResult};
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::WatchRequest;
use sekisho_proto::v1::watch_request::Topic;
use sekisho_raft::changes::Key;
use sekisho_types::id::{OperatorId, SiteId, TenantId};
use std::collections::BTreeSet;

/// Whose rows are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Parent {
    /// Everybody's.
    Any,
    Tenant(TenantId),
    Site(SiteId),
    Operator(OperatorId),
}

/// What somebody watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    topics: BTreeSet<Topic>,
    parent: Parent,
    /// Rows that have one of these names, in which `*` is any text; none = all.
    names: Vec<String>,
}

/// Of what a topic's rows are.
fn topic(key: &Key) -> Topic {
    match key {
        Key::Job(_) => Topic::Jobs,
        Key::Node(_) => Topic::Nodes,
        Key::Site(_) => Topic::Sites,
        Key::Tenant(_) => Topic::Tenants,
        Key::Policy(_) => Topic::Policies,
        Key::Quota(..) => Topic::Quotas,
        Key::Key(_) => Topic::Keys,
        Key::Landmark(_) => Topic::Landmarks,
        Key::Member(_) => Topic::Members,
        Key::Approval(_) => Topic::Approvals,
        Key::BreakGlass(_) => Topic::BreakGlasses,
        Key::Budget(..) => Topic::Budgets,
        Key::Escrow(_) => Topic::Escrows,
        Key::Offer(..) => Topic::Offers,
        Key::Veto(_) => Topic::Vetoes,
        Key::Reservation(..) => Topic::Reservations,
    }
}

/// Whether `name` is `pattern`, in which each `*` stands for any text.
fn is_named(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        // The first place is as good as any later one.
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

fn topics(ask: &WatchRequest) -> FieldResult<BTreeSet<Topic>> {
    let unknown = |_number| FieldError::new("topics", "must be known topics");
    let topics: Result<BTreeSet<Topic>, _> =
        ask.topics.iter().copied().map(Topic::try_from).collect();
    let topics = topics.map_err(unknown)?;
    if topics.is_empty() || topics.contains(&Topic::Unspecified) {
        return Err(FieldError::new("topics", "must name at least one"));
    }
    Ok(topics)
}

fn parent(topics: &BTreeSet<Topic>, parent: &str) -> FieldResult<Parent> {
    let only = |of: &[Topic]| topics.iter().all(|topic| of.contains(topic));
    if parent.is_empty() {
        return Ok(Parent::Any);
    }
    let of_tenants = [
        Topic::Jobs,
        Topic::Quotas,
        Topic::Tenants,
        Topic::Budgets,
        Topic::Escrows,
        Topic::Reservations,
    ];
    if only(&of_tenants) {
        let tenant = TenantId::from_parent("parent", parent)?;
        return Ok(tenant.map_or(Parent::Any, Parent::Tenant));
    }
    if only(&[Topic::Nodes, Topic::Sites, Topic::Offers]) {
        let site = SiteId::from_parent("parent", parent)?;
        return Ok(site.map_or(Parent::Any, Parent::Site));
    }
    if only(&[Topic::Landmarks, Topic::Keys, Topic::Vetoes]) {
        let operator = OperatorId::from_parent("parent", parent)?;
        return Ok(operator.map_or(Parent::Any, Parent::Operator));
    }
    Err(FieldError::new("parent", "must be empty, or every topic must be of its kind"))
}

fn names(ask: &WatchRequest) -> FieldResult<Vec<String>> {
    if ask.names.len() > WATCH_NAMES_MAX {
        return Err(FieldError::new("names", format!("must be at most {WATCH_NAMES_MAX}")));
    }
    if let Some(at) = ask.names.iter().position(|name| name.len() > WATCH_NAME_MAX) {
        let must = format!("must have at most {WATCH_NAME_MAX} bytes");
        return Err(FieldError::new(format!("names[{at}]"), must));
    }
    Ok(ask.names.clone())
}

impl Scope {
    /// Reads it out of a request.
    pub(super) fn of(ask: &WatchRequest) -> FieldResult<Self> {
        let topics = topics(ask)?;
        let (parent, names) = (parent(&topics, &ask.parent)?, names(ask)?);
        Ok(Self { topics, parent, names })
    }

    pub(super) fn wants(&self, key: &Key) -> bool {
        self.topics.contains(&topic(key)) && self.is_within(key) && self.names_it(key)
    }

    fn is_within(&self, key: &Key) -> bool {
        match (&self.parent, key) {
            (Parent::Any, _) => true,
            (Parent::Tenant(only), Key::Job(id)) => *only == id.tenant,
            (
                Parent::Tenant(only),
                Key::Tenant(tenant)
                | Key::Quota(tenant, ..)
                | Key::Budget(tenant, _)
                | Key::Reservation(tenant, _),
            ) => only == tenant,
            (Parent::Tenant(only), Key::Escrow(id)) => *only == id.1,
            (Parent::Site(only), Key::Node(id)) => *only == id.site,
            (Parent::Site(only), Key::Site(site) | Key::Offer(site, _)) => only == site,
            (Parent::Operator(only), Key::Landmark(id)) => *only == id.operator,
            (Parent::Operator(only), Key::Key(id)) => *only == id.0.operator,
            (Parent::Operator(only), Key::Veto(id)) => *only == id.0,
            // Topics of another kind are refused with a parent.
            (Parent::Tenant(_) | Parent::Site(_) | Parent::Operator(_), _) => false,
        }
    }

    fn names_it(&self, key: &Key) -> bool {
        if self.names.is_empty() {
            return true;
        }
        let name = super::row::name(key);
        self.names.iter().any(|pattern| is_named(pattern, &name))
    }

    fn target(&self) -> Target<'_> {
        match &self.parent {
            Parent::Tenant(tenant) => Target::Tenant(tenant),
            Parent::Operator(operator) => Target::Operator(operator),
            Parent::Any | Parent::Site(_) => Target::Federation,
        }
    }

    /// Whether the caller may begin. A tenant that it may not read looks as if it did not exist.
    pub(super) fn may_begin(&self, call: &Call, state: &State) -> Result<(), ApiError> {
        if let Parent::Tenant(tenant) = &self.parent {
            let read = Verb::ReadTenant;
            call.may_on(state, read, read, Target::Tenant(tenant), &tenant.name())?;
        }
        self.may_go_on(call, state)
    }

    /// Whether the caller may still read it. What all tenants have is for those who may read every tenant, of today and
    /// tomorrow: of a tenant that somebody may read only from now on, what was before would be missing.
    pub(super) fn may_go_on(&self, call: &Call, state: &State) -> Result<(), ApiError> {
        for topic in &self.topics {
            match topic {
                Topic::Jobs | Topic::Quotas | Topic::Tenants | Topic::Budgets | Topic::Escrows => {
                    call.may(state, Verb::ReadTenant, self.target())?;
                }
                Topic::Vetoes => call.may(state, Verb::ReadVetoes, self.target())?,
                Topic::Reservations => {
                    call.may(state, Verb::ReadReservations, self.target())?;
                }
                Topic::Nodes
                | Topic::Sites
                | Topic::Policies
                | Topic::Keys
                | Topic::Landmarks
                | Topic::BreakGlasses
                | Topic::Offers
                | Topic::Unspecified => {
                    call.may(state, Verb::ReadFederation, Target::Federation)?;
                }
                Topic::Members => call.may(state, Verb::ReadStatus, Target::Federation)?,
                Topic::Approvals => call.may(state, Verb::ReadApprovals, Target::Federation)?,
            }
        }
        Ok(())
    }

    /// Every row of it, by kind and name.
    pub(super) fn rows<'s>(&'s self, state: &'s State) -> impl Iterator<Item = Key> + Send + 's {
        let jobs = state.jobs().map(|(id, _)| Key::Job(id.clone()));
        let nodes = state.nodes().map(|(id, _)| Key::Node(id.clone()));
        let sites = state.sites().map(|(id, _)| Key::Site(id.clone()));
        let tenants = state.tenants().map(|(id, _)| Key::Tenant(id.clone()));
        let policies = state.policies().map(|(id, _)| Key::Policy(id.clone()));
        let quotas = state.quotas().map(|((tenant, class), area, _)| {
            let (tenant, class) = (tenant.clone(), class.clone());
            Key::Quota(tenant, class, area)
        });
        let budgets = state.budgets().map(|((tenant, name), _)| {
            let (tenant, name) = (tenant.clone(), name.clone());
            Key::Budget(tenant, name)
        });
        let escrows = state.escrows().map(|(id, _)| Key::Escrow(Box::new(id.clone())));
        let offers = state.offers().map(|((site, name), _)| Key::Offer(site.clone(), name.clone()));
        let vetoes = state.vetoes().map(|(id, _)| Key::Veto(Box::new(id.clone())));
        let reserved = state.reservations().map(|((tenant, name), _)| {
            let (tenant, name) = (tenant.clone(), name.clone());
            Key::Reservation(tenant, name)
        });
        let keys = state.keys().map(|(id, _)| Key::Key(Box::new(id.clone())));
        let landmarks = landmark::all(state).into_keys().map(|id| Key::Landmark(id.clone()));
        let members = state.federation().into_iter().flat_map(|held| held.members.keys());
        let members = members.map(|id| Key::Member(*id));
        let approvals = state.approvals().map(|(id, _)| Key::Approval(*id));
        let glasses = state.break_glasses().map(|(opened, _)| Key::BreakGlass(*opened));
        let work = jobs.chain(nodes).chain(sites).chain(tenants).chain(policies);
        let who = keys.chain(landmarks).chain(members).chain(approvals).chain(glasses);
        let shared = quotas.chain(budgets).chain(escrows).chain(offers).chain(vetoes);
        let all = work.chain(shared).chain(reserved).chain(who);
        all.filter(|key| self.wants(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let name = "tenants/sapporo/jobs/train-7";
        for pattern in [name, "*", "tenants/*", "tenants/*/jobs/train-*", "*-7", "t*o/jobs*7", "**"]
        {
            assert!(is_named(pattern, name), "{pattern}");
        }
        for pattern in ["", "tenants", "tenants/*/jobs/", "*-8", "*train-7*7", "tenants/*/nodes/*"]
        {
            assert!(!is_named(pattern, name), "{pattern}");
        }
        assert!(is_named("", "") && is_named("a*a", "aa") && !is_named("a*a", "a"));
    }
}
