//! Linearizable reads on any member: the leader confirms a position with a quorum, the reader waits for it.

use super::Core;
use crate::codec::{decode, encode};
use crate::error::ReadError;
use crate::limit::{RETRY_PAUSE, RETRY_PAUSE_MAX};
use crate::network::link::{LinkError, Method};
use crate::network::message::{ReadIndexReply, ReadIndexRequest, milliseconds};
use crate::type_config::PeerNode;
use crate::view::View;
use openraft::ReadPolicy;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::retry::{Backoff, BackoffOptions};
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::sync::Arc;

impl Core {
    /// As the leader: a position that a quorum confirmed after this call began. `None` if this member does not lead
    /// or no quorum answered.
    pub(crate) async fn read_position(&self, deadline: Deadline) -> Option<Revision> {
        // Not the lease: its safety would rest on the clocks of all members.
        let confirmed =
            within(deadline, self.raft.get_read_linearizer(ReadPolicy::ReadIndex)).await;
        let linearizer = confirmed.ok()?.ok()?;
        Some(Revision(linearizer.read_log_id().index()))
    }

    async fn ask(&self, leader: MemberId, node: &PeerNode, deadline: Deadline) -> Option<Revision> {
        let ttl = deadline.remaining();
        let body = encode(&ReadIndexRequest { remaining_ms: milliseconds(ttl) }).ok()?;
        let packet = self.out.packet(leader, node, body).ok()?;
        let link = self.out.links.link(leader, node);
        let answer: Result<_, LinkError> = link.call(Method::ReadIndex, packet, ttl).await;
        decode::<ReadIndexReply>(&answer.ok()?).ok()?.index
    }

    pub(super) async fn read_index(&self, deadline: Deadline) -> Result<Arc<View>, ReadError> {
        let options = BackoffOptions { base: RETRY_PAUSE, max: RETRY_PAUSE_MAX };
        let mut backoff = Backoff::new(options);
        loop {
            self.check()?;
            let leader = self.leader();
            let position = async {
                match &leader {
                    None => None,
                    Some((leader, _)) if *leader == self.me() => self.read_position(deadline).await,
                    Some((leader, node)) => self.ask(*leader, node, deadline).await,
                }
            };
            let position = within(deadline, position).await;
            if let Some(position) = position.map_err(|_passed| ReadError::NoLeader)? {
                return self.wait_for(position, deadline).await;
            }
            let pause = backoff.next_pause(&mut rand::rng());
            let known = leader.map(|(leader, _)| leader);
            let waited = within(deadline, async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
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
        deadline: Deadline,
    ) -> Result<Arc<View>, ReadError> {
        self.check()?;
        let (mut views, mut failures) = (self.publisher.views(), self.publisher.failures());
        let reached = within(deadline, async {
            tokio::select! {
                biased;
                view = views.wait_for(|view| view.has(need)) => {
                    view.map(|view| Arc::clone(&view)).map_err(|_gone| ReadError::ShuttingDown)
                }
                failed = failures.wait_for(Option::is_some) => {
                    let failure = failed.ok().and_then(|failure| failure.clone());
                    Err(failure.map_or(ReadError::ShuttingDown, ReadError::Failed))
                }
            }
        });
        reached.await.map_err(|_passed| ReadError::Behind { need })?
    }
}
