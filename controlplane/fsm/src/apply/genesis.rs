//! The first entry: the signed genesis becomes the federation, with its sites, keys, members and trust bundle.
//!
//! Must hold: A3, R5. It is applied once, only if every signature on it holds, only in the entry of the cluster that
//! it names, and only by one of its first members. It enrols no node, makes no tenant, and knows nothing of restore.

use super::change::Change;
use crate::entry::FEATURE_LEVEL;
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::state::{Federation, Key, Site, Standing};
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::Workload;
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Begins the federation. Repeatable: a second genesis of the same federation is refused without harm.
pub(super) fn bootstrap(change: &mut Change<'_>, signed: &SignedGenesis) -> Outcome {
    if change.state.federation.is_some() {
        return Err(Rejection::new(ErrorCode::AlreadyExists, "the federation has begun"));
    }
    signed
        .check()
        .map_err(|error| Rejection::new(ErrorCode::SignatureInvalid, error.to_string()))?;
    let genesis = &signed.genesis;
    let (entry, revision) = (change.entry, change.revision);
    if entry.cluster != genesis.bundle.cluster || entry.incarnation != genesis.bundle.incarnation {
        return Err(Rejection::new(ErrorCode::WrongCluster, "the genesis is of another cluster"));
    }
    let by_member = genesis.members.iter().any(|m| {
        m.operator == entry.actor.operator
            && entry.actor.workload == Workload::Member { site: m.site.clone(), member: m.member.0 }
    });
    if !by_member {
        return Err(Rejection::new(
            ErrorCode::PermissionDenied,
            "only a first member may begin the federation",
        ));
    }
    for site in &genesis.sites {
        let row = Site {
            operator: site.operator.clone(),
            area: site.area,
            display_name: site.display_name.clone(),
            revoked: false,
            revision,
        };
        change.put_site(&site.site, row);
    }
    for key in &genesis.keys {
        let (role, expires) = (key.role.clone(), key.expires);
        let row = Key { role, expires, voucher: None, certificate: None, revoked: false };
        change.put_key((key.principal.clone(), key.public_key), row);
    }
    change.effects.events.extend(genesis.members.iter().map(|m| Event::Member(m.member)));
    let state = &mut *change.state;
    state.feature_level = FEATURE_LEVEL;
    state.federation = Some(Arc::new(Federation {
        cluster: genesis.bundle.cluster,
        incarnation: genesis.bundle.incarnation,
        opened: Revision(0),
        bundle: genesis.bundle.clone(),
        members: genesis.members.iter().map(|m| (m.member, m.clone())).collect(),
        standings: genesis.members.iter().map(|m| (m.member, Standing::Voter)).collect(),
        roots: genesis.roots.clone(),
        rotations: BTreeMap::new(),
        genesis: Arc::new(signed.clone()),
        agreements: Vec::new(),
        table: genesis.table,
        dev: genesis.dev,
    }));
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}
