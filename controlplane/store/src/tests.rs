//! Tests through the front door: open, close, damage, open again.

mod damage;
mod kill;
mod open;
mod tables;

use crate::{Done, Member, OpenRequest, Store, StoreError, StoreResult};
use sekisho_types::time::{Clock, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that moves by a microsecond each time it is read.
#[derive(Debug, Default)]
pub(crate) struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn wall(&self) -> Timestamp {
        Timestamp(self.boottime_ns() / 1_000_000)
    }

    fn boottime_ns(&self) -> u64 {
        self.0.fetch_add(1000, Ordering::Relaxed)
    }
}

pub(crate) const MEMBER: Member =
    Member { cluster_id: [7; 16], incarnation: 2, begun: [6; 32], member_id: 3 };

pub(crate) fn request(dir: &Path) -> OpenRequest {
    let clock = Arc::new(Ticks::default());
    OpenRequest {
        dir: dir.to_path_buf(),
        member: MEMBER,
        create_at_ms: Some(1_800_000_000_000),
        clock,
    }
}

pub(crate) fn open(dir: &Path) -> StoreResult<Store> {
    Store::open(&request(dir))
}

/// Submits through `op` and waits for the outcome.
pub(crate) fn wait(op: impl FnOnce(Done) -> StoreResult<()>) -> StoreResult<()> {
    let (tell, told) = crossbeam_channel::bounded(1);
    op(Box::new(move |outcome| tell.send(outcome).unwrap()))?;
    told.recv().unwrap()
}

pub(crate) fn entry(index: u64, size: usize) -> (u64, Vec<u8>) {
    let mut bytes = vec![u8::try_from(index % 251).unwrap(); size];
    bytes.splice(..size.min(8), index.to_be_bytes().into_iter().take(size.min(8)));
    (index, bytes)
}

pub(crate) fn append(store: &Store, range: std::ops::Range<u64>, size: usize) {
    wait(|done| store.log().append(range.map(|i| entry(i, size)).collect(), done)).unwrap();
}

pub(crate) fn is_damaged<T>(outcome: &StoreResult<T>) -> bool {
    matches!(outcome, Err(StoreError::Damaged { .. }))
}
