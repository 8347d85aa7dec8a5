//! Companies: who takes part, with which keys.
//!
//! Must hold: D2, D4, P5, Q2. A company comes with sites in Japan and with administrators that its own issuer vouches for;
//! it goes only when no controller, site or running work of it is left; an old key is given up only when nothing stands on
//! it any more. Whether the operators agreed is judged in `bundle`.
//! Does not read certificates: X.509 is not judged in apply. A root counts by its hash; one that nobody can use shuts its
//! own operator out, and no one else.

use super::change::{Change, not_found};
use super::site::area_rejection;
use super::{job, key, landmark, offer};
use crate::event::Event;
use crate::outcome::Rejection;
use crate::state::{Key, Site};
use sekisho_evidence::bundle::{EndorserBundle, OPERATORS_MAX};
use sekisho_evidence::key::Purpose;
use sekisho_evidence::operator::{Keys, OperatorKeys};
use sekisho_evidence::tag::Subject;
use sekisho_evidence::terms::{IssuedKey, Newcomer, Rotation};
use sekisho_evidence::voucher::Voucher;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{OperatorId, PublicKey};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{KeyRecord, Principal, Role, Workload};
use std::time::Duration;

/// Largest root certificate, bytes: one with an RSA key of 4096 bits has about 1.5 KiB.
pub const ROOT_MAX: usize = 4096;
/// Sites, and administrators, that a company brings when it joins: more are added one by one afterwards.
const BROUGHT_MAX: usize = 16;
/// How long old and new keys count together at least: a leaf certificate lives seven days, so every one under the old root
/// is over by then, and a day is left for whoever was away.
pub const OVERLAP: Duration = Duration::from_secs(8 * 86_400);

