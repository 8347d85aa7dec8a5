//! A row as a watch tells it.
//!
//! Must hold: a row looks as its list shows it to whoever watches. What only the answering member observes (contact, lag) is
//! as of the sending.

use crate::call::Call;
use crate::core::Core;
use crate::service::{approval, break_glass, budget, escrow, job, key, landmark, offer, policy};
use crate::service::{quota, reservation, site, tenant};
use crate::status::Health;
use sekisho_fsm::State;
use sekisho_proto::name::{BreakGlassId, BudgetId, OfferId, QuotaId, ReservationId, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::watch_response::{Deleted, Item};
use sekisho_raft::changes::Key;
use sekisho_types::id::MemberId;
use sekisho_types::principal::Workload;

/// The name of a row.
pub(super) fn name(key: &Key) -> String {
    match key {
        Key::Job(id) => id.name(),
        Key::Node(id) => id.name(),
        Key::Site(id) => id.name(),
        Key::Tenant(id) => id.name(),
        Key::Policy(id) => id.name(),
        Key::Quota(tenant, class, area) => {
            QuotaId { tenant: tenant.clone(), class: class.clone(), area: *area }.name()
        }
        Key::Key(id) => {
            let (principal, key) = id.as_ref();
            let user = match &principal.workload {
                Workload::User { name } => name.to_string(),
                // Keys are registered for users alone.
                Workload::Member { .. } | Workload::Agent { .. } | Workload::Landmark { .. } => {
                    principal.path()
                }
            };
            format!("operators/{}/users/{user}/keys/{key}", principal.operator)
        }
        Key::Landmark(id) => id.name(),
        Key::Member(id) => id.name(),
        Key::Approval(id) => id.name(),
        Key::BreakGlass(opened) => BreakGlassId(*opened).name(),
        Key::Budget(tenant, name) => BudgetId { tenant: tenant.clone(), name: name.clone() }.name(),
        Key::Escrow(id) => escrow::name(id),
        Key::Offer(site, name) => OfferId { site: site.clone(), name: name.clone() }.name(),
        Key::Veto(id) => offer::veto_name(id),
        Key::Reservation(tenant, name) => {
            ReservationId { tenant: tenant.clone(), name: name.clone() }.name()
        }
    }
}

/// A row of what tenants may hold and use, or of what operators share out.
fn share(call: &Call, state: &State, key: &Key) -> Option<Item> {
    match key {
        Key::Quota(tenant, class, area) => {
            let line = state.line(tenant, class, *area);
            line.quota.map(|_| Item::Quota(quota::message(state, tenant, class, *area)))
        }
        Key::Budget(tenant, name) => state.budget(tenant, name).map(|row| {
            let key = (tenant.clone(), name.clone());
            Item::Budget(budget::message(state, (&key, row)))
        }),
        Key::Escrow(id) => {
            let (site, tenant, class) = id.as_ref();
            let row = state.escrow(site, tenant, class);
            row.map(|row| Item::Escrow(escrow::message((id.as_ref(), row))))
        }
        Key::Offer(site, name) => {
            offer::message(call, state, &(site.clone(), name.clone())).map(Item::Offer)
        }
        Key::Veto(id) => {
            let row = state.veto(&id.0, &id.1);
            row.map(|row| Item::Veto(offer::veto_message((id.as_ref(), row))))
        }
        Key::Reservation(tenant, name) => {
            let key = (tenant.clone(), name.clone());
            reservation::message(state, &key).map(Item::Reservation)
        }
        Key::Job(_) | Key::Node(_) | Key::Site(_) | Key::Tenant(_) | Key::Policy(_) => None,
        Key::Key(_) | Key::Landmark(_) | Key::Member(_) => None,
        Key::Approval(_) | Key::BreakGlass(_) => None,
    }
}

impl Core {
    /// A row as it is in this state, for this caller.
    pub(super) fn row(&self, call: &Call, state: &State, key: &Key) -> Item {
        let row = match key {
            Key::Job(id) => state.job(id).map(|row| Item::Job(job::message(state, id, row))),
            Key::Node(id) => {
                state.node(id).map(|row| Item::Node(self.node_message(state, id, row)))
            }
            Key::Site(id) => state.site(id).map(|row| {
                let nodes = site::nodes_at(state, id);
                Item::Site(site::message(state, id, row, nodes))
            }),
            Key::Tenant(id) => state.tenant(id).map(|row| Item::Tenant(tenant::message(id, row))),
            Key::Policy(id) => state.policy(id).map(|row| Item::Policy(policy::message(id, row))),
            Key::Key(id) => {
                state.key(&id.0, &id.1).map(|row| Item::Key(key::message((id.as_ref(), row))))
            }
            Key::Landmark(id) => landmark::known(state, id).map(|row| {
                let wrong = landmark::contradictions(state);
                Item::Landmark(landmark::message(state, &wrong, (id, row)))
            }),
            Key::Member(id) => self.member_row(state, *id).map(Item::Member),
            Key::Approval(id) => state.approval(id).and_then(|row| {
                // It has no bytes only if its change has none, and that was signed.
                approval::message(state, *id, row).ok().map(Item::Approval)
            }),
            Key::BreakGlass(opened) => state
                .break_glass(*opened)
                .map(|row| Item::BreakGlass(break_glass::message(state, *opened, row))),
            Key::Quota(..)
            | Key::Budget(..)
            | Key::Escrow(_)
            | Key::Offer(..)
            | Key::Veto(_)
            | Key::Reservation(..) => share(call, state, key),
        };
        row.unwrap_or_else(|| Item::Deleted(Deleted { name: name(key) }))
    }

    /// A controller that takes part. One that is leaving has been taken out.
    fn member_row(&self, state: &State, id: MemberId) -> Option<v1::Member> {
        let held = state.federation()?.members.contains_key(&id);
        let members = Health::of(self, state).ok().filter(|_| held)?.members();
        members.into_iter().find(|member| member.name == id.name())
    }
}
