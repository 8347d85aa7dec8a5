//! From a checked request to an answer: authorize, stamp, propose; and the two ways to read.
//!
//! Must hold: apply decides, with the same table of roles, whatever admission let through, but for what only the member at
//! the other end of the connection knows: that the caller's certificate still counts. A dry run asks apply itself
//! on a copy of the state, so that it refuses what the real run would. An answer that is kept in applied state is
//! given again without the log (R3). A read is linearizable unless the caller asked for a local one (R2).

use crate::call::{Call, rejected};
use crate::core::{Core, federation};
use crate::limit::READ_DEADLINE;
use crate::operation::follows;
use crate::replica::ReplicaError;
use sekisho_evidence::canonical::encode;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::{Entry, FEATURE_LEVEL};
use sekisho_fsm::outcome::{Outcome, Reply};
use sekisho_fsm::role::is_deduplicated;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::name::Resource as _;
use sekisho_proto::operation::OperationId;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, RequestId};
use sekisho_types::limit::{ENTRY_MAX, PROPOSE_DEADLINE};
use sekisho_types::principal::Principal;
use sekisho_types::revision::Revision;
use sekisho_types::time::Clock as _;

/// A request that passed admission.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// Request id, dry run, signatures.
    pub(crate) intent: Intent,
    /// What to do.
    pub(crate) command: Command,
    /// Content of the submitted jobs, one behind the other; empty for every other command.
    pub(crate) payload: Vec<u8>,
}

impl Admitted {
    /// A command without content.
    pub(crate) fn new(intent: Intent, command: Command) -> Self {
        Self { intent, command, payload: Vec::new() }
    }
}

impl Core {
    /// Writes, or for a dry run says what a write would answer.
    pub(crate) async fn write(
        &self,
        call: &Call,
        admitted: Admitted,
    ) -> Result<v1::Written, ApiError> {
        let state = self.replica.state();
        let (dry, follows) = (admitted.intent.validate_only, follows(&admitted.command));
        let entry = self.stamp(&state, call.principal(), admitted)?;
        if let Some((revision, outcome)) = kept(&state, &entry)? {
            return written(revision, outcome, follows);
        }
        // After the kept answer: who took the own key back and lost the answer hears it once more.
        call.in_force(&state)?;
        if dry {
            return dry_run(state, entry).await;
        }
        let (actor, request) = (entry.actor.clone(), entry.request);
        let deadline = call.deadline(PROPOSE_DEADLINE);
        let proposed = self.replica.propose(entry, deadline).await.map_err(unanswered)?;
        // A repeat that raced its first run: the revision of the first is the answer's.
        let state = self.replica.state();
        let first = state.reply(&actor, &request).map_or(proposed.revision, |kept| kept.revision);
        written(first, proposed.outcome, follows)
    }

    /// What was answered to this very request before (R3), the command's rejection included. For services that judge a
    /// request by what its first run has changed: they look here first. Who asks is for them to check.
    pub(crate) fn answered(
        &self,
        state: &State,
        call: &Call,
        admitted: &Admitted,
    ) -> Result<Option<v1::Written>, ApiError> {
        let follows = follows(&admitted.command);
        // An answer is found without the content.
        let asked = Admitted::new(admitted.intent.clone(), admitted.command.clone());
        let entry = self.stamp(state, call.principal(), asked)?;
        let kept = kept(state, &entry)?;
        kept.map(|(revision, outcome)| written(revision, outcome, follows)).transpose()
    }

    /// Writes in this member's own name, for an agent or a joining host that it has checked.
    pub(crate) async fn write_for(
        &self,
        actor: Principal,
        command: Command,
        call: Option<&Call>,
    ) -> Result<Revision, ApiError> {
        self.write_with(actor, command, Vec::new(), call).await
    }

    /// As [`Self::write_for`], with the content of a job.
    pub(crate) async fn write_with(
        &self,
        actor: Principal,
        command: Command,
        payload: Vec<u8>,
        call: Option<&Call>,
    ) -> Result<Revision, ApiError> {
        let (request, signatures) = (self.request_id(&actor), Vec::new());
        let intent = Intent { request, validate_only: false, signatures, incarnation: None };
        let admitted = Admitted { intent, command, payload };
        let entry = self.stamp(&self.replica.state(), &actor, admitted)?;
        let wait = call.and_then(|call| call.wait).unwrap_or(PROPOSE_DEADLINE);
        let deadline = sekisho_transport::deadline::Deadline::after(wait.min(PROPOSE_DEADLINE));
        let proposed = self.replica.propose(entry, deadline).await.map_err(unanswered)?;
        match proposed.outcome.map_err(|rejection| rejected(&rejection))? {
            Reply::Done | Reply::Placed { .. } => Ok(proposed.revision),
            Reply::Quarantined => Err(ApiError::new(
                ErrorCode::NodeQuarantined,
                "the session before that was named is not the open one: there are two hosts",
            )),
        }
    }

