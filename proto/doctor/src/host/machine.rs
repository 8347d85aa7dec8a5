//! The machine, whatever of ours runs on it: its clocks, its kernel, what the program may have there.

use crate::catalogue::clock::{CLOCK_BOOT, CLOCK_SYNC, CLOCK_WALL};
use crate::catalogue::host::{CORES, KERNEL, LIMITS, MEMORY};
use crate::check::Finding;
use crate::host::clock::{self, Known};
use crate::host::limits::{self, Limits};
use crate::host::{kernel, memory};
use crate::round::Round;
use sekisho_types::time::Clock;
use std::sync::Arc;

/// What a program needs of its machine.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// Open files.
    pub files: u64,
    /// Memory, bytes.
    pub memory: u64,
}

/// Looks at the machine. `known` is what is known to have happened before now.
pub async fn machine(round: &mut Round, time: &Arc<dyn Clock>, needs: Needs, known: Vec<Known>) {
    let now = Arc::clone(time);
    round.look(&CLOCK_WALL, move || vec![clock::wall(&*now, known)]).await;
    round.look(&CLOCK_SYNC, || vec![clock::sync()]).await;
    let now = Arc::clone(time);
    round.look(&CLOCK_BOOT, move || vec![clock::boot(&*now)]).await;
    round.look(&KERNEL, || vec![Finding::told(&KERNEL, kernel::version())]).await;
    round.look(&LIMITS, move || bounds(needs)).await;
    let memory = move || vec![Finding::told(&MEMORY, memory::memory(needs.memory))];
    round.look(&MEMORY, memory).await;
}

/// Limits are judged where the program runs: those of a shell say nothing about its service.
fn bounds(needs: Needs) -> Vec<Finding> {
    let found = match Limits::of(needs.pid) {
        Ok(found) => found,
        Err(error) => return vec![Finding::told(&LIMITS, Err(error))],
    };
    let (of, least) = match needs.pid {
        Some(pid) => (format!("process {pid}"), needs.files),
        None => ("doctor".to_owned(), 0),
    };
    vec![
        Finding::told(&LIMITS, limits::limits(&of, found, least)),
        Finding::told(&CORES, kernel::cores(found.core)),
    ]
}
