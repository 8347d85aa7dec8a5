//! Watches: what is there, then what changes, to whoever may read it.
//!
//! Must hold: a stream's revisions never go back and nothing between two bookmarks is missing (R2); everything of a
//! revision is sent before a bookmark of it; the caller's role is looked at again before each batch, on the newest
//! state (P5). Apply never waits: a reader that is slower than its queue is ended and told where to go on (L4).
//!
//! It keeps no row: a watcher takes a view, then the keys that changed up to it, then their rows of that view. So
//! whoever falls behind gets fewer, newer rows. It does not tell what a row was in between.

use crate::admission::unanswered;
use crate::call::Call;
use crate::core::{Core, federation};
use crate::limit::{
    PROGRESS_DEFAULT, PROGRESS_MAX, PROGRESS_MIN, READ_DEADLINE, WATCH_BATCH, WATCH_PAUSE,
    WATCH_QUEUE, WATCH_RECHECK, WATCH_STALL,
};
use crate::replica::ReplicaError;
use scope::Scope;
use seat::Seat;
use sekisho_fsm::State;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::watch_response::{Bookmark, Item};
use sekisho_proto::v1::{WatchRequest, WatchResponse};
use sekisho_raft::changes::{Changes, Compacted, Key};
use sekisho_transport::deadline::{Deadline, within};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::revision::Revision;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::Status;

mod row;
mod scope;
pub(crate) mod seat;

/// What goes down a stream.
pub(crate) type Down = Result<WatchResponse, Status>;

fn compacted(error: Compacted) -> ApiError {
    let first = error.first.to_string();
    ApiError::new(ErrorCode::RevisionCompacted, error.to_string()).with("first", first)
}

fn progress(ask: &WatchRequest) -> Duration {
    match ask.progress_interval_ms {
        0 => PROGRESS_DEFAULT,
        ms => Duration::from_millis(ms.into()).clamp(PROGRESS_MIN, PROGRESS_MAX),
    }
}

/// Why a stream ends.
#[derive(Debug)]
enum End {
    /// Nobody reads it any more.
    Gone,
    /// The reader is told.
    Told(ApiError),
}

impl From<ApiError> for End {
    fn from(error: ApiError) -> Self {
        Self::Told(error)
    }
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Watch {
    core: Arc<Core>,
    call: Call,
    scope: Scope,
    progress: Duration,
    changes: Changes,
    out: mpsc::Sender<Down>,
    /// What to list first.
    list: Option<State>,
    /// Everything up to it is in the queue.
    seen: Revision,
    /// The last bookmark that is in the queue.
    bookmark: Option<Revision>,
    sent: u64,
    /// Until when the present batch has to be taken.
    batch: Deadline,
}

impl Watch {
    /// Checks who asks and finds where to begin. Nothing is sent before [`Self::run`].
    pub(crate) async fn begin(
        core: Arc<Core>,
        call: Call,
        ask: &WatchRequest,
    ) -> Result<(Self, mpsc::Receiver<Down>), ApiError> {
        let (scope, changes) = (Scope::of(ask)?, core.replica.changes());
        let (seen, list) = match ask.resume_revision.map(Revision) {
            None => {
                let state = core.read(&call, None).await?;
                scope.may_begin(&call, &state)?;
                (state.revision(), Some(state))
            }
            Some(resume) => {
                let state = core.replica.state();
                scope.may_begin(&call, &state)?;
                if federation(&state)?.incarnation.0 != ask.resume_incarnation {
                    let why = "the revision is of another incarnation";
                    return Err(ApiError::new(ErrorCode::RevisionCompacted, why));
                }
                changes.check(resume).map_err(compacted)?;
                core.reach(&call, resume.max(Revision(ask.seen_revision))).await?;
                (resume, None)
            }
        };
        // One place is kept for the reason of the end.
        let (out, queue) = mpsc::channel(WATCH_QUEUE.saturating_add(1));
        let (progress, batch) = (progress(ask), Deadline::after(WATCH_BATCH));
        let (bookmark, sent) = (None, 0);
        let watch =
            Self { core, call, scope, progress, changes, out, list, seen, bookmark, sent, batch };
        Ok((watch, queue))
    }

    /// Serves the stream until either side ends it. The seat is given back then.
    pub(crate) async fn run(mut self, _seat: Seat) {
        let Ok(last_word) = self.out.clone().try_reserve_owned() else { return };
        let code = match self.follow().await {
            End::Gone => "GONE",
            End::Told(error) => {
                let code = error.code.as_str();
                let marked = self.bookmark.map(|at| at.to_string());
                let error = marked.into_iter().fold(error, |e, at| e.with("bookmark", at));
                last_word.send(Err(error.into()));
                code
            }
        };
        metrics::counter!("sekisho_api_watches_ended_total", "code" => code).increment(1);
    }