fn refuse<T>(code: ErrorCode, why: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

fn check_root(der: &[u8]) -> Result<(), Rejection> {
    if der.len() <= ROOT_MAX {
        return Ok(());
    }
    refuse(ErrorCode::TooLarge, format!("a root certificate has at most {ROOT_MAX} bytes"))
}

/// Whether a company may come with what it brings; `next` holds its keys.
pub(super) fn may_come(
    change: &Change<'_>,
    newcomer: &Newcomer,
    next: &EndorserBundle,
) -> Result<(), Rejection> {
    let (operator, federation) = (&newcomer.operator, change.federation()?);
    if federation.bundle.keys(operator).is_some() {
        return refuse(ErrorCode::AlreadyExists, format!("operator {operator} takes part already"));
    }
    if federation.bundle.operators.len() >= OPERATORS_MAX {
        return refuse(ErrorCode::TooLarge, format!("at most {OPERATORS_MAX} operators"));
    }
    check_root(&newcomer.root)?;
    let keys = next.keys(operator);
    let keys = keys.ok_or_else(|| Rejection::new(ErrorCode::BundleMismatch, "no keys of it"))?;
    let counts = [newcomer.sites.len(), newcomer.admins.len()];
    if counts.iter().any(|count| *count == 0 || *count > BROUGHT_MAX) {
        let why = format!("a company brings 1 to {BROUGHT_MAX} sites and administrators");
        return refuse(ErrorCode::InvalidArgument, why);
    }
    if !newcomer.sites.is_sorted_by(|a, b| a.site < b.site) {
        return refuse(ErrorCode::InvalidArgument, "sites: must be ordered and without doubles");
    }
    for site in &newcomer.sites {
        Change::text(&site.display_name, "display_name")?;
        if site.operator != *operator {
            return refuse(
                ErrorCode::InvalidArgument,
                format!("site {} is not its own", site.site),
            );
        }
        if !Area::Japan.contains(site.area) {
            return refuse(ErrorCode::ResidencyOutsideJp, format!("site {}", site.site));
        }
        site.area.valid_on(change.today()).map_err(|error| area_rejection(&error))?;
        let taken = change.state.sites.get(&site.site).map(|row| row.revision);
        Change::unchanged(None, taken, &format!("site {}", site.site))?;
    }
    newcomer.admins.iter().try_for_each(|admin| may_register(change, operator, keys, admin))
}

pub(super) fn may_register(
    change: &Change<'_>,
    operator: &OperatorId,
    keys: &OperatorKeys,
    admin: &IssuedKey,
) -> Result<(), Rejection> {
    let record = &admin.record;
    let person = matches!(record.principal.workload, Workload::User { .. });
    if record.principal.operator != *operator || !person {
        return refuse(ErrorCode::InvalidArgument, "its first keys belong to its own people");
    }
    match record.role {
        Role::FederationAdmin | Role::OperatorAdmin | Role::Auditor | Role::Monitor => {}
        Role::TenantAdmin(_)
        | Role::TenantUser(_)
        | Role::Archivist(_)
        | Role::Registrar(_)
        | Role::Agent
        | Role::Member => {
            return refuse(ErrorCode::InvalidArgument, "its first keys are administrators'");
        }
    }
    if record.expires <= change.now() {
        return refuse(ErrorCode::InvalidArgument, "expires: must lie ahead");
    }
    key::no_login_holds(change, &record.principal)?;
    key::not_taken_back(change, record)?;
    let bytes = super::bytes_of(record);
    keys.issued(Purpose::KeyRecord, &bytes, &admin.issuer).map_err(|_bad| {
        Rejection::new(ErrorCode::SignatureInvalid, "issuer's signature under a first key")
    })
}

/// The company's sites and administrators.
pub(super) fn come(change: &mut Change<'_>, newcomer: &Newcomer) {
    for site in &newcomer.sites {
        let row = Site {
            operator: site.operator.clone(),
            area: site.area,
            display_name: site.display_name.clone(),
            revoked: false,
            revision: change.revision,
        };
        change.put_site(&site.site, row);
    }
    register(change, &newcomer.admins);
}

/// Keys that were judged.
pub(super) fn register(change: &mut Change<'_>, keys: &[IssuedKey]) {
    for IssuedKey { record, issuer } in keys {
        let (role, expires) = (record.role.clone(), record.expires);
        let voucher = Some(Voucher::Issuer(*issuer));
        let row = Key { role, expires, voucher, certificate: None, revoked: false };
        change.put_key((record.principal.clone(), record.public_key), row);
    }
}

/// Whether nothing of a company is left that its going would strand.
pub(super) fn may_go(change: &Change<'_>, operator: &OperatorId) -> Result<(), Rejection> {
    let federation = change.federation()?;
    if federation.bundle.keys(operator).is_none() {
        return Err(not_found(format!("operator {operator}")));
    }
    let members = federation.members.values().filter(|m| m.operator == *operator);
    let members: Vec<_> = members.map(|m| format!("member {}", m.member)).collect();
    let sites = change.state.sites.iter().filter(|(_, s)| s.operator == *operator && !s.revoked);
    let sites: Vec<_> = sites.map(|(id, _)| format!("site {id}")).collect();
    let nodes = change.state.nodes.iter();
    let nodes = nodes.filter(|(_, n)| n.operator == *operator && !n.placements.is_empty());
    let nodes: Vec<_> = nodes.map(|(id, _)| format!("work on node {id}")).collect();
    let named = |left: &[String], remedy: &str| {
        let Some(first) = left.first() else { return Ok(()) };
        let why = format!("{first} and {} more are left: {remedy}", left.len().saturating_sub(1));
        refuse(ErrorCode::OperatorInUse, why)
    };
    named(&members, "`sekisho member remove`")?;
    named(&sites, "`sekisho site revoke`")?;
    named(&nodes, "wait until it has ended")
}

/// Its people's keys, and what they have queued: nobody vouches for it any more. What runs goes on.
pub(super) fn go(change: &mut Change<'_>, operator: &OperatorId) {
    let own = change.state.keys.iter().filter(|((p, _), _)| p.operator == *operator);
    let own: Vec<_> = own.map(|(key, _)| key.clone()).collect();
    for key in own {
        change.drop_key(key);
    }
    landmark::take_out(change, |id| id.operator == *operator);
    offer::forget_vetoes(change, |(of, _)| of == operator);
    let why = "the operator of its submitter left the federation";
    job::fail_queued(change, why, |job| job.submitter.operator == *operator);
}

/// Whether keys may be replaced, or given up.
pub(super) fn may_rotate(
    change: &Change<'_>,
    operator: &OperatorId,
    rotation: &Rotation,
) -> Result<(), Rejection> {
    let federation = change.federation()?;
    let keys = federation.bundle.keys(operator);
    let keys = keys.ok_or_else(|| not_found(format!("operator {operator}")))?;
    let under_way = |wanted: bool| {
        if keys.rotating() == wanted {
            return Ok(());
        }
        let is = if wanted { "no" } else { "a" };
        refuse(ErrorCode::WrongPhase, format!("{is} rotation of {operator} is under way"))
    };
    match rotation {
        Rotation::Begin { root } => {
            under_way(false)?;
            root.as_ref().map_or(Ok(()), |root| check_root(root))
        }
        Rotation::Abort | Rotation::Finish { accept_stranded: true } => under_way(true),
        Rotation::Finish { accept_stranded: false } => {
            under_way(true)?;
            overlapped(change, operator)?;
            nothing_stands_on_the_old(change, keys)
        }
    }
}

fn overlapped(change: &Change<'_>, operator: &OperatorId) -> Result<(), Rejection> {
    let begun = change.federation()?.rotations.get(operator).copied().unwrap_or_default();
    let least = u64::try_from(OVERLAP.as_millis()).unwrap_or(u64::MAX);
    let until = begun.plus_ms(least);
    if change.now() >= until {
        return Ok(());
    }
    let why =
        format!("old and new keys count together until {until}, as hosts renew by themselves");
    refuse(ErrorCode::KeyInUse, why)
}

/// Site tags in force and registered keys verify under the new keys alone.
fn nothing_stands_on_the_old(change: &Change<'_>, keys: &OperatorKeys) -> Result<(), Rejection> {
    let settled = keys.settled(true);
    let stranded: Vec<String> = stranded_keys(change, &settled)
        .map(|(principal, _)| format!("a key of {principal}"))
        .chain(stranded_tags(change, &settled.operator, &settled.site_tags))
        .collect();
    let Some(first) = stranded.first() else { return Ok(()) };
    let more = stranded.len().saturating_sub(1);
    refuse(ErrorCode::KeyInUse, format!("{first} and {more} more stand on an old key of it"))
}

/// Registered keys of an operator, not taken back, that only an issuer other than these vouched for, itself or through a
/// registrar.
fn stranded_keys<'c>(
    change: &'c Change<'_>,
    keys: &'c OperatorKeys,
) -> impl Iterator<Item = (Principal, PublicKey)> + 'c {
    let own = change.state.keys.iter().filter(|((p, _), _)| p.operator == keys.operator);
    let stranded = own.filter(|((principal, key), row)| {
        let record = KeyRecord {
            principal: principal.clone(),
            role: row.role.clone(),
            public_key: *key,
            expires: row.expires,
        };
        // A key of the genesis is borne by every operator's signature there.
        !row.revoked
            && row.expires > change.now()
            && row.voucher.as_ref().is_some_and(|voucher| voucher.check(keys, &record).is_err())
    });
    stranded.map(|(key, _)| key.clone())
}

