//! The platform that simulated members stand on: `openraft-rt-sim` for tasks and timers, a seed for chance, and
//! blocking work that takes a little virtual time and then runs on the one thread there is.
//!
//! Must hold: nothing here asks the machine for time, chance or threads.

use super::disk::SimDisk;
use super::fixture;
use super::world::{chance, now};
use openraft_rt_sim::{SimInstant, SimRuntime};
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore, SeedableRng as _};
use sekisho_raft::platform::{AsyncRuntime, BlockingError, Platform, words_of};
use sekisho_transport::deadline::DeadlinePassed;
use sekisho_transport::task::TaskGroup;
use sekisho_types::time::{Clock, Timestamp};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

/// What static functions find of the run on this thread.
struct Current {
    chance: StdRng,
    leader_restore: bool,
    panics: Vec<String>,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Ends the run on this thread when dropped.
pub(super) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrow_mut().take());
    }
}

/// Makes this thread the thread of one run.
pub(super) fn enter(seed: u64, leader_restore: bool) -> Entered {
    static HOOK: Once = Once::new();
    // The executor catches panics of tasks: without this one, a dead member would only be a slow one.
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let simulated = CURRENT.with(|current| {
                let mut current = current.try_borrow_mut().ok()?;
                current.as_mut()?.panics.push(info.to_string());
                Some(())
            });
            if simulated.is_none() {
                before(info);
            }
        }));
    });
    let (chance, panics) = (chance(seed, "platform"), Vec::new());
    CURRENT
        .with(|current| *current.borrow_mut() = Some(Current { chance, leader_restore, panics }));
    Entered(())
}

/// Panics since the last call, of tasks and of blocking work.
pub(super) fn take_panics() -> Vec<String> {
    with(|current| std::mem::take(&mut current.panics)).unwrap_or_default()
}

fn with<T>(look: impl FnOnce(&mut Current) -> T) -> Option<T> {
    CURRENT.with(|current| current.borrow_mut().as_mut().map(look))
}

/// Starts a task.
pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    drop(SimRuntime::spawn(future));
}

/// Waits.
pub(super) fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    SimRuntime::sleep(time)
}

/// The future's value, or nothing if it is not there in time.
pub(super) async fn limited<F>(time: Duration, future: F) -> Option<F::Output>
where
    F: Future + Send,
{
    SimRuntime::timeout(time, future).await.ok()
}

/// Members on virtual time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sim;

fn instant() -> SimInstant {
    SimInstant::try_now().unwrap_or_else(outside)
}

#[expect(clippy::panic, reason = "no member runs outside of a simulation")]
fn outside() -> SimInstant {
    panic!("a simulated member was used outside of its simulation")
}

impl Platform for Sim {
    type Engine = SimRuntime;
    type Disk = SimDisk;
    type Deadline = SimInstant;

    fn deadline(after: Duration) -> SimInstant {
        instant() + after
    }

    fn remaining(deadline: SimInstant) -> Duration {
        deadline - instant()
    }

    async fn within<F>(deadline: SimInstant, future: F) -> Result<F::Output, DeadlinePassed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        SimRuntime::timeout_at(deadline, future).await.map_err(|_elapsed| DeadlinePassed)
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        sleep(time)
    }

    async fn blocking<T, F>(work: F) -> Result<T, BlockingError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let micros = with(|current| current.chance.random_range(5..150)).unwrap_or(5);
        sleep(Duration::from_micros(micros)).await;
        let done = catch_unwind(AssertUnwindSafe(work));
        done.map_err(|payload| BlockingError::Panicked(words_of(payload.as_ref())))
    }

    fn spawn<F>(tasks: &TaskGroup, _name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cancelled = tasks.cancelled();
        spawn(async move {
            tokio::select! {
                biased;
                () = cancelled => {}
                () = future => {}
            }
        });
    }

    fn random() -> impl RngCore {
        StdRng::seed_from_u64(with(|current| current.chance.next_u64()).unwrap_or_default())
    }

    fn leader_restore() -> bool {
        with(|current| current.leader_restore).unwrap_or_default()
    }
}

/// Virtual time as a member's clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct SimClock;

impl Clock for SimClock {
    fn wall(&self) -> Timestamp {
        fixture::at(now())
    }

    fn boottime_ns(&self) -> u64 {
        u64::try_from(now().as_nanos()).unwrap_or(u64::MAX)
    }
}
