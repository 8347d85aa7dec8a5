//! What jobs run that may lie inside their area alone: taken from whoever submits, kept, given to the hosts there.
//!
//! Must hold: this member takes, keeps and gives such a payload only while it may keep it by the rules in force, as applied
//! state has them ([`State::may_keep`]); what it says it keeps is on its disk; what it keeps is bounded, for each tenant and
//! in all (L4). No entry, snapshot or backup has any of it.
//! How members of one area come to have the same, and when one is forgotten: `holding/duty.rs`.
//!
//! Does not hold: a payload that every keeper has lost is lost. It is then told so (`PAYLOAD_NOT_HERE`), and its owner
//! uploads it anew.

mod duty;
#[cfg(test)]
mod tests;

use crate::call::not_found;
use crate::core::{Core, federation};
use crate::journal::refuses;
use crate::limit::{ASK_PAYLOADS, HELD_BYTES, HELD_BYTES_OF_TENANT, HELD_LEAST, HELD_MAX};
use crate::replica::ArchiveError;
use futures::StreamExt as _;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::State;
use sekisho_fsm::state::Job;
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_store::HeldRow;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, TenantId};
use sekisho_types::job::JobFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where they lie: beside consensus, on this member's disk. Times are of the state clock, owners are tenants.
pub trait Holding: Send + Sync + fmt::Debug {
    /// Keeps one. Durable on return.
    fn keep(
        &self,
        digest: Digest,
        at_ms: u64,
        owner: String,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<(), ArchiveError>>;

    /// The bytes of one, if it is kept.
    fn kept(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, ArchiveError>>;

    /// Forgets some.
    fn forget(&self, digests: Vec<Digest>) -> BoxFuture<'_, Result<(), ArchiveError>>;

    /// All that is kept.
    fn rows(&self) -> BoxFuture<'_, Result<Vec<(Digest, HeldRow)>, ArchiveError>>;
}

/// What this member keeps, without the bytes. Read from the disk once.
#[derive(Debug, Default)]
pub(crate) struct Index {
    rows: Option<BTreeMap<Digest, HeldRow>>,
    /// Those that an accepted job has named since this member runs: forgotten as soon as none does.
    named: BTreeSet<Digest>,
}

fn stored(error: &ArchiveError) -> ApiError {
    ApiError::new(ErrorCode::StorageFailed, error.to_string())
}

/// What a payload counts against the bounds: small ones cost more than their bytes.
fn weight(len: usize) -> usize {
    len.max(HELD_LEAST)
}

impl Index {
    /// The rows, read first if they were not.
    async fn rows(
        &mut self,
        holding: &dyn Holding,
    ) -> Result<&mut BTreeMap<Digest, HeldRow>, ApiError> {
        if self.rows.is_none() {
            let rows = holding.rows().await.map_err(|error| stored(&error))?;
            self.rows = Some(rows.into_iter().collect());
        }
        Ok(self.rows.get_or_insert_default())
    }
}

/// Whether there is room for one more of this tenant.
fn room(rows: &BTreeMap<Digest, HeldRow>, owner: &str, len: usize) -> Result<(), ApiError> {
    let sum = |of: &dyn Fn(&HeldRow) -> bool| {
        let counted = rows.values().filter(|row| of(row)).map(|row| weight(row.len));
        counted.fold(weight(len), usize::saturating_add)
    };
    let of_tenant = sum(&|row| row.owner == owner);
    if of_tenant > HELD_BYTES_OF_TENANT {
        let why = format!("{owner} has {HELD_BYTES_OF_TENANT} bytes of such payloads here already");
        return Err(ApiError::new(ErrorCode::TooLarge, why));
    }
    if sum(&|_row| true) > HELD_BYTES {
        let why = format!("this member keeps {HELD_BYTES} bytes of such payloads already");
        return Err(ApiError::new(ErrorCode::Overloaded, why));
    }
    Ok(())
}

impl Core {
    fn own<'s>(&self, state: &'s State) -> Result<&'s GenesisMember, ApiError> {
        let own = federation(state)?.members.get(&self.identity.member);
        own.ok_or_else(|| not_found(&self.identity.member.name()))
    }

