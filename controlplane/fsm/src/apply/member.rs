//! Controllers: who takes part, who votes, and where each is found.
//!
//! Must hold: R5 and D2. Each standing is judged here, on every replica: no member outside Japan or at another operator's
//! site, no operator with a quorum for itself. An id that was used is never used again. Who comes or goes does so with a
//! step of the endorser bundle, which `bundle` judges (D4).
//! Does not know: the Raft group itself. This says what it shall be; the leader's duty makes it so.

use super::bundle::amend;
use super::change::{Change, not_found};
use super::site::area_rejection;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Federation, Standing};
use sekisho_evidence::genesis::{GenesisMember, quorum_holder};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::jurisdiction::Area;
use std::collections::BTreeSet;

/// Members that take part at once: more sites than a quorum across Japan has use for, few enough that each may tell each
/// other every second and that the signatures of all fit into one note ([`sekisho_evidence::checkpoint::NOTE_MAX`]).
pub(super) const MEMBERS_MAX: usize = 16;

fn refuse<T>(code: ErrorCode, why: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

/// Whether a controller may be taken in.
pub(super) fn may_come(change: &Change<'_>, member: &GenesisMember) -> Result<(), Rejection> {
    let (id, federation) = (member.member, change.federation()?);
    match federation.standing(id) {
        None => {}
        Some(Standing::Removed) => {
            return refuse(ErrorCode::MemberIdUsed, format!("member {id} was removed"));
        }
        Some(Standing::Learner | Standing::Voter) => {
            return refuse(ErrorCode::AlreadyExists, format!("member {id} takes part already"));
        }
    }
    if federation.members.len() >= MEMBERS_MAX {
        return refuse(ErrorCode::TooLarge, format!("at most {MEMBERS_MAX} members"));
    }
    let numbers = federation.incarnation.members();
    if !numbers.contains(&id.0) {
        let why = format!(
            "members of this incarnation have numbers {} to {}",
            numbers.start(),
            numbers.end()
        );
        return refuse(ErrorCode::InvalidArgument, why);
    }
    check_address(federation, id, &member.address)?;
    stands_well(change, &member.site)?;
    let site = change.state.sites.get(&member.site);
    if site.is_none_or(|site| site.operator != member.operator) {
        let why = format!("site {} is not one of {}", member.site, member.operator);
        return refuse(ErrorCode::InvalidArgument, why);
    }
    one_more_operator(federation, &member.operator)
}

/// Takes a controller in as a learner.
pub(super) fn come(federation: &mut Federation, member: &GenesisMember) {
    federation.standings.insert(member.member, Standing::Learner);
    federation.members.insert(member.member, member.clone());
}

/// Gives a member its vote or takes it. What is so already stays so.
pub(super) fn set_voter(
    change: &mut Change<'_>,
    id: MemberId,
    voter: bool,
    accept_quorum_in_one_hand: bool,
) -> Outcome {
    change.authorize(Verb::ChangeMembers, Target::Federation)?;
    let federation = change.federation()?;
    let (site, standing) = (in_it(federation, id)?.site.clone(), federation.standing(id));
    let wanted = if voter { Standing::Voter } else { Standing::Learner };
    if standing == Some(wanted) {
        return Ok(Reply::Done);
    }
    let mut voters = federation.voters();
    if voter {
        stands_well(change, &site)?;
        voters.insert(id);
    } else {
        voters.remove(&id);
    }
    may_decide(federation, &voters, None, accept_quorum_in_one_hand)?;
    amend(change, |federation| {
        federation.standings.insert(id, wanted);
    });
    Ok(Reply::Done)
}

/// Moves a member to another address. Whoever answers there has to be the same member.
pub(super) fn set_address(change: &mut Change<'_>, id: MemberId, address: &str) -> Outcome {
    change.authorize(Verb::ChangeMembers, Target::Federation)?;
    let federation = change.federation()?;
    in_it(federation, id)?;
    check_address(federation, id, address)?;
    amend(change, |federation| {
        if let Some(member) = federation.members.get_mut(&id) {
            address.clone_into(&mut member.address);
        }
    });
    Ok(Reply::Done)
}

/// Whether a controller may go, whether it lives or not.
pub(super) fn may_go(change: &Change<'_>, id: MemberId) -> Result<(), Rejection> {
    let federation = change.federation()?;
    in_it(federation, id)?;
    let mut voters = federation.voters();
    if voters.remove(&id) {
        may_decide(federation, &voters, Some(id), false)?;
    }
    let signers: BTreeSet<_> =
        federation.members.values().filter(|m| m.member != id).map(|m| &m.operator).collect();
    let k = federation.bundle.k;
    if u32::try_from(signers.len()).is_ok_and(|signers| signers < k) {
        let why = format!(
            "without member {id} members of {} operator(s) could sign checkpoints, {k} are needed",
            signers.len()
        );
        return refuse(ErrorCode::MemberNeeded, why);
    }
    Ok(())
}

/// Takes a controller out for good.
pub(super) fn go(federation: &mut Federation, id: MemberId) {
    federation.standings.insert(id, Standing::Removed);
    federation.members.remove(&id);
}

fn in_it(federation: &Federation, id: MemberId) -> Result<&GenesisMember, Rejection> {
    if federation.standing(id) == Some(Standing::Removed) {
        return refuse(ErrorCode::WrongPhase, format!("member {id} was removed"));
    }
    federation.members.get(&id).ok_or_else(|| not_found(format!("member {id}")))
}

/// `HOST:PORT`.
pub(super) fn check_form(address: &str) -> Result<(), Rejection> {
    Change::text(address, "address")?;
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let parts = address.rsplit_once(':').filter(|(host, at)| !host.is_empty() && port(at));
    if parts.is_none() || address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse(ErrorCode::InvalidArgument, "address: must be HOST:PORT");
    }
    Ok(())
}

