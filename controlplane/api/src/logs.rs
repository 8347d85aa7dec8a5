//! Output of jobs: which member may hand it out, and through whom it reaches the node.
//!
//! Must hold: a tenant's output passes only through members inside the area (and of an operator) that the job's rules
//! allow (D3); any other member answers `LOGS_ELSEWHERE` and names one that may.

use crate::core::{Core, federation};
use crate::limit::{LOG_BYTES_DEFAULT, LOG_BYTES_MAX, LOG_DEADLINE, LOG_WAIT};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::State;
use sekisho_fsm::state::Job;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::agent_message::LogChunk;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::trace;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::placement::Phase;
use sekisho_types::revision::PlacementId;

/// Whether output of the job may pass through this member.
pub(crate) fn may_pass(state: &State, job: &Job, member: &GenesisMember) -> bool {
    state.is_inside(&job.facts, member)
}

fn ask_of(placement: PlacementId, ask: &v1::ReadJobLogsRequest) -> internal::ReadNodeLogRequest {
    let wanted = if ask.max_bytes == 0 { LOG_BYTES_DEFAULT } else { ask.max_bytes };
    internal::ReadNodeLogRequest {
        placement: placement.to_string(),
        stderr: ask.stream == i32::from(v1::read_job_logs_request::Stream::Stderr),
        offset: ask.offset,
        max_bytes: wanted.min(LOG_BYTES_MAX),
        wait_ms: ask.wait_ms.min(u32::try_from(LOG_WAIT.as_millis()).unwrap_or(u32::MAX)),
        tail_lines: ask.tail_lines,
    }
}

impl Core {
    /// Reads output for a caller who may see it.
    pub(crate) async fn read_output(
        &self,
        state: &State,
        job: &Job,
        placement: PlacementId,
        ask: &v1::ReadJobLogsRequest,
        deadline: Deadline,
    ) -> Result<v1::ReadJobLogsResponse, ApiError> {
        let allowed: Vec<&GenesisMember> = federation(state)?
            .members
            .values()
            .filter(|member| may_pass(state, job, member))
            .collect();
        if !allowed.iter().any(|member| member.member == self.identity.member) {
            return Err(self.elsewhere(&allowed));
        }
        let read = ask_of(placement, ask);
        let chunk = match self.read_node_log(state, placement, &read, deadline).await {
            Err(error) if error.code == ErrorCode::NodeUnavailable => {
                self.relay(&allowed, read, deadline).await?
            }
            other => other?,
        };
        let internal::ReadNodeLogResponse { data, next_offset, end, from } = chunk;
        let placement = placement.to_string();
        Ok(v1::ReadJobLogsResponse { data, next_offset, end, offset: from, placement })
    }

    fn elsewhere(&self, allowed: &[&GenesisMember]) -> ApiError {
        let now = self.clock.boottime_ns();
        let hears = |member: &GenesisMember| {
            self.peers.of(member.member, now).is_some_and(|(_, lately)| lately)
        };
        let known = allowed.iter().find(|member| hears(member)).or_else(|| allowed.first());
        let Some(member) = known else {
            let why = "no member of the federation stands inside the job's area";
            return ApiError::new(ErrorCode::LogsElsewhere, why);
        };
        let (site, address) = (&member.site, &member.address);
        let why = format!("this member is outside the job's area; ask {site} at {address}");
        ApiError::new(ErrorCode::LogsElsewhere, why).with("endpoint", address.clone())
    }

    /// Reads through a stream that is attached here. What was placed and has not begun has said nothing yet.
    pub(crate) async fn read_node_log(
        &self,
        state: &State,
        placement: PlacementId,
        ask: &internal::ReadNodeLogRequest,
        deadline: Deadline,
    ) -> Result<internal::ReadNodeLogResponse, ApiError> {
        let gone = || ApiError::new(ErrorCode::NotFound, format!("{placement} is not kept"));
        let row = state.placement(&placement).ok_or_else(gone)?;
        let chunk = match self.sessions.read_log(&row.grant.node, ask, deadline).await {
            // The agent has no folder of it. Its phase was read before the agent was asked: what was not running then is on
            // its way, and whoever follows it asks again.
            Err(error) if error.code == ErrorCode::NotFound => match row.phase {
                Phase::Granted | Phase::Starting => {
                    LogChunk { next_offset: ask.offset, from: ask.offset, ..LogChunk::default() }
                }
                Phase::Running | Phase::Stopping | Phase::Ended(_) => {
                    let why = format!("no output of {placement} is kept");
                    return Err(ApiError::new(ErrorCode::NotFound, why));
                }
            },
            other => other?,
        };
        let LogChunk { data, next_offset, end, from, .. } = chunk;
        Ok(internal::ReadNodeLogResponse { data, next_offset, end, from })
    }

