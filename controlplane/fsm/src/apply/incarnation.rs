//! A new incarnation: the federation begins anew from this state, with other members, because too few of its own are left.
//!
//! The entry is applied outside any log, by each founder for itself (`sekisho-controller found`), to the state of the backup
//! that the agreement names; the log goes on behind it. It leaves a record like any other entry, so an auditor replays it.
//!
//! Must hold (A3, D4, P5, P7, R5, R6): it is signed by every company that has a founder, and those are k; the companies
//! that did not sign have no quorum left in the incarnation before. What an older state may have forgotten does not come
//! back by itself: administrators' keys count only if they are named, join tokens are void, every host is cordoned, and
//! no job of before is ever placed again, because nobody knows where a lost grant of it may run.
//! Does not check what apply cannot see: the image's digest and the files that it came from (`found` does).

use super::bundle::{amend, make_so, rejection, room_for};
use super::change::Change;
use super::{
    Source, approval, bytes_of, job, landmark, member, node, operator, preemption, site, tasks,
};
use crate::command::Command;
use crate::entry::Entry;
use crate::event::Event;
use crate::outcome::{Applied, Outcome, Rejection, Reply};
use crate::state::{Federation, Key, Standing, State};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::quorum_holder;
use sekisho_evidence::opening::Opening;
use sekisho_evidence::package::{added, opening};
use sekisho_evidence::terms::Agreement;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, NodeId, OperatorId, PublicKey, RequestId};
use sekisho_types::principal::{MemberIdentity, Principal, Role};
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};

/// Largest opening, bytes: its record has to fit beside every other, and thousands of hosts that are taken away into it.
const OPENING_MAX: usize = 256 * 1024;

