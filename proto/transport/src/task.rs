//! Tasks in groups: the only place that spawns. A group knows its tasks, so that shutdown waits for them and a
//! panic is heard instead of leaving a half-dead process (R7).

use futures::FutureExt as _;
use parking_lot::Mutex;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the end of a task means for its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// The rest is useless without it: its panic or its return, while nobody cancelled, cancels the group.
    Critical,
    /// Its end concerns nobody else; a panic is logged and counted.
    Ordinary,
}

/// A set of tasks that are cancelled and awaited together. Clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct TaskGroup(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    token: CancellationToken,
    panics: AtomicU64,
    failed: Mutex<Option<&'static str>>,
}

impl TaskGroup {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group that ends with this one at the latest. It has to be awaited by itself: [`TaskGroup::shutdown`] of
    /// the parent cancels it but does not wait for it.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Inner { token: self.0.token.child_token(), ..Inner::default() }))
    }

    /// Starts a task. On cancellation it is dropped at its next await; one that has to finish something spawns
    /// with [`TaskGroup::spawn_finishing`].
    pub fn spawn<F>(&self, kind: TaskKind, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.0.token.clone();
        self.spawn_finishing(kind, name, async move {
            tokio::select! {
                biased;
                () = token.cancelled_owned() => {}
                () = future => {}
            }
        });
    }

    /// Starts a task that watches [`TaskGroup::cancelled`] itself and ends in its own time.
    pub fn spawn_finishing<F>(&self, kind: TaskKind, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let group = self.clone();
        self.0.tracker.spawn(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            group.ended(kind, name, outcome.err());
        });
    }

    fn ended(
        &self,
        kind: TaskKind,
        name: &'static str,
        panic: Option<Box<dyn std::any::Any + Send>>,
    ) {
        let panicked = panic.is_some();
        if let Some(payload) = panic {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            self.0.panics.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("sekisho_task_panics_total", "task" => name).increment(1);
            tracing::error!(task = name, panic = %text, "task panicked");
        }
        match kind {
            TaskKind::Critical if !self.is_cancelled() => {
                if !panicked {
                    tracing::error!(task = name, "critical task ended");
                }
                self.0.failed.lock().get_or_insert(name);
                self.cancel();
            }
            TaskKind::Critical | TaskKind::Ordinary => {}
        }
    }

    /// Tells every task to end.
    pub fn cancel(&self) {
        self.0.token.cancel();
    }

    /// Whether the group was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// A token that is cancelled with the group, or alone.
    pub(crate) fn child_token(&self) -> CancellationToken {
        self.0.token.child_token()
    }

    /// Resolves when the group is cancelled.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.token.clone().cancelled_owned()
    }

    /// Cancels and waits at most `grace`; `false` if a task was still running then.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.cancel();
        self.0.tracker.close();
        tokio::time::timeout(grace, self.0.tracker.wait()).await.is_ok()
    }

    /// The first critical task whose end cancelled this group.
    #[must_use]
    pub fn failed(&self) -> Option<&'static str> {
        *self.0.failed.lock()
    }

    /// Panics caught so far.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const GRACE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn an_ordinary_panic_is_counted_and_the_others_go_on() {
        let group = TaskGroup::new();
        let (done, end) = oneshot::channel();
        group.spawn(TaskKind::Ordinary, "breaks", async { panic!("on purpose") });
        group.spawn(TaskKind::Ordinary, "works", async move {
            done.send(()).unwrap();
        });
        end.await.unwrap();
        assert!(!group.is_cancelled());
        assert!(group.shutdown(GRACE).await);
        assert_eq!((group.panics(), group.failed()), (1, None));
    }

    #[tokio::test]
    async fn the_end_of_a_critical_task_cancels_the_group() {
        for breaks in [true, false] {
            let (group, other) = (TaskGroup::new(), TaskGroup::new());
            let child = group.child();
            child.spawn(TaskKind::Critical, "forever", std::future::pending());
            group.spawn(TaskKind::Critical, "heart", async move {
                assert!(!breaks, "on purpose");
            });
            child.cancelled().await;
            assert_eq!(group.failed(), Some("heart"));
            assert!(group.shutdown(GRACE).await && child.shutdown(GRACE).await);
            // Being cancelled is no failure of the task that was.
            assert_eq!((child.failed(), other.is_cancelled()), (None, false));
        }
    }

    #[tokio::test]
    async fn a_finishing_task_is_awaited() {
        let group = TaskGroup::new();
        let (go, wait) = oneshot::channel::<()>();
        group.spawn_finishing(TaskKind::Ordinary, "flush", async move {
            wait.await.unwrap();
        });
        assert!(!group.shutdown(Duration::from_millis(1)).await);
        go.send(()).unwrap();
        assert!(group.shutdown(GRACE).await);
    }
}