    /// Asks the other members that may, one after the other: the node is attached to some of them.
    async fn relay(
        &self,
        allowed: &[&GenesisMember],
        ask: internal::ReadNodeLogRequest,
        deadline: Deadline,
    ) -> Result<internal::ReadNodeLogResponse, ApiError> {
        let mut last = ApiError::new(
            ErrorCode::NodeUnavailable,
            "the node is attached to no member inside the job's area",
        );
        for member in allowed.iter().filter(|member| member.member != self.identity.member) {
            let mut client = self.links.client(member)?.max_decoding_message_size(
                usize::try_from(LOG_BYTES_MAX).unwrap_or(usize::MAX).saturating_mul(2),
            );
            let mut request = tonic::Request::new(ask.clone());
            trace::inject(request.metadata_mut());
            let answer = client.read_node_log(request);
            match within(deadline.at_most(LOG_DEADLINE), answer).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => last = ApiError::from_status(&status),
                Err(passed) => last = ApiError::new(ErrorCode::Deadline, passed.to_string()),
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use crate::replica::Replica as _;
    use sekisho_evidence::grant::Instance;
    use sekisho_fsm::command::Command;
    use sekisho_fsm::testing;
    use sekisho_proto::internal::v1::ControllerMessage;
    use sekisho_proto::internal::v1::controller_message::Message;
    use sekisho_types::id::NodeId;
    use sekisho_types::residency::Tier;

    #[test]
    fn what_a_caller_asks_of_a_node_is_bounded() {
        let placement: PlacementId = "p-1-2-0".parse().unwrap();
        let none = ask_of(placement, &v1::ReadJobLogsRequest::default());
        assert_eq!((none.max_bytes, none.wait_ms, none.tail_lines), (LOG_BYTES_DEFAULT, 0, None));
        let (max_bytes, wait_ms, tail_lines) = (u32::MAX, u32::MAX, Some(0));
        let stream = v1::read_job_logs_request::Stream::Stderr.into();
        let ask =
            v1::ReadJobLogsRequest { max_bytes, wait_ms, tail_lines, stream, ..Default::default() };
        let most = ask_of(placement, &ask);
        assert_eq!((most.max_bytes, most.wait_ms), (LOG_BYTES_MAX, 3_000));
        assert_eq!((most.tail_lines, most.stderr), (Some(0), true));
        assert!(LOG_WAIT < LOG_DEADLINE, "an answer comes before it is given up");
    }

    #[tokio::test]
    async fn what_has_not_begun_has_said_nothing_and_what_is_gone_is_not_kept() {
        let fake = fake::fake();
        let node: NodeId = "tokyo-1/n-01".parse().unwrap();
        let placement = fake.replica.elsewhere(|federation| {
            let id = federation.submit(testing::job("here", 1, 1, &["JP-13"]));
            federation.place(&id, &["tokyo-1/n-01"]);
            federation.placements(&id)[0]
        });
        let session = fake.replica.state().node(&node).unwrap().session.as_ref().unwrap().id;
        let run = (session, Instance([2; 16]));
        let (stream, mut queue) = fake.core.sessions.attach(&node, run, 0).unwrap();
        let mut read = async |offset| {
            let agent = async {
                let Some(Ok(ControllerMessage { message: Some(Message::ReadLog(read)) })) =
                    queue.recv().await
                else {
                    panic!("no read")
                };
                let error = "NOT_FOUND".into();
                stream.answered(LogChunk { request: read.request, error, ..LogChunk::default() });
            };
            let ask = v1::ReadJobLogsRequest { offset, ..Default::default() };
            let (state, ask) = (fake.replica.state(), ask_of(placement, &ask));
            let soon = Deadline::after(LOG_DEADLINE);
            let answer = fake.core.read_node_log(&state, placement, &ask, soon);
            tokio::join!(answer, agent).0
        };
        let nothing = read(7).await.unwrap();
        assert_eq!((nothing.data.len(), nothing.next_offset, nothing.end), (0, 7, false));
        fake.replica.elsewhere(|federation| {
            let phases = vec![(placement, Phase::Running)];
            let report = Command::Report { node: node.clone(), session, phases };
            federation.accept(testing::agent(&node), report);
        });
        let gone = read(0).await.unwrap_err();
        assert_eq!(gone.message, format!("no output of {placement} is kept"));
    }

    #[test]
    fn output_passes_only_through_members_that_the_rules_allow() {
        let mut federation = testing::Federation::furnished();
        let mut passes = |name: &str, areas: &[&str], operators: &[&str]| {
            let mut facts = testing::job(name, 1, 1, areas);
            facts.residency.operators = operators.iter().map(|o| o.parse().unwrap()).collect();
            // A proof that no member shows must not close the way to the output.
            facts.residency.area_tier = Tier::SiteProven;
            let id = federation.submit(facts);
            let state = &federation.state;
            let members = state.federation().unwrap().members.values();
            let job = state.job(&id).unwrap();
            members.filter(|m| may_pass(state, job, m)).map(|m| m.member.0).collect::<Vec<_>>()
        };
        assert_eq!(passes("a", &[], &[]), [1, 2, 3]);
        assert_eq!(passes("b", &["JP-01"], &[]), [1]);
        assert_eq!(passes("c", &["012351", "JP-27"], &[]), [1, 3]);
        assert_eq!(passes("d", &["012351", "JP-27"], &["naniwa"]), [3]);
        // No member stands there.
        assert_eq!(passes("e", &["JP-47"], &[]), [] as [u64; 0]);
    }
}
