//! A snapshot of now, for a backup.

use super::{Consensus, Core};
use crate::error::{MemberFailure, ReadError};
use crate::platform::Platform;
use crate::snapshot::{Moment, SnapshotError};
use openraft::async_runtime::WatchReceiver as _;
use sekisho_types::revision::Revision;

impl<P: Platform> Consensus<P> {
    /// Saves a snapshot of everything that is applied here when this is called, and reads it back, verified.
    ///
    /// # Errors
    /// [`ReadError::Behind`] at the deadline; [`ReadError::ShuttingDown`], [`ReadError::Failed`].
    pub async fn moment(&self, deadline: P::Deadline) -> Result<Moment, ReadError> {
        let need = self.view().applied.unwrap_or_default();
        let moment = P::within(deadline, self.0.moment(need)).await;
        moment.map_err(|_passed| ReadError::Behind { need })?
    }
}

impl<P: Platform> Core<P> {
    async fn moment(&self, need: Revision) -> Result<Moment, ReadError> {
        let mut metrics = self.raft.metrics();
        loop {
            let saved = metrics.borrow_watched().snapshot;
            if saved.is_some_and(|last| last.index() >= need.0) {
                match self.load().await? {
                    Some(moment) => return Ok(moment),
                    // A newer one took its place while it was read.
                    None => continue,
                }
            }
            self.still_running()?;
            // Nothing comes of it while an older one is being built. Then that one's end wakes this loop, to ask again.
            if let Err(fatal) = self.raft.trigger().snapshot().await {
                self.fatal(&fatal);
                self.still_running()?;
                return Err(ReadError::ShuttingDown);
            }
            while metrics.borrow_watched().snapshot == saved {
                if metrics.changed().await.is_err() {
                    self.still_running()?;
                    return Err(ReadError::ShuttingDown);
                }
            }
        }
    }

    /// The newest snapshot, unless it was replaced meanwhile.
    async fn load(&self) -> Result<Option<Moment>, ReadError> {
        let stopped = |_stopped| ReadError::ShuttingDown;
        let Some(snapshot) = self.raft.get_snapshot().await.map_err(stopped)? else {
            return Ok(None);
        };
        let meta = snapshot.meta;
        let Some(last) = meta.last_log_id else { return Ok(None) };
        let read = P::blocking(move || snapshot.snapshot.load()).await;
        let failed = |why: String| ReadError::Failed(MemberFailure::Storage(why.into()));
        match read.map_err(|error| failed(error.to_string()))? {
            Ok(image) => Ok(Some(Moment::new(image, &last, &meta.last_membership))),
            Err(SnapshotError::Superseded) => Ok(None),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn still_running(&self) -> Result<(), ReadError> {
        if let Some(failure) = self.publisher.failure() {
            return Err(ReadError::Failed(failure));
        }
        if self.closing() { Err(ReadError::ShuttingDown) } else { Ok(()) }
    }
}