fn refuse<T>(code: ErrorCode, why: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

impl State {
    /// Opens the incarnation that `agreement` tells of, on the state that it names. `base` are the steps of the endorser
    /// bundle that this state has forgotten. Each founder gets the same state by this.
    ///
    /// # Errors
    /// The [`Rejection`]; the state is then of no use.
    pub fn open_incarnation(
        &mut self,
        base: &[Agreement],
        agreement: &Agreement,
    ) -> Result<Applied, Rejection> {
        let (revision, entry) = entry(base, agreement)?;
        let applied = self.found(revision, &entry);
        applied.outcome.clone().map(|_done| applied)
    }
}

fn told(agreement: &Agreement) -> Result<&Opening, Rejection> {
    let none = || Rejection::new(ErrorCode::InvalidArgument, "the agreement opens no incarnation");
    opening(agreement).ok_or_else(none)
}

/// The entry, and its place in the log. All of it follows from the agreement, so that every founder has the same.
pub(super) fn entry(
    base: &[Agreement],
    agreement: &Agreement,
) -> Result<(Revision, Entry), Rejection> {
    let (opening, bundle) = (told(agreement)?, &agreement.signed.bundle);
    let digest = Digest::of(&bytes_of(bundle));
    let mut request = [0; 16];
    request.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
    let entry = Entry {
        cluster: bundle.cluster,
        incarnation: bundle.incarnation,
        proposed_at: opening.opened,
        actor: opener(opening)?,
        request: RequestId(request),
        // The lowest: whatever level the state has, the entry is read.
        feature_level: 0,
        command: Command::OpenIncarnation {
            base: base.to_vec(),
            agreement: Box::new(agreement.clone()),
        },
        signatures: Vec::new(),
        payload: Vec::new(),
    };
    Ok((Revision(opening.restored.last.index.saturating_add(1)), entry))
}

/// The first founder: in its name the entry is written.
fn opener(opening: &Opening) -> Result<Principal, Rejection> {
    let none = || Rejection::new(ErrorCode::InvalidArgument, "an incarnation needs a founder");
    let first = opening.founders.first().ok_or_else(none)?;
    let identity = MemberIdentity {
        operator: first.operator.clone(),
        site: first.site.clone(),
        member: first.member,
    };
    Ok(identity.principal())
}

/// Makes an opening so.
pub(super) fn open(change: &mut Change<'_>, base: &[Agreement], agreement: &Agreement) -> Outcome {
    if change.source == Source::Log {
        let why =
            "an incarnation is opened by `sekisho-controller found`, not by an entry of the log";
        return refuse(ErrorCode::WrongPhase, why);
    }
    let opening = told(agreement)?;
    if bytes_of(&change.entry.command).len() > OPENING_MAX {
        return refuse(ErrorCode::TooLarge, format!("an opening has at most {OPENING_MAX} bytes"));
    }
    same_state(change, opening)?;
    nobody_goes_on(change, base, opening)?;
    check_founders(change, opening, &agreement.signed.bundle)?;
    check_keys(change, opening, &agreement.signed.bundle)?;
    // Signatures last: whoever prepares an opening asks whether these are all that it lacks.
    let before = walk(change, base, agreement)?;
    let shown = opening.highest(&before);
    shown.map_err(|error| Rejection::new(ErrorCode::SignatureInvalid, error.to_string()))?;

    base.iter().for_each(|step| make_so(change, step));
    forget(change, opening);
    approval::lapse(change);
    begin(change, opening, agreement);
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// The bundle that the opening follows: that of the state, or the last of the steps that the state has forgotten.
fn walk(
    change: &Change<'_>,
    base: &[Agreement],
    agreement: &Agreement,
) -> Result<EndorserBundle, Rejection> {
    let federation = change.federation()?;
    let mut held = &federation.bundle;
    for step in base {
        if opening(step).is_some() {
            return refuse(ErrorCode::BundleMismatch, "one incarnation is opened at a time");
        }
        step.follows(held).map_err(rejection)?;
        held = &step.signed.bundle;
    }
    agreement.follows(held).map_err(rejection)?;
    room_for(federation, &base.iter().chain([agreement]).collect::<Vec<_>>())?;
    Ok(held.clone())
}

/// The state is the one that was agreed on, as far as it knows itself.
fn same_state(change: &Change<'_>, opening: &Opening) -> Result<(), Rejection> {
    let head = change.state.audit_head();
    let same_log = head.is_ok_and(|head| head == opening.restored.head);
    let next = opening.restored.last.index.saturating_add(1) == change.revision.0;
    if same_log && next && change.entry.actor == opener(opening)? {
        return Ok(());
    }
    refuse(ErrorCode::SnapshotMismatch, "the agreement opens an incarnation on another state")
}

/// R6: the incarnation before cannot decide anything any more. Who signs says that all its own members have ended; what
/// the others have is no quorum, whether those vote that came after this state or not.
fn nobody_goes_on(
    change: &Change<'_>,
    base: &[Agreement],
    opening: &Opening,
) -> Result<(), Rejection> {
    let (federation, openers) = (change.federation()?, opening.openers());
    let known = federation.voters();
    let known = known.iter().filter_map(|id| Some((*id, &federation.members.get(id)?.operator)));
    let mut votes: BTreeMap<MemberId, &OperatorId> = known.collect();
    for later in [false, true] {
        if later {
            votes.extend(base.iter().filter_map(added).map(|m| (m.member, &m.operator)));
        }
        let others: Vec<_> =
            votes.values().filter(|operator| !openers.contains(*operator)).collect();
        if others.len() <= votes.len() / 2 {
            continue;
        }
        let named: BTreeSet<_> = others.iter().map(|operator| operator.as_str()).collect();
        let named: Vec<_> = named.into_iter().collect();
        let why = format!(
            "{} of {} votes could still decide without those who open it: {} must have a founder, too",
            others.len(),
            votes.len(),
            named.join(", ")
        );
        return refuse(ErrorCode::IncarnationQuorum, why);
    }
    Ok(())
}

fn check_founders(
    change: &Change<'_>,
    opening: &Opening,
    bundle: &EndorserBundle,
) -> Result<(), Rejection> {
    let founders = &opening.founders;
    if founders.len() > member::MEMBERS_MAX {
        return refuse(ErrorCode::TooLarge, format!("at most {} founders", member::MEMBERS_MAX));
    }
    for (at, founder) in founders.iter().enumerate() {
        member::check_form(&founder.address)?;
        member::stands_well(change, &founder.site)?;
        let site = change.state.sites.get(&founder.site);
        let own = site.is_some_and(|site| site.operator == founder.operator);
        if !own || opening.withdrawn.sites.contains(&founder.site) {
            let why = format!("site {} is not one of {}", founder.site, founder.operator);
            return refuse(ErrorCode::InvalidArgument, why);
        }
        if founders.iter().skip(at.saturating_add(1)).any(|f| f.address == founder.address) {
            let why = format!("two founders are found at {}", founder.address);
            return refuse(ErrorCode::AlreadyExists, why);
        }
    }
    let operators = bundle.operators().count();
    let of: Vec<_> = founders.iter().map(|founder| &founder.operator).collect();
    match quorum_holder(&of) {
        Some(holder) if operators >= 3 || !opening.accept_quorum_in_one_hand => {
            let why = format!("{} would decide alone", holder.operator);
            refuse(ErrorCode::MemberQuorumInOneHand, why)
        }
        Some(_) | None => Ok(()),
    }
}

/// People's keys are vouched for by their own companies, and each company that opens has somebody to act for it.
fn check_keys(
    change: &Change<'_>,
    opening: &Opening,
    bundle: &EndorserBundle,
) -> Result<(), Rejection> {
    for key in &opening.keys {
        let operator = &key.record.principal.operator;
        let unknown = || Rejection::new(ErrorCode::OperatorUnknown, operator.as_str());
        operator::may_register(change, operator, bundle.keys(operator).ok_or_else(unknown)?, key)?;
        if opening.withdrawn.keys.contains(&key.record.public_key) {
            let why = format!("the key of {} is named and taken away", key.record.principal);
            return refuse(ErrorCode::InvalidArgument, why);
        }
    }
    let acts = |operator: &&&OperatorId| {
        opening.keys.iter().any(|key| {
            key.record.principal.operator == ***operator && key.record.role == Role::FederationAdmin
        })
    };
    let openers = opening.openers();
    match openers.iter().find(|operator| !acts(operator)) {
        Some(operator) => refuse(
            ErrorCode::InvalidArgument,
            format!("{operator} names no federation-admin: nobody could act for it"),
        ),
        None => Ok(()),
    }
}

/// Whether keys in this role end where an incarnation begins.
pub(super) fn ends_with(role: &Role) -> bool {
    match role {
        // What they may widen is their own tenant's, or nothing.
        Role::TenantAdmin(_) | Role::TenantUser(_) | Role::Monitor => false,
        Role::FederationAdmin
        | Role::OperatorAdmin
        | Role::Auditor
        | Role::Archivist(_)
        | Role::Registrar(_)
        | Role::Agent
        | Role::Member => true,
    }
}

/// Takes the row of a key out. One of a login stays, as taken back, until it would have ended: its certificate, which ends
/// with it, still says that it counts.
fn end(change: &mut Change<'_>, id: (Principal, PublicKey)) {
    if change.state.keys.get(&id).is_none_or(|row| row.certificate.is_none()) {
        return change.drop_key(id);
    }
    change.state.keys.update(&id, |row| row.revoked = true);
    change.effects.events.insert(Event::Key(Box::new(id)));
}

/// Takes away what must not come back with an older state (P5).
fn forget(change: &mut Change<'_>, opening: &Opening) {
    // A company goes when its sites are revoked, so who left in the lost tail had none.
    let left = |operator: &OperatorId| {
        change.state.federation().is_none_or(|held| held.bundle.keys(operator).is_none())
    };
    let sites = change.state.sites.iter();
    let sites =
        sites.filter(|(id, row)| opening.withdrawn.sites.contains(*id) || left(&row.operator));
    let sites: Vec<_> = sites.filter(|(_, row)| !row.revoked).map(|(id, _)| id.clone()).collect();
    sites.iter().for_each(|id| site::take_out(change, id));
    let nodes = opening.withdrawn.nodes.iter().filter(|id| change.state.nodes.contains(id));
    let nodes: Vec<NodeId> = nodes.cloned().collect();
    nodes.iter().for_each(|id| node::take_out(change, id));
    let lapses = |key: &PublicKey, row: &Key| {
        // One that was taken back stays so.
        !row.revoked && (ends_with(&row.role) || opening.withdrawn.keys.contains(key))
    };
    let keys = change.state.keys.iter().filter(|((_, key), row)| lapses(key, row));
    let keys: Vec<_> = keys.map(|(id, _)| id.clone()).collect();
    for id in keys {
        end(change, id);
    }
    operator::register(change, &opening.keys);
    // A token of before may have been used in the tail that is lost.
    let tokens: Vec<_> = change.state.tokens.iter().map(|(token, _)| *token).collect();
    for token in &tokens {
        change.state.tokens.remove(token);
    }
}

/// The founders take over; hosts and jobs of before wait for what people say.
fn begin(change: &mut Change<'_>, opening: &Opening, agreement: &Agreement) {
    let (revision, founders) = (change.revision, &opening.founders);
    amend(change, |federation: &mut Federation| {
        federation.incarnation = agreement.signed.bundle.incarnation;
        federation.opened = revision;
        federation.standings.values_mut().for_each(|standing| *standing = Standing::Removed);
        let voters = founders.iter().map(|founder| (founder.member, Standing::Voter));
        federation.standings.extend(voters);
        federation.members =
            founders.iter().map(|f| (f.member, f.clone())).collect::<BTreeMap<MemberId, _>>();
    });
    make_so(change, agreement);
    // One that was removed in the tail that is lost must not come back; transcripts are of the life before anyway.
    landmark::take_out(change, |_| true);
    let told: Vec<NodeId> = change.state.nodes.iter().map(|(id, _)| id.clone()).collect();
    for id in told {
        change.state.nodes.update(&id, |node| {
            node.schedulable = false;
            // Cordoned it is; what still runs there is stopped by nobody's word of before.
            node.drain = None;
            node.revision = revision;
        });
        change.effects.events.insert(Event::Node(id.clone()));
        // Its agent accepts only sets of this incarnation from now on.
        change.effects.touched.insert(id);
    }
    preemption::lapse_all(change);
    job::fail_queued(change, tasks::BEGAN_ANEW, |_job| true);
}