fn stranded_tags<'c>(
    change: &'c Change<'_>,
    operator: &'c OperatorId,
    keys: &'c Keys<PublicKey>,
) -> impl Iterator<Item = String> + 'c {
    let now = change.now();
    let cluster = change.state.federation().map(|federation| &federation.cluster);
    let own = change.state.nodes.iter().filter(move |(_, node)| {
        node.operator == *operator && !node.revoked && node.tag.expires > now
    });
    let stranded = own.filter(move |(id, node)| {
        cluster.is_none_or(|cluster| {
            let subject = Subject { cluster, operator, node: id, node_key: &node.node_key };
            node.signed_tag.verify(keys, subject).is_err()
        })
    });
    stranded.map(|(id, _)| format!("the tag of node {id}"))
}

/// Once keys count no longer, what they alone vouched for does not either: a stolen issuer may have made it.
pub(super) fn rotate(
    change: &mut Change<'_>,
    operator: &OperatorId,
    rotation: &Rotation,
    next: &EndorserBundle,
) {
    match rotation {
        Rotation::Begin { .. } => return,
        Rotation::Finish { .. } | Rotation::Abort => {}
    }
    let Some(keys) = next.keys(operator) else { return };
    let stranded: Vec<_> = stranded_keys(change, keys).collect();
    for key in stranded {
        change.drop_key(key);
    }
    change.effects.events.insert(Event::Plannable);
}
