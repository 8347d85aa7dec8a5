//! The thread that looks at all processes as long as the drill runs, and what it keeps for the nemesis.

use super::census::{Census, Seen, nanos};
use super::judge::{Judge, Look, Standing};
use super::limit::LOOK_EVERY;
use anyhow::{Result, anyhow};
use parking_lot::Mutex;
use sekisho_agent_runtime::deadline::Deadline;
use sekisho_agent_runtime::procfs::boottime_ns;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What is known and done, shared between the threads of a drill.
#[derive(Debug, Default)]
pub struct Board {
    /// By host.
    pub hosts: Mutex<Vec<Standing>>,
    /// What lived at the last look.
    pub seen: Mutex<Vec<Seen>>,
    /// The judge.
    pub judge: Mutex<Judge>,
    /// Looks, and the longest time from one to the next.
    pub looks: Mutex<(u64, u64)>,
}

impl Board {
    /// Changes what is known of a host.
    pub fn host(&self, host: usize, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.hosts.lock().get_mut(host) {
            change(standing);
        }
    }

    /// Notes that a host cannot renew from now on. To be called when that is so.
    ///
    /// # Errors
    /// The clock cannot be read.
    pub fn mute(&self, host: usize) -> Result<()> {
        let now = boottime_ns()?;
        self.host(host, |standing| {
            standing.mute_since.get_or_insert(now);
        });
        Ok(())
    }

    /// Notes that a host can renew. To be called just before it can.
    pub fn speak(&self, host: usize) {
        self.host(host, |standing| standing.mute_since = None);
    }

    /// Processes of a host at the last look.
    #[must_use]
    pub fn of(&self, host: usize) -> Vec<Seen> {
        self.seen.lock().iter().filter(|seen| seen.host == host).cloned().collect()
    }
}

/// Looks until it is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Watch {
    /// Watches hosts with these runtime directories.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn begin(roots: &[PathBuf], board: &Arc<Board>) -> Result<Self> {
        *board.hosts.lock() = vec![Standing::default(); roots.len()];
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, board, roots) = (Arc::clone(&stop), Arc::clone(board), roots.to_vec());
        let watch = move || watch(&roots, &board, &stopped);
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(watch)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it.
    ///
    /// # Errors
    /// It could not look: nothing is proven.
    pub fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_panic| anyhow!("the watch failed"))?
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever drops it without asking does not want to know.
            drop(thread.join());
        }
    }
}

fn watch(roots: &[PathBuf], board: &Board, stop: &AtomicBool) -> Result<()> {
    let mut census = Census::new(roots.to_vec());
    let mut before = boottime_ns()?;
    while !stop.load(Ordering::Relaxed) {
        let at_ns = boottime_ns()?;
        let seen = census.look()?;
        // After the look: a deadline that was moved on meanwhile held for what was seen.
        for (host, root) in roots.iter().enumerate() {
            if let Some(deadline) = Deadline::read(root) {
                board.host(host, |standing| {
                    standing.kill_ns = standing.kill_ns.max(deadline.kill_ns);
                });
            }
        }
        let hosts = board.hosts.lock().clone();
        board.judge.lock().look(Look { at_ns, seen: &seen, hosts: &hosts });
        *board.seen.lock() = seen;
        {
            let mut looks = board.looks.lock();
            *looks = (looks.0.saturating_add(1), looks.1.max(at_ns.saturating_sub(before)));
        }
        before = at_ns;
        let spent = boottime_ns()?.saturating_sub(at_ns);
        let left = nanos(LOOK_EVERY).saturating_sub(spent).max(1_000_000);
        // waits: until the next look
        std::thread::sleep(std::time::Duration::from_nanos(left));
    }
    Ok(())
}
