//! A row as a watch tells it.
//!
//! Must hold: a row looks as its list shows it. What only the answering member observes (contact, lag) is as of the sending.

use crate::core::Core;
use crate::service::{approval, break_glass, job, key, landmark, policy, site, tenant};
use crate::status::Health;
use sekisho_fsm::State;
use sekisho_proto::name::{BreakGlassId, QuotaId, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::watch_response::{Deleted, Item};
use sekisho_raft::changes::Key;
use sekisho_types::id::{DeviceClass, MemberId, TenantId};
use sekisho_types::principal::Workload;
use sekisho_types::quota::Limit;

/// The name of a row.
pub(super) fn name(key: &Key) -> String {
    match key {
        Key::Job(id) => id.name(),
        Key::Node(id) => id.name(),
        Key::Site(id) => id.name(),
        Key::Tenant(id) => id.name(),
        Key::Policy(id) => id.name(),
        Key::Quota(tenant, class) => {
            QuotaId { tenant: tenant.clone(), class: class.clone() }.name()
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
    }
}

fn quota(state: &State, tenant: &TenantId, class: &DeviceClass) -> Option<v1::Quota> {
    match state.quota(tenant, class) {
        Limit::None => None,
        limit @ (Limit::Gpus(_) | Limit::Unlimited) => Some(v1::Quota {
            name: QuotaId { tenant: tenant.clone(), class: class.clone() }.name(),
            limit: limit.to_string(),
            used: state.usage(tenant, class),
            etag: state.quota_revision(tenant, class).to_string(),
        }),
    }
}

impl Core {
    /// A row as it is in this state.
    pub(super) fn row(&self, state: &State, key: &Key) -> Item {
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
            Key::Quota(tenant, class) => quota(state, tenant, class).map(Item::Quota),
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
