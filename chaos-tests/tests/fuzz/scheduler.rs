//! Scheduler snapshots, which come from whoever reports a placement: nobody may be stopped by one, its sum right or not.

use crate::{Read, decoders, sample};
use sekisho_fsm::planning::SchedulerSnapshot;
use sekisho_scheduler::{explain, plan};
use sekisho_types::id::Digest;

/// Bytes of the sum at the end of a file.
const SUM: usize = 32;
/// Jobs that are explained: an explanation asks several times over.
const JOBS: usize = 4;

/// A file without its sum.
fn content() -> Vec<u8> {
    let mut file = sample::scheduler_snapshot();
    file.truncate(file.len() - SUM);
    file
}

/// Reads these bytes under the sum that they have, and plans on what they say.
fn replayed(content: &[u8]) -> Read {
    let file = [content, &Digest::of(content).0].concat();
    let Ok(snapshot) = SchedulerSnapshot::read(&file) else { return Read::Refused };
    drop(plan(&snapshot.state));
    for (_, job) in snapshot.state.jobs().take(JOBS) {
        drop(explain(&snapshot.state, &job.facts));
    }
    Read::Accepted
}

decoders! {
    scheduler_snapshot: [sample::scheduler_snapshot()], |bytes: &[u8]| Read::any(SchedulerSnapshot::read(bytes));
    scheduler_content: [content()], replayed;
}
