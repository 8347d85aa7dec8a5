//! What a member stands on: scheduling, timers, blocking work, chance and its disk, as one type parameter.
//!
//! [`Native`] is tokio and RocksDB, and the default of every public type here, so that nobody above has to name it. A
//! simulator is a second implementation in a crate of its own: a cargo feature would be unified into the shipped
//! programs by any build of the whole workspace, a type parameter cannot be.
//!
//! Must hold: nothing else in this crate reaches for a timer, a task, a thread or randomness; and where several tasks
//! may wait for one thing, they are woken in the order in which they came, or a run could not be repeated (so `Notify`
//! and not `watch`, and every `select!` is biased).

use crate::disk::MemberDisk;
pub use openraft::AsyncRuntime;
use rand::RngCore;
use sekisho_store::Store;
use sekisho_transport::deadline::{Deadline, DeadlinePassed, within};
use sekisho_transport::task::{TaskGroup, TaskKind};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Why blocking work gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockingError {
    /// It panicked, with these words.
    #[error("{0}")]
    Panicked(String),
    /// The runtime went away under it.
    #[error("the runtime is shutting down")]
    Cancelled,
}

/// A world for members to live in. All functions are static, as openraft's own are: one world per thread or process.
pub trait Platform: fmt::Debug + Clone + Copy + Default + Ord + Eq + Send + Sync + 'static {
    /// Tasks, timers and channels of the consensus engine.
    type Engine: AsyncRuntime;
    /// Where a member keeps everything.
    type Disk: MemberDisk;
    /// An instant until which an answer is of use.
    type Deadline: fmt::Debug + Copy + Ord + Send + Sync + 'static;

    /// The instant `after` from now.
    fn deadline(after: Duration) -> Self::Deadline;

    /// Time left; zero once passed.
    fn remaining(deadline: Self::Deadline) -> Duration;

    /// Runs `future` until the deadline; a future that is ready at the deadline wins.
    ///
    /// # Errors
    /// [`DeadlinePassed`]; the future is dropped then.
    fn within<F>(
        deadline: Self::Deadline,
        future: F,
    ) -> impl Future<Output = Result<F::Output, DeadlinePassed>> + Send
    where
        F: Future + Send,
        F::Output: Send;

    /// Waits.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Runs `work`, which may block on the disk or take long, where it delays nobody.
    ///
    /// # Errors
    /// [`BlockingError`].
    fn blocking<T, F>(work: F) -> impl Future<Output = Result<T, BlockingError>> + Send
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static;

    /// Runs `work` here and now: it must be short and must not wait for anything.
    ///
    /// # Errors
    /// [`BlockingError::Panicked`].
    fn inline<T>(work: impl FnOnce() -> T) -> Result<T, BlockingError> {
        // What it worked on is gone with it: nobody sees it half done.
        let done = catch_unwind(AssertUnwindSafe(work));
        done.map_err(|payload| BlockingError::Panicked(words_of(payload.as_ref())))
    }

    /// Starts a task whose end concerns nobody else. It ends with `tasks` at the latest.
    fn spawn<F>(tasks: &TaskGroup, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static;

    /// Chance, for pauses.
    fn random() -> impl RngCore;

    /// Whether a leader that restarts goes on leading the same term without an election. Never where data matters:
    /// see [`crate::config::RaftConfig`]. Here so that the simulation can keep showing why.
    #[must_use]
    fn leader_restore() -> bool {
        false
    }
}

/// Tokio, RocksDB, the machine's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Native;

impl Platform for Native {
    type Engine = openraft_rt_tokio::TokioRuntime;
    type Disk = Store;
    type Deadline = Deadline;

    fn deadline(after: Duration) -> Deadline {
        Deadline::after(after)
    }

    fn remaining(deadline: Deadline) -> Duration {
        deadline.remaining()
    }

    fn within<F>(
        deadline: Deadline,
        future: F,
    ) -> impl Future<Output = Result<F::Output, DeadlinePassed>> + Send
    where
        F: Future + Send,
        F::Output: Send,
    {
        within(deadline, future)
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }

    async fn blocking<T, F>(work: F) -> Result<T, BlockingError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| match error.try_into_panic() {
            Ok(payload) => BlockingError::Panicked(words_of(payload.as_ref())),
            Err(_cancelled) => BlockingError::Cancelled,
        })
    }

    fn spawn<F>(tasks: &TaskGroup, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tasks.spawn(TaskKind::Ordinary, name, future);
    }

    fn random() -> impl RngCore {
        rand::rng()
    }
}

/// What a panic said.
#[must_use]
pub fn words_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without words".to_owned())
}
