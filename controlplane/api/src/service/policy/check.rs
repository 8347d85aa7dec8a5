//! Which nodes satisfy rules now: by the function that grants them (D1).

use crate::page::Page;
use crate::service::count;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::grant::BoundRules;
use sekisho_fsm::State;
use sekisho_fsm::outcome::Rejection;
use sekisho_fsm::state::Node;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::Rules;
use std::collections::BTreeMap;

/// Rules that no job has of its own.
pub(super) fn alone(rules: &Rules) -> [BoundRules; 1] {
    [BoundRules { policy: None, rules: rules.clone().into() }]
}

/// What the rules say of a node.
pub(super) fn judge(
    state: &State,
    rules: &[BoundRules],
    id: &NodeId,
    node: &Node,
) -> Result<(), Rejection> {
    if is_out(state, id, node) {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
    }
    state.may_reside(rules, node)
}

fn is_out(state: &State, id: &NodeId, node: &Node) -> bool {
    node.revoked || state.site(&id.site).is_none_or(|site| site.revoked)
}

pub(super) fn message(
    state: &State,
    id: &NodeId,
    node: &Node,
    verdict: &Result<(), Rejection>,
) -> v1::NodeVerdict {
    let place = node.place(state.clock());
    let why = verdict.as_ref().err();
    v1::NodeVerdict {
        node: id.name(),
        area_label: place.area.map(Area::label).unwrap_or_default(),
        country_tier: place.country_tier.to_string(),
        reason: why.map(|why| why.code.to_string()).unwrap_or_default(),
        detail: why.map(|why| why.detail.clone()).unwrap_or_default(),
    }
}

/// A page of the nodes, and how many of each site qualify.
pub(super) fn check(
    state: &State,
    rules: &Rules,
    (size, token): (u32, &str),
) -> Result<v1::CheckPolicyResponse, ApiError> {
    let internal = |error: sekisho_evidence::canonical::CanonicalError| {
        ApiError::new(ErrorCode::Internal, error.to_string())
    };
    let query = Digest::of(&encode(rules).map_err(internal)?);
    let page = Page::of(&format!("check/{query}"), size, token)?;
    let rules = alone(rules);
    let mut sites: BTreeMap<&SiteId, v1::SiteVerdict> = BTreeMap::new();
    let mut judged = Vec::new();
    for (id, node) in state.nodes().filter(|(id, node)| !is_out(state, id, node)) {
        let verdict = judge(state, &rules, id, node);
        let site = sites.entry(&id.site).or_insert_with(|| v1::SiteVerdict {
            site: id.site.name(),
            ..v1::SiteVerdict::default()
        });
        site.nodes = site.nodes.saturating_add(1);
        site.qualifying = site.qualifying.saturating_add(u32::from(verdict.is_ok()));
        judged.push((id.clone(), (node, verdict)));
    }
    let node_count = count(judged.len());
    let qualifying = sites.values().fold(0u32, |sum, site| sum.saturating_add(site.qualifying));
    let (rows, next_page_token) = page.take(state.revision(), judged);
    let row = |(id, (node, verdict)): (NodeId, (&Node, Result<(), Rejection>))| {
        message(state, &id, node, &verdict)
    };
    Ok(v1::CheckPolicyResponse {
        nodes: rows.into_iter().map(row).collect(),
        next_page_token,
        revision: state.revision().0,
        node_count,
        qualifying_count: qualifying,
        sites: sites.into_values().collect(),
    })
}
