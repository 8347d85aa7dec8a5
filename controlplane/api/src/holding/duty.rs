//! Looking after what this member keeps: what may no longer lie here goes, what should lie here and does not is fetched from
//! the other members of its area.
//!
//! Must hold: payloads move between members that may both keep them, and nowhere else; each end judges both. One that no
//! accepted job names goes after [`UPLOAD_KEPT`] of state clock; one whose job has ended, or whose rules have come to
//! exclude this member, goes at the next look. While the rules of a job are not known, nothing of it goes.

use super::{Index, stored};
use crate::core::Core;
use crate::limit::{FETCH_HELD, HELD_PULLS, HOLDING_EVERY};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, TenantId};
use sekisho_types::limit::{PAYLOAD_MAX, UPLOAD_KEPT};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// May no longer lie here.
    pub(super) gone: Vec<Digest>,
    /// Should lie here and does not; of whom each is.
    pub(super) lacking: Vec<(Digest, TenantId)>,
    /// Lie here, and a host found them nowhere.
    pub(super) found: Vec<Digest>,
}

/// Judges what is kept against applied state.
pub(super) fn look(state: &State, own: &GenesisMember, index: &mut Index) -> Look {
    let (mut look, Index { rows, named }) = (Look::default(), index);
    let rows = rows.get_or_insert_default();
    let kept_ms = u64::try_from(UPLOAD_KEPT.as_millis()).unwrap_or(u64::MAX);
    for (digest, row) in rows.iter() {
        match state.area_only(digest) {
            Some(facts) => {
                named.insert(*digest);
                // Rules that cannot be read deny nothing: they keep it from being given, not from lying here.
                if state.rules_for(facts).is_ok() && !state.may_keep(facts, own) {
                    look.gone.push(*digest);
                } else if state.is_missing(digest) {
                    look.found.push(*digest);
                }
            }
            None if named.contains(digest) => look.gone.push(*digest),
            None if state.clock().0.saturating_sub(row.at_ms) > kept_ms => look.gone.push(*digest),
            None => {}
        }
    }
    named.retain(|digest| rows.contains_key(digest));
    let lacking = state
        .area_only_payloads()
        .filter(|(digest, facts)| !rows.contains_key(digest) && state.may_keep(facts, own));
    look.lacking = lacking.map(|(digest, facts)| (*digest, facts.id.tenant.clone())).collect();
    look
}

impl Core {
    /// Looks after what stays in its area, until the tasks end.
    pub fn start_holding(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.tasks.spawn(TaskKind::Ordinary, "holding", async move {
            let mut cursor = None;
            loop {
                if let Err(error) = core.look_after_held(&mut cursor).await {
                    tracing::warn!(%error, "what stays in its area was not looked after");
                }
                tokio::time::sleep(HOLDING_EVERY).await;
            }
        });
    }

    /// One round. `cursor` is where the fetching of the round before ended.
    pub(crate) async fn look_after_held(
        &self,
        cursor: &mut Option<Digest>,
    ) -> Result<(), ApiError> {
        let state = self.replica.state();
        let Ok(own) = self.own(&state) else { return Ok(()) };
        let look = {
            let mut index = self.held.lock().await;
            index.rows(&*self.holding).await?;
            let look = look(&state, own, &mut index);
            if !look.gone.is_empty() {
                let gone = self.holding.forget(look.gone.clone()).await;
                gone.map_err(|error| stored(&error))?;
                let rows = index.rows(&*self.holding).await?;
                rows.retain(|digest, _| !look.gone.contains(digest));
                tracing::info!(
                    payloads = look.gone.len(),
                    "forgotten: no open job of this area has them"
                );
            }
            self.record_held(&index, look.lacking.len());
            look
        };
        for payload in look.found {
            let command = Command::FoundPayload(payload);
            if let Err(error) = self.write_for(self.identity.principal(), command, None).await {
                tracing::warn!(%payload, %error, "that it is here could not be told");
            }
        }
        self.fetch_lacking(&state, &look.lacking, cursor).await;
        Ok(())
    }

    fn record_held(&self, index: &Index, lacking: usize) {
        let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let rows = index.rows.as_ref();
        let bytes = rows.map_or(0, |rows| rows.values().map(|row| row.len).sum());
        metrics::gauge!("sekisho_api_payloads_held").set(number(rows.map_or(0, |r| r.len())));
        metrics::gauge!("sekisho_api_payloads_held_bytes").set(number(bytes));
        metrics::gauge!("sekisho_api_payloads_lacking").set(number(lacking));
    }

    /// Fetches some, going on where the round before ended: what nobody has must not stand before what somebody has.
    async fn fetch_lacking(
        &self,
        state: &State,
        lacking: &[(Digest, TenantId)],
        cursor: &mut Option<Digest>,
    ) {
        let from = *cursor;
        let after = |digest: &Digest| from.is_none_or(|from| *digest > from);
        let behind = lacking.iter().filter(|(digest, _)| after(digest));
        let before = lacking.iter().filter(|(digest, _)| !after(digest));
        let round: Vec<_> = behind.chain(before).take(HELD_PULLS).cloned().collect();
        *cursor = round.last().map(|(digest, _)| *digest);
        let mut silent = BTreeSet::new();
        for (digest, tenant) in round {
            let Some(facts) = state.area_only(&digest) else { continue };
            for member in state.keepers(facts) {
                if member.member == self.identity.member || silent.contains(&member.member) {
                    continue;
                }
                match self.fetch_held(member, digest).await {
                    Ok(bytes) => {
                        if let Err(error) = self.hold(state, digest, &tenant, bytes).await {
                            tracing::warn!(%digest, %error, "a payload of this area is not kept");
                        }
                        break;
                    }
                    Err(error) => self.not_fetched(member.member, &digest, &error, &mut silent),
                }
            }
        }
    }

    fn not_fetched(
        &self,
        member: MemberId,
        digest: &Digest,
        error: &ApiError,
        silent: &mut BTreeSet<MemberId>,
    ) {
        tracing::debug!(%member, %digest, %error, "payload not fetched");
        // Who does not answer is not waited for again in this round.
        if !error.explained || error.code == ErrorCode::Deadline {
            silent.insert(member);
        }
    }

    /// One from another member of its area, its digest checked.
    async fn fetch_held(
        &self,
        member: &GenesisMember,
        digest: Digest,
    ) -> Result<Vec<u8>, ApiError> {
        let request = internal::FetchHeldRequest { digest: digest.0.to_vec().into() };
        let mut client =
            self.links.client(member)?.max_decoding_message_size(PAYLOAD_MAX.saturating_mul(2));
        let answer = within(Deadline::after(FETCH_HELD), client.fetch_held(request)).await;
        let answer = answer
            .map_err(|passed| ApiError::new(ErrorCode::Deadline, passed.to_string()))?
            .map_err(|status| ApiError::from_status(&status))?;
        let bytes = answer.into_inner().payload;
        if bytes.len() > PAYLOAD_MAX || Digest::of(&bytes) != digest {
            tracing::warn!(member = %member.member, %digest, "a member gave other bytes");
            return Err(ApiError::new(
                ErrorCode::PayloadMismatch,
                "other bytes than were asked for",
            ));
        }
        Ok(bytes.to_vec())
    }
}