    /// Keeps a payload for a job that is to come, durably.
    pub(crate) async fn take_payload(&self, state: &State, new: NewJob) -> Result<(), ApiError> {
        let NewJob { facts, payload } = new;
        let own = self.own(state)?;
        if !state.may_keep(&facts, own) {
            metrics::counter!("sekisho_api_payload_uploads_total", "result" => "outside")
                .increment(1);
            let why = format!(
                "site {} is not inside the job's area, or the payload is not sealed to it",
                own.site
            );
            return Err(self.with_keeper(
                state,
                &facts,
                ApiError::new(ErrorCode::PayloadOutside, why),
            ));
        }
        let owner = facts.id.tenant.clone();
        self.hold(state, facts.payload, &owner, payload.to_vec()).await?;
        metrics::counter!("sekisho_api_payload_uploads_total", "result" => "taken").increment(1);
        Ok(())
    }

    /// Puts one on the disk; one that is there is not written again.
    async fn hold(
        &self,
        state: &State,
        digest: Digest,
        owner: &TenantId,
        bytes: Vec<u8>,
    ) -> Result<(), ApiError> {
        let mut index = self.held.lock().await;
        let rows = index.rows(&*self.holding).await?;
        if !rows.contains_key(&digest) {
            room(rows, owner.as_str(), bytes.len())?;
        }
        // An earlier upload of the same counts from now.
        let row = HeldRow { at_ms: state.clock().0, owner: owner.to_string(), len: bytes.len() };
        let kept = self.holding.keep(digest, row.at_ms, row.owner.clone(), bytes).await;
        kept.map_err(|error| stored(&error))?;
        rows.insert(digest, row);
        // Another job of the same content may be on its way.
        index.named.remove(&digest);
        Ok(())
    }

    /// Adds where to ask instead.
    fn with_keeper(&self, state: &State, facts: &JobFacts, error: ApiError) -> ApiError {
        let keepers = state.keepers(facts);
        let others = keepers.iter().filter(|member| member.member != self.identity.member);
        let now = self.clock.boottime_ns();
        let hears = |member: &GenesisMember| {
            self.peers.of(member.member, now).is_some_and(|(_, lately)| lately)
        };
        let known = others.clone().find(|member| hears(member)).or_else(|| others.clone().next());
        match known {
            Some(member) => {
                let message =
                    format!("{}; ask {} at {}", error.message, member.site, member.address);
                ApiError { message, ..error }.with("endpoint", member.address.clone())
            }
            None => error,
        }
    }

    /// What a host of the area runs.
    pub(crate) async fn give_payload(
        &self,
        state: &State,
        facts: &JobFacts,
    ) -> Result<Vec<u8>, ApiError> {
        let own = self.own(state)?;
        let refuse = |why: String| {
            self.with_keeper(state, facts, ApiError::new(ErrorCode::PayloadNotHere, why))
        };
        if !state.may_keep(facts, own) {
            return Err(refuse(format!("site {} is outside the job's area", own.site)));
        }
        let kept = self.holding.kept(facts.payload).await.map_err(|error| stored(&error))?;
        kept.ok_or_else(|| refuse(format!("member {} does not keep the payload", own.member)))
    }

    /// Whether this member keeps each of these.
    pub(crate) async fn holds(&self, digests: &[Digest]) -> Result<Vec<bool>, ApiError> {
        let mut index = self.held.lock().await;
        let rows = index.rows(&*self.holding).await?;
        Ok(digests.iter().map(|digest| rows.contains_key(digest)).collect())
    }

    /// Which of these payloads a member keeps; none, if it does not answer.
    async fn ask(&self, member: &GenesisMember, digests: &[Digest]) -> BTreeSet<Digest> {
        let held = if member.member == self.identity.member {
            self.holds(digests).await
        } else {
            self.ask_peer(member, digests).await
        };
        let held = held.unwrap_or_else(|error| {
            tracing::debug!(member = %member.member, %error, "payloads not asked for");
            Vec::new()
        });
        let known = digests.iter().zip(held).filter(|(_, held)| *held);
        known.map(|(digest, _)| *digest).collect()
    }

