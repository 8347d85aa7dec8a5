//! Join tokens and enrolment.

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Node, State, Token};
use sekisho_evidence::tag::{SignedTag, SiteTag, Subject};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId, OperatorId, PublicKey};
use sekisho_types::limit::{JOIN_REPEAT, JOIN_TOKEN_LIFETIME_MAX};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes a token for one node, once.
pub(super) fn create(
    change: &mut Change<'_>,
    token: &Digest,
    node: &NodeId,
    expires: Timestamp,
    approved: bool,
) -> Outcome {
    let site = change
        .state
        .sites
        .get(&node.site)
        .ok_or_else(|| not_found(format!("site {}", node.site)))?;
    let (operator, revoked) = (site.operator.clone(), site.revoked);
    change.authorize(Verb::CreateToken, Target::Operator(&operator))?;
    if revoked {
        return Err(Rejection::new(
            ErrorCode::NodeRevoked,
            format!("site {} was revoked", node.site),
        ));
    }
    let now = change.now();
    if expires <= now || expires > now.plus_ms(ms(JOIN_TOKEN_LIFETIME_MAX)) {
        return Err(Rejection::new(
            ErrorCode::InvalidArgument,
            "expires: must lie within the next 24 hours",
        ));
    }
    if change.state.nodes.contains(node) {
        return Err(Rejection::new(ErrorCode::AlreadyExists, format!("node {node} is enrolled")));
    }
    if change.state.tokens.contains(token) {
        return Err(Rejection::new(ErrorCode::AlreadyExists, "a token with this secret exists"));
    }
    let bundle = pinned(change)?;
    let row = Token { node: node.clone(), bundle, expires, used: None, approved };
    change.state.tokens.insert(*token, row);
    Ok(Reply::Done)
}

/// Hash of the endorser bundle in force.
fn pinned(change: &Change<'_>) -> Result<Digest, Rejection> {
    let hash = change.federation()?.bundle.hash();
    hash.map_err(|error| Rejection::new(ErrorCode::Internal, error.to_string()))
}

/// What a host brings.
#[derive(Debug)]
pub(super) struct Candidate<'c> {
    pub(super) node: &'c NodeId,
    pub(super) node_key: &'c Digest,
    pub(super) receipt_key: &'c PublicKey,
    pub(super) tag: &'c SignedTag,
}

/// Verifies a tag for a node at a registered site: form, signature, subject, time, Japan (D2), the site's own area.
pub(super) fn check_tag(
    state: &State,
    node: &NodeId,
    node_key: &Digest,
    tag: &SignedTag,
) -> Result<(SiteTag, OperatorId), Rejection> {
    let site =
        state.sites.get(&node.site).ok_or_else(|| not_found(format!("site {}", node.site)))?;
    if site.revoked {
        return Err(Rejection::new(
            ErrorCode::NodeRevoked,
            format!("site {} was revoked", node.site),
        ));
    }
    let federation = state
        .federation
        .as_ref()
        .ok_or_else(|| Rejection::new(ErrorCode::WrongCluster, "no federation"))?;
    let keys = federation
        .bundle
        .keys(&site.operator)
        .ok_or_else(|| Rejection::new(ErrorCode::OperatorUnknown, site.operator.as_str()))?;
    let subject =
        Subject { cluster: &federation.cluster, operator: &site.operator, node, node_key };
    let verified = tag
        .verify(&keys.site_tags, subject)
        .and_then(|tag| tag.check_time(state.clock).map(|()| tag))
        .map_err(|error| Rejection::new(error.code(), error.to_string()))?;
    let area = verified.area.domestic().ok_or_else(|| {
        Rejection::new(ErrorCode::ResidencyOutsideJp, format!("the tag names {}", verified.area))
    })?;
    if !site.area.contains(area) {
        let why = format!("the tag names {area}, the site stands in {}", site.area);
        return Err(Rejection::new(ErrorCode::TagInvalid, why));
    }
    Ok((verified, site.operator.clone()))
}

/// Enrols a node with a token.
pub(super) fn enroll(
    change: &mut Change<'_>,
    token: &Digest,
    candidate: &Candidate<'_>,
) -> Outcome {
    let joining = change.member()?.clone();
    change.state.clock_behind(change.entry.proposed_at)?;
    let row =
        change.state.tokens.get(token).filter(|row| row.node == *candidate.node).ok_or_else(
            || Rejection::new(ErrorCode::TokenUnknown, "no such token for this node"),
        )?;
    let (tag, operator) =
        check_tag(change.state, candidate.node, candidate.node_key, candidate.tag)?;
    if joining != operator {
        let why = "a node joins through its own operator";
        return Err(Rejection::new(ErrorCode::PermissionDenied, why));
    }
    let (now, approved) = (change.now(), row.approved);
    if let Some((key, at)) = row.used {
        // The answer may have been lost: the same key gets it again for a while.
        let again = key == *candidate.node_key && now.since_ms(at) <= ms(JOIN_REPEAT);
        let enrolled =
            change.state.nodes.get(candidate.node).is_some_and(|n| n.node_key == key && !n.revoked);
        return if again && enrolled {
            Ok(Reply::Done)
        } else {
            Err(Rejection::new(ErrorCode::TokenUsed, "the token was used"))
        };
    }
    if row.bundle != pinned(change)? {
        // Before anything is used: the host would refuse the answer, and its name would be taken.
        let why =
            "the token pins the endorser bundle of before a change of members: make a new one";
        return Err(Rejection::new(ErrorCode::BundleMismatch, why));
    }
    if row.expires <= now {
        return Err(Rejection::new(ErrorCode::TokenExpired, format!("expired at {}", row.expires)));
    }
    if change.state.nodes.contains(candidate.node) {
        return Err(Rejection::new(
            ErrorCode::AlreadyExists,
            format!("node {} is enrolled", candidate.node),
        ));
    }
    if let Some(retired) = change.state.retired(candidate.node_key) {
        let why = format!("the key was {}'s, which was decommissioned", retired.node);
        return Err(Rejection::new(ErrorCode::NodeRevoked, why));
    }
    let node = Node {
        operator,
        node_key: *candidate.node_key,
        receipt_key: *candidate.receipt_key,
        signed_tag: candidate.tag.clone(),
        tag,
        buckets: Vec::new(),
        used: BTreeMap::new(),
        session: None,
        schedulable: true,
        revoked: false,
        placements: BTreeSet::new(),
        desired: None,
        revision: change.revision,
        drain: None,
        approved,
        joined: now,
        findings: Vec::new(),
        quarantine: None,
        proof: None,
        lapsed: None,
        rack: None,
        kept: BTreeMap::new(),
    };
    change.state.nodes.insert(candidate.node.clone(), node);
    change.state.tokens.update(token, |row| row.used = Some((*candidate.node_key, now)));
    change.effects.events.insert(Event::Node(candidate.node.clone()));
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}
