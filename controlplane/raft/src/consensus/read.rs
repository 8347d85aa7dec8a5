//! Linearizable reads on any member: the leader confirms a position with a quorum, the reader waits for it.

use super::Core;
use crate::codec::{decode, encode};
use crate::error::ReadError;
use crate::limit::{RETRY_PAUSE, RETRY_PAUSE_MAX};
use crate::network::link::Method;
use crate::network::message::{ReadIndexReply, ReadIndexRequest, milliseconds};
use crate::platform::Platform;
use crate::view::View;
use sekisho_transport::retry::{Backoff, BackoffOptions};
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::sync::Arc;

impl<P: Platform> Core<P> {
    /// As the leader: a position that a majority confirmed after this call began. `None` if this member does not lead or
    /// no majority answered.
    pub(crate) async fn read_position(&self, deadline: P::Deadline) -> Option<Revision> {
        Some(self.confirm(deadline).await?.position)
    }

    pub(super) async fn confirm_leadership(&self, deadline: P::Deadline) -> Result<u64, ReadError> {
        let options = BackoffOptions { base: RETRY_PAUSE, max: RETRY_PAUSE_MAX };
        let mut backoff = Backoff::new(options);
        loop {
            self.check()?;
            if self.leader() != Some(self.me()) {
                return Err(ReadError::NoLeader);
            }
            if let Some(confirmed) = self.confirm(deadline).await {
                self.wait_for(confirmed.position, deadline).await?;
                return Ok(confirmed.term);
            }
            // A voter may have been asked over a connection that had just died.
            let pause = backoff.next_pause(&mut P::random());
            let paused = P::within(deadline, P::sleep(pause)).await;
            paused.map_err(|_passed| ReadError::NoLeader)?;
        }
    }

    async fn ask(&self, leader: MemberId, deadline: P::Deadline) -> Option<Revision> {
        let ttl = P::remaining(deadline);
        let body = encode(&ReadIndexRequest { remaining_ms: milliseconds(ttl) }).ok()?;
        let (packet, link) = self.out.packet(leader, body).ok()?;
        let answer = self.while_leads(leader, link.call(Method::ReadIndex, packet, ttl)).await?;
        decode::<ReadIndexReply>(&answer.ok()?).ok()?.index
    }

    pub(super) async fn read_index(&self, deadline: P::Deadline) -> Result<Arc<View>, ReadError> {
        let options = BackoffOptions { base: RETRY_PAUSE, max: RETRY_PAUSE_MAX };
        let mut backoff = Backoff::new(options);
        loop {
            self.check()?;
            let leader = self.leader();
            let position = async {
                match leader {
                    None => None,
                    Some(leader) if leader == self.me() => self.read_position(deadline).await,
                    Some(leader) => self.ask(leader, deadline).await,
                }
            };
            let position = P::within(deadline, position).await;
            if let Some(position) = position.map_err(|_passed| ReadError::NoLeader)? {
                return self.wait_for(position, deadline).await;
            }
            let pause = backoff.next_pause(&mut P::random());
            let known = leader;
            let waited = P::within(deadline, async {
                tokio::select! {
                    biased;
                    () = P::sleep(pause) => {}
                    () = self.leader_changed(known) => tokio::task::yield_now().await,
                }
            });
            waited.await.map_err(|_passed| ReadError::NoLeader)?;
        }
    }

    fn check(&self) -> Result<(), ReadError> {
        if let Some(failure) = self.publisher.failure() {
            return Err(ReadError::Failed(failure));
        }
        if self.closing() { Err(ReadError::ShuttingDown) } else { Ok(()) }
    }

    /// The state once it holds `need`.
    pub(super) async fn wait_for(
        &self,
        need: Revision,
        deadline: P::Deadline,
    ) -> Result<Arc<View>, ReadError> {
        self.check()?;
        let reached = P::within(deadline, self.publisher.reached(need));
        match reached.await.map_err(|_passed| ReadError::Behind { need })? {
            Ok(view) => Ok(view),
            Err(failure) => Err(ReadError::Failed(failure)),
        }
    }
}