    async fn follow(&mut self) -> End {
        let mut moved = self.core.replica.revisions();
        let mut told = self.tell_first().await;
        let mut bookmarks = interval_at(Instant::now() + self.progress, self.progress);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(end) = told {
                return end;
            }
            told = tokio::select! {
                () = self.out.closed() => Err(End::Gone),
                _tick = bookmarks.tick() => self.tell_and_mark().await,
                changed = moved.changed() => match changed {
                    Ok(()) => {
                        let told = self.tell_changes().await;
                        // What comes meanwhile is told together.
                        tokio::time::sleep(WATCH_PAUSE).await;
                        told
                    }
                    Err(_closed) => Err(End::Gone),
                },
            };
        }
    }

    /// The list, or what changed since the bookmark; and the first bookmark.
    async fn tell_first(&mut self) -> Result<(), End> {
        let Some(state) = self.list.take() else { return self.tell_and_mark().await };
        // The iterator must not borrow what sending changes.
        let scope = self.scope.clone();
        for key in scope.rows(&state) {
            let item = self.core.row(&self.call, &state, &key);
            self.send_row(state.revision(), item).await?;
        }
        drop(state);
        self.mark().await
    }

    async fn tell_and_mark(&mut self) -> Result<(), End> {
        self.tell_changes().await?;
        self.mark().await
    }

    /// Sends what changed since the last look.
    async fn tell_changes(&mut self) -> Result<(), End> {
        // Taken first: the ring has everything up to it, and a row is sent as it was made by the revision that is told.
        let state = self.core.replica.state();
        self.check(&state)?;
        let until = state.revision();
        let wants = |key: &Key| self.scope.wants(key);
        let changes = self.changes.between(self.seen, until, wants).map_err(compacted)?;
        self.batch = Deadline::after(WATCH_BATCH);
        for change in changes {
            let item = self.core.row(&self.call, &state, &change.key);
            self.send_row(change.revision, item).await?;
        }
        self.seen = self.seen.max(until);
        Ok(())
    }

    /// Whether the caller may go on: by its role, and by its certificate, which the connection outlives.
    fn check(&self, state: &State) -> Result<(), ApiError> {
        if self.call.peer.not_after < self.core.clock.wall() {
            return Err(ApiError::new(ErrorCode::Unauthenticated, "the certificate has ended"));
        }
        self.scope.may_go_on(&self.call, state)
    }

    async fn send_row(&mut self, revision: Revision, item: Item) -> Result<(), End> {
        self.sent = self.sent.saturating_add(1);
        if self.sent.is_multiple_of(WATCH_RECHECK) {
            self.check(&self.core.replica.state())?;
        }
        metrics::counter!("sekisho_api_watch_events_total").increment(1);
        self.send(revision, item).await
    }

    async fn mark(&mut self) -> Result<(), End> {
        let state = self.core.replica.state();
        let (incarnation, stale) = (federation(&state)?.incarnation.0, !self.core.hears_leader());
        self.send(self.seen, Item::Bookmark(Bookmark { incarnation, stale })).await?;
        self.bookmark = Some(self.seen);
        Ok(())
    }

    async fn send(&self, revision: Revision, item: Item) -> Result<(), End> {
        let message = WatchResponse { revision: revision.0, item: Some(item) };
        match within(self.batch.at_most(WATCH_STALL), self.out.reserve()).await {
            Ok(Ok(place)) => {
                place.send(Ok(message));
                Ok(())
            }
            Ok(Err(_closed)) => Err(End::Gone),
            Err(_passed) => {
                let why = "the reader is slower than what it watches";
                Err(ApiError::new(ErrorCode::Overloaded, why).into())
            }
        }
    }
}

impl Core {
    /// Waits until this member has applied `need`: a client that comes from another one must not see rows go back.
    async fn reach(&self, call: &Call, need: Revision) -> Result<(), ApiError> {
        let mut moved = self.replica.revisions();
        let reached = moved.wait_for(|applied| *applied >= need);
        match within(call.deadline(READ_DEADLINE), reached).await {
            Ok(Ok(_applied)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(unanswered(ReplicaError::Behind(need))),
        }
    }

    /// Whether this member hears from a leader, which a majority confirms if it is itself. What said nothing for three
    /// exchanges is not heard.
    fn hears_leader(&self) -> bool {
        let membership = self.replica.membership();
        match membership.leader {
            None => false,
            Some(leader) if leader == self.identity.member => {
                let heard = membership.voters.iter().filter(|voter| self.hears_now(**voter));
                heard.count().saturating_mul(2) > membership.voters.len()
            }
            Some(leader) => self.hears_now(leader),
        }
    }
}
