//! Members tell each other their applied revision each second, and at once what they signed.
//!
//! Must hold: only to members of applied state, each dialled as the very principal that the state names (D3); one
//! task for each, so that a slow one delays no other (L2).

use crate::core::Core;
use crate::limit::{EXCHANGE_DEADLINE, EXCHANGE_EVERY, EXCHANGE_SIGNED_MAX};
use crate::notes::{Fork, NoteError};
use parking_lot::Mutex;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::SignatureLine;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_proto::convert::finding::Finding;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::peer_service_client::PeerServiceClient;
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::task::TaskKind;
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::transport::Channel;

/// Channels to the other members, made when first used.
#[derive(Debug)]
pub(crate) struct Links {
    dialer: Dialer,
    made: Mutex<BTreeMap<MemberId, (GenesisMember, Channel)>>,
}

impl Links {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self { dialer, made: Mutex::default() }
    }

    /// A client of one member.
    pub(crate) fn client(
        &self,
        member: &GenesisMember,
    ) -> Result<PeerServiceClient<Channel>, ApiError> {
        let mut made = self.made.lock();
        if let Some((known, channel)) = made.get(&member.member)
            && known == member
        {
            return Ok(PeerServiceClient::new(channel.clone()));
        }
        let workload = Workload::Member { site: member.site.clone(), member: member.member.0 };
        let principal = Principal { operator: member.operator.clone(), workload };
        let unusable = |why: String| ApiError::new(ErrorCode::Internal, why);
        let address = member.address.parse();
        let address = address
            .map_err(|e: sekisho_transport::address::AddressError| unusable(e.to_string()))?;
        let route = self
            .dialer
            .channel(&address, &Expect::Principal(principal), ChannelOptions::default())
            .map_err(|e| unusable(e.to_string()))?;
        made.insert(member.member, (member.clone(), route.channel()));
        Ok(PeerServiceClient::new(route.channel()))
    }
}

impl Core {
    /// Starts to tell the others, and to collect this member's own signatures.
    pub fn start_exchange(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.tasks.spawn(TaskKind::Critical, "exchange", async move { core.exchange().await });
    }

    async fn exchange(self: Arc<Self>) {
        let (mut heads, mut started) = (self.heads.changes(), BTreeMap::new());
        let mut own = Revision::default();
        loop {
            self.collect_own(&mut own);
            let state = self.replica.state();
            for member in state.federation().iter().flat_map(|f| f.members.values()) {
                let known = started.get(&member.member) == Some(member);
                if member.member != self.identity.member && !known {
                    started.insert(member.member, member.clone());
                    let (core, member) = (Arc::clone(&self), member.clone());
                    let task = async move { core.tell(&member).await };
                    self.tasks.spawn(TaskKind::Ordinary, "exchange-peer", task);
                }
            }
            tokio::select! {
                changed = heads.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(EXCHANGE_EVERY) => {}
            }
        }
    }

    fn collect_own(&self, last: &mut Revision) {
        let state = self.replica.state();
        let Some(federation) = state.federation() else { return };
        for head in self.heads.after(*last, EXCHANGE_SIGNED_MAX) {
            *last = head.checkpoint.revision;
            let member = self.identity.member;
            self.note(&federation.bundle, member, &head.text, &head.line);
        }
    }

    /// Keeps a member's signature under a checkpoint; what contradicts another's is alarmed.
    pub(crate) fn note(
        &self,
        bundle: &EndorserBundle,
        member: MemberId,
        text: &str,
        line: &SignatureLine,
    ) {
        let taken = self.notes.add(bundle, member, text, line);
        // Its word, whatever else it said before.
        let its_own = matches!(taken, Ok(_) | Err(NoteError::Twice(_)));
        if let Some(endorser) = bundle.endorser(member)
            && its_own
            && member != self.identity.member
        {
            self.witness.hear((member, endorser.public_key), text, line);
        }
        match taken {
            Ok(None) => {}
            Ok(Some(Fork(revision))) => {
                metrics::counter!("sekisho_api_audit_forks_total").increment(1);
                tracing::error!(%member, %revision, "two members signed different histories");
            }
            Err(error @ NoteError::Twice(_)) => {
                metrics::counter!("sekisho_api_audit_forks_total").increment(1);
                tracing::error!(%member, %error, "checkpoint signature not taken");
            }
            Err(error @ (NoteError::Checkpoint(_) | NoteError::NotTheSigner)) => {
                tracing::warn!(%member, %error, "checkpoint signature not taken");
            }
        }
    }

    /// Tells one member until the federation has it no more, or elsewhere.
    async fn tell(&self, member: &GenesisMember) {
        let (mut heads, mut told) = (self.heads.changes(), Revision::default());
        loop {
            let state = self.replica.state();
            let listed = state.federation().and_then(|f| f.members.get(&member.member));
            if listed != Some(member) {
                return;
            }
            if let Err(error) = self.tell_once(member, &mut told).await {
                tracing::debug!(member = %member.member, %error, "exchange failed");
                tokio::time::sleep(EXCHANGE_EVERY).await;
                continue;
            }
            tokio::select! {
                changed = heads.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(EXCHANGE_EVERY) => {}
            }
        }
    }

    /// One exchange with one member.
    pub(crate) async fn tell_once(
        &self,
        member: &GenesisMember,
        told: &mut Revision,
    ) -> Result<(), ApiError> {
        let signed = self.heads.after(*told, EXCHANGE_SIGNED_MAX);
        let newest = signed.last().map(|head| head.checkpoint.revision);
        let line = |head: Arc<crate::duty::SignedHead>| internal::SignedCheckpoint {
            text: head.text.clone(),
            line: head.line.0.clone(),
            revision: head.checkpoint.revision.0,
        };
        let request = internal::ExchangeRequest {
            applied_revision: self.replica.applied().0,
            signed: signed.into_iter().map(line).collect(),
            signer_problem: self.heads.problem().unwrap_or_default(),
            conditions: self.own_findings().iter().map(Finding::own).collect(),
            leases: self.leases.news().map(|news| news.as_ref().into()),
            wall_ms: self.clock.wall().0,
        };
        let mut client = self.links.client(member)?;
        let answer = within(Deadline::after(EXCHANGE_DEADLINE), client.exchange(request)).await;
        let answer = answer
            .map_err(|passed| ApiError::new(ErrorCode::Deadline, passed.to_string()))?
            .map_err(|status| ApiError::from_status(&status))?;
        let answer = answer.into_inner();
        let applied = Revision(answer.applied_revision);
        self.peers.hear(member, applied, None, self.clock.boottime_ns());
        self.hear_clock(member.member, answer.wall_ms);
        *told = newest.unwrap_or(*told);
        Ok(())
    }

    /// Notes what a member's clock says, if it told.
    pub(crate) fn hear_clock(&self, member: MemberId, wall_ms: u64) {
        if wall_ms > 0 {
            self.agreed.hear(member, Timestamp(wall_ms));
        }
    }
}