/// Well formed, and no other member is found there.
fn check_address(federation: &Federation, id: MemberId, address: &str) -> Result<(), Rejection> {
    check_form(address)?;
    match federation.members.values().find(|m| m.address == address && m.member != id) {
        Some(other) => {
            let why = format!("member {} is found at {address}", other.member);
            refuse(ErrorCode::AlreadyExists, why)
        }
        None => Ok(()),
    }
}

/// The site of a member: registered, not revoked, in Japan on this day (R5, D2).
pub(super) fn stands_well(change: &Change<'_>, id: &SiteId) -> Result<(), Rejection> {
    let site = change.state.sites.get(id).ok_or_else(|| not_found(format!("site {id}")))?;
    if site.revoked {
        return refuse(ErrorCode::NodeRevoked, format!("site {id} was revoked"));
    }
    if !Area::Japan.contains(site.area) {
        return refuse(ErrorCode::ResidencyOutsideJp, format!("site {id}"));
    }
    site.area.valid_on(change.today()).map_err(|error| area_rejection(&error))
}

/// R5: with two operators a quorum in one hand may have been accepted; a third one ends that.
fn one_more_operator(federation: &Federation, newcomer: &OperatorId) -> Result<(), Rejection> {
    let present = federation.members.values().map(|m| &m.operator);
    let operators: BTreeSet<_> = present.chain([newcomer]).collect();
    let voting = federation.voters();
    let of = voting.iter().filter_map(|id| Some(&federation.members.get(id)?.operator));
    match quorum_holder(&of.collect::<Vec<_>>()) {
        Some(holder) if operators.len() >= 3 => refuse(
            ErrorCode::MemberQuorumInOneHand,
            format!(
                "{} holds a quorum, which a third operator ends: demote one of its members first",
                holder.operator
            ),
        ),
        _ => Ok(()),
    }
}

/// R5: somebody votes, and no operator decides alone. `without` leaves the federation with this change.
fn may_decide(
    federation: &Federation,
    voters: &BTreeSet<MemberId>,
    without: Option<MemberId>,
    accepted: bool,
) -> Result<(), Rejection> {
    if voters.is_empty() {
        return refuse(ErrorCode::MemberNeeded, "no voter would be left");
    }
    let holder = |voters: &BTreeSet<MemberId>| {
        let of = voters.iter().filter_map(|id| Some(&federation.members.get(id)?.operator));
        quorum_holder(&of.collect::<Vec<_>>())
    };
    let Some(found) = holder(voters) else { return Ok(()) };
    let left = federation.members.values().filter(|m| Some(m.member) != without);
    let operators: BTreeSet<_> = left.map(|m| &m.operator).collect();
    let few = operators.len() < 3;
    // A change that leaves the quorum in the hand that has it already takes nothing from anybody.
    let before = holder(&federation.voters()).is_some_and(|had| had.operator == found.operator);
    if few && (accepted || before) {
        return Ok(());
    }
    let remedy = if few && without.is_none() {
        "; with fewer than three operators it can be accepted: --accept-quorum-in-one-hand"
    } else {
        ""
    };
    let (operator, votes, of, quorum) = (found.operator, found.votes, found.of, found.quorum);
    let why = format!(
        "{operator} would have {votes} of {of} votes, and {quorum} decide; \
         promote a member of another operator first, or demote one of {operator}{remedy}"
    );
    refuse(ErrorCode::MemberQuorumInOneHand, why)
}