    async fn ask_peer(
        &self,
        member: &GenesisMember,
        digests: &[Digest],
    ) -> Result<Vec<bool>, ApiError> {
        let digests = digests.iter().map(|digest| digest.0.to_vec().into()).collect();
        let mut client = self.links.client(member)?;
        let request = internal::AskPayloadsRequest { digests };
        let answer = within(Deadline::after(ASK_PAYLOADS), client.ask_payloads(request)).await;
        let answer = answer
            .map_err(|passed| ApiError::new(ErrorCode::Deadline, passed.to_string()))?
            .map_err(|status| ApiError::from_status(&status))?;
        Ok(answer.into_inner().held)
    }

    /// Of jobs that are about to be submitted: each payload that stays in its area is kept by a member there, or the jobs are
    /// refused before they wait for what nobody has.
    pub(crate) async fn check_kept(
        &self,
        state: &State,
        jobs: &[&JobFacts],
    ) -> Result<(), ApiError> {
        let mut asks: BTreeMap<MemberId, (&GenesisMember, Vec<Digest>)> = BTreeMap::new();
        let apart: Vec<&JobFacts> = jobs.iter().copied().filter(|facts| facts.area_only).collect();
        for facts in &apart {
            for member in state.keepers(facts) {
                let (_, digests) = asks.entry(member.member).or_insert((member, Vec::new()));
                digests.push(facts.payload);
            }
        }
        let mut asked: FuturesUnordered<_> =
            asks.values().map(|(member, digests)| self.ask(member, digests)).collect();
        let mut kept = BTreeSet::new();
        // One that does not answer is not waited for where the others have all.
        while !apart.iter().all(|facts| kept.contains(&facts.payload)) {
            let Some(found) = asked.next().await else { break };
            kept.extend(found);
        }
        // Where no member stands in the area, apply refuses: it has the better words.
        let lacks =
            |facts: &&&JobFacts| !kept.contains(&facts.payload) && !state.keepers(facts).is_empty();
        match apart.iter().find(lacks) {
            None => Ok(()),
            Some(facts) => {
                let why = format!("{}: no member inside its area keeps the payload", facts.id);
                Err(ApiError::new(ErrorCode::PayloadNotHere, why))
            }
        }
    }

    /// Members that say that they keep what an open job runs, if that stays in its area.
    pub(crate) async fn kept_by(&self, state: &State, job: &Job) -> Vec<String> {
        if !job.facts.area_only || job.phase.is_final() {
            return Vec::new();
        }
        let digest = [job.facts.payload];
        let asked = state.keepers(&job.facts).into_iter().map(|member| async {
            let kept = self.ask(member, &digest).await;
            (!kept.is_empty()).then(|| member.member.name())
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// A payload for another member of its area.
    pub(crate) async fn give_to_member(
        &self,
        state: &State,
        caller: &GenesisMember,
        digest: Digest,
    ) -> Result<Vec<u8>, ApiError> {
        let unknown = || ApiError::new(ErrorCode::NotFound, "no open job has this payload");
        let facts = state.area_only(&digest).ok_or_else(unknown)?;
        // Both ends judge: a member that asks for what it may not have is faulty.
        if !state.may_keep(facts, caller) {
            let why = format!("site {} is outside the job's area", caller.site);
            let error = ApiError::new(ErrorCode::PermissionDenied, why);
            return Err(refuses(error, digest));
        }
        self.give_payload(state, facts).await
    }
}

/// The digests of a request.
pub(crate) fn digests(given: &[bytes::Bytes]) -> Result<Vec<Digest>, ApiError> {
    let bad = |must: &str| ApiError::new(ErrorCode::InvalidArgument, format!("digests: {must}"));
    if given.len() > HELD_MAX {
        return Err(bad("too many"));
    }
    let digest = |bytes: &bytes::Bytes| {
        let digest = <[u8; 32]>::try_from(bytes.as_ref()).map(Digest);
        digest.map_err(|_length| bad("must have 32 bytes each"))
    };
    given.iter().map(digest).collect()
}