    /// Commands of agents and members are idempotent by their content, so the id only helps whoever reads logs.
    fn request_id(&self, actor: &Principal) -> RequestId {
        let text = format!("{actor}/{}/{}", self.clock.wall().0, self.clock.boottime_ns());
        let mut id = [0u8; 16];
        for (to, from) in id.iter_mut().zip(Digest::of(text.as_bytes()).0) {
            *to = from;
        }
        RequestId(id)
    }

    fn stamp(
        &self,
        state: &State,
        actor: &Principal,
        admitted: Admitted,
    ) -> Result<Entry, ApiError> {
        let federation = federation(state)?;
        let present = federation.incarnation;
        if let Some(told) = admitted.intent.incarnation.filter(|told| *told != present) {
            let why = format!("incarnation {present} is in force, it was signed for {told}");
            return Err(ApiError::new(ErrorCode::IncarnationOver, why));
        }
        Ok(Entry {
            cluster: federation.cluster,
            incarnation: federation.incarnation,
            proposed_at: self.agreed.wall(),
            actor: actor.clone(),
            request: admitted.intent.request,
            feature_level: FEATURE_LEVEL.min(state.feature_level()),
            command: admitted.command,
            signatures: admitted.intent.signatures,
            payload: admitted.payload,
        })
    }

    /// The state that a read answers from.
    pub(crate) async fn read(
        &self,
        call: &Call,
        read: Option<&v1::Read>,
    ) -> Result<State, ApiError> {
        if !read.is_some_and(|read| read.local) {
            let deadline = call.deadline(READ_DEADLINE);
            self.replica.read_index(deadline).await.map_err(unanswered)?;
        }
        Ok(self.replica.state())
    }
}

fn kept(state: &State, entry: &Entry) -> Result<Option<(Revision, Outcome)>, ApiError> {
    if !is_deduplicated(&entry.command) {
        return Ok(None);
    }
    let Some(kept) = state.reply(&entry.actor, &entry.request) else { return Ok(None) };
    let command = entry.command.digest();
    let command = command.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    // Another command under the id goes on to apply: its rejection gets a record of its own (A2).
    let same = kept.command == command;
    Ok(same.then(|| (kept.revision, kept.outcome.clone())))
}

async fn dry_run(mut state: State, entry: Entry) -> Result<v1::Written, ApiError> {
    let size = encode(&entry).map_or(usize::MAX, |bytes| bytes.len());
    if size > ENTRY_MAX {
        return Err(unanswered(ReplicaError::TooLarge(size)));
    }
    let now = state.revision();
    let next = Revision(now.0.saturating_add(1));
    // A batch takes apply a millisecond or two: not on a thread that others wait for.
    let outcome = tokio::task::spawn_blocking(move || state.apply(next, &entry).outcome).await;
    let outcome = outcome.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    written(now, outcome, None)
}

fn written(
    revision: Revision,
    outcome: Outcome,
    follows: Option<OperationId>,
) -> Result<v1::Written, ApiError> {
    match outcome {
        Ok(Reply::Done | Reply::Placed { .. } | Reply::Quarantined) => {
            let operation = follows.map(|id| id.at(revision).name()).unwrap_or_default();
            Ok(v1::Written { revision: revision.0, operation })
        }
        Err(rejection) => Err(rejected(&rejection)),
    }
}

/// What the caller sees when consensus gave no answer.
pub(crate) fn unanswered(error: ReplicaError) -> ApiError {
    let text = error.to_string();
    match error {
        ReplicaError::NoLeader => ApiError::new(ErrorCode::NoLeader, text),
        ReplicaError::Overloaded { retry_after } => ApiError {
            retry_after: Some(retry_after),
            ..ApiError::new(ErrorCode::Overloaded, text)
        },
        ReplicaError::OutcomeUnknown => ApiError::new(ErrorCode::OutcomeUnknown, text),
        ReplicaError::Behind(_) => ApiError::new(ErrorCode::StaleRead, text),
        ReplicaError::NotReady(_) => ApiError::new(ErrorCode::MemberBehind, text),
        ReplicaError::TooLarge(_) => ApiError::new(ErrorCode::TooLarge, text),
        ReplicaError::Stopped(_) => ApiError::new(ErrorCode::StorageFailed, text),
    }
}
