//! Records, read on all cores and handed to those that judge them, chunk by chunk.
//!
//! Must hold: every taker gets every chunk, in order; what is read is bounded, however long the log is; the first record that
//! cannot be read ends it for all. Nothing is judged here.

use sekisho_evidence::canonical::decode;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::apply::Ahead;
use sekisho_fsm::entry::Entry;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, available_parallelism, scope};

/// Records of one chunk: enough signatures to check together, and little to hold.
const CHUNK: usize = 1024;
/// Chunks that wait for a taker from each reader.
const AHEAD: usize = 2;
/// Readers, at most: the takers are no faster than so many.
const READERS_MAX: usize = 8;

/// One record, read strictly.
#[derive(Debug)]
pub struct Read {
    /// The record.
    pub record: Record,
    /// If it is an entry's: the entry, and what was found out about its signatures.
    pub entry: Option<(Entry, Ahead)>,
}

/// Records that follow each other.
#[derive(Debug)]
pub struct Chunk<'r> {
    /// Index of the first one.
    pub first: u64,
    /// Their bytes.
    pub raw: &'r [&'r [u8]],
    /// What they say.
    pub reads: Vec<Read>,
}

impl<'r> Chunk<'r> {
    /// Index, bytes and content of each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &'r [u8], &Read)> {
        let reads = self.raw.iter().zip(&self.reads);
        (self.first..).zip(reads).map(|(index, (raw, read))| (index, *raw, read))
    }
}

/// A record that is not in its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which.
    pub index: u64,
    /// Why.
    pub why: String,
}

/// Whoever judges records.
pub trait Taker: Send {
    /// Takes the next ones; breaks if it needs no more.
    fn take(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()>;
}

/// Reads every record and hands it to every taker.
///
/// # Errors
/// The first record that cannot be read; the takers had those of the chunks before it.
pub fn run<'r>(raw: &'r [&'r [u8]], takers: &mut [&mut dyn Taker]) -> Result<(), Unreadable> {
    let readers = available_parallelism().map_or(1, NonZero::get).min(READERS_MAX);
    scope(|scope| {
        let mut ends = Vec::new();
        let mut queues: Vec<Vec<Receiver<Handed<'r>>>> = takers.iter().map(|_| vec![]).collect();
        let no_thread = |error: std::io::Error| Unreadable { index: 0, why: error.to_string() };
        for reader in 0..readers {
            let mut out = Vec::new();
            for queue in &mut queues {
                let (sender, receiver) = sync_channel(AHEAD);
                out.push(sender);
                queue.push(receiver);
            }
            let named = Builder::new().name(format!("read-{reader}"));
            let work = move || read_every(raw, (reader, readers), &out);
            named.spawn_scoped(scope, work).map_err(no_thread)?;
        }
        for (n, (taker, queue)) in takers.iter_mut().zip(queues).enumerate() {
            let named = Builder::new().name(format!("judge-{n}"));
            let work = move || take_all(*taker, &queue);
            ends.push(named.spawn_scoped(scope, work).map_err(no_thread)?);
        }
        let broken = || Unreadable { index: 0, why: "a thread broke off".to_owned() };
        let ends: Vec<_> =
            ends.into_iter().map(|end| end.join().unwrap_or_else(|_panic| Err(broken()))).collect();
        ends.into_iter().collect()
    })
}

type Handed<'r> = Result<Arc<Chunk<'r>>, Unreadable>;

/// Reads each chunk whose turn it is, and hands it to all before it reads the next.
fn read_every<'r>(
    raw: &'r [&'r [u8]],
    (own, readers): (usize, usize),
    out: &[SyncSender<Handed<'r>>],
) {
    for (at, raw) in raw.chunks(CHUNK).enumerate().skip(own).step_by(readers) {
        let first = u64::try_from(at.saturating_mul(CHUNK)).unwrap_or(u64::MAX);
        let chunk = read(first, raw).map(Arc::new);
        // One that broke off needs no more; when nobody does, there is no more to do.
        let taken = out.iter().filter(|queue| queue.send(chunk.clone()).is_ok()).count();
        if taken == 0 || chunk.is_err() {
            return;
        }
    }
}

fn take_all(taker: &mut dyn Taker, queues: &[Receiver<Handed<'_>>]) -> Result<(), Unreadable> {
    for queue in queues.iter().cycle() {
        match queue.recv() {
            Ok(Ok(chunk)) if taker.take(&chunk).is_break() => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(unreadable)) => return Err(unreadable),
            // Its reader is done, and so is everything before its next turn.
            Err(_closed) => return Ok(()),
        }
    }
    Ok(())
}

fn read<'r>(first: u64, raw: &'r [&'r [u8]]) -> Result<Chunk<'r>, Unreadable> {
    let mut reads = Vec::with_capacity(raw.len());
    let mut entries = Vec::new();
    for (index, bytes) in (first..).zip(raw) {
        let bad = |why: String| Unreadable { index, why };
        let record = Record::parse(bytes).map_err(|error| bad(error.to_string()))?;
        if let Body::Entry { entry, .. } = &record.body {
            let entry = decode::<Entry>(entry);
            entries.push(entry.map_err(|error| bad(format!("unreadable entry: {error}")))?);
        }
        reads.push(Read { record, entry: None });
    }
    let found = Ahead::together(&entries.iter().collect::<Vec<_>>());
    let of_entries = reads.iter_mut().filter(|read| matches!(read.record.body, Body::Entry { .. }));
    for (read, entry) in of_entries.zip(entries.into_iter().zip(found)) {
        read.entry = Some(entry);
    }
    Ok(Chunk { first, raw, reads })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::grant::NodeDesired;
    use sekisho_types::id::{ClusterId, Digest};
    use sekisho_types::revision::{Epoch, Incarnation, Revision};
    use sekisho_types::time::Timestamp;

    struct Noted(Vec<u64>, u64);

    impl Taker for Noted {
        fn take(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
            self.0.extend(chunk.iter().map(|(index, _, read)| {
                assert_eq!(index, read.record.revision.0);
                index
            }));
            if chunk.first >= self.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    fn records(count: u64) -> Vec<Vec<u8>> {
        let record = |revision| {
            let epoch = Epoch { incarnation: Incarnation(1), revision: Revision(revision) };
            let node = "tokyo-1/n-01".parse().unwrap();
            let (cluster, hash) = (ClusterId([1; 16]), Digest([0; 32]));
            let desired = NodeDesired { cluster, node, epoch, count: 0, hash };
            let body = Body::Desired(desired);
            Record { revision: Revision(revision), time: Timestamp(1), body }.bytes().unwrap()
        };
        (0..count).map(record).collect()
    }

    #[test]
    fn every_taker_gets_all_in_order_and_one_that_breaks_off_holds_nobody_up() {
        let records = records(20_000);
        let raw: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let (mut all, mut few) = (Noted(vec![], u64::MAX), Noted(vec![], 0));
        run(&raw, &mut [&mut all, &mut few]).unwrap();
        assert!(all.0.iter().copied().eq(0..20_000));
        assert!(few.0.iter().copied().eq(0..1024));
        let mut none = Noted(vec![], u64::MAX);
        run(&[], &mut [&mut none]).unwrap();
        assert!(none.0.is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_read_ends_it_and_is_named() {
        let mut records = records(9_000);
        records[5_000].push(0);
        let raw: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let mut noted = Noted(vec![], u64::MAX);
        let unreadable = run(&raw, &mut [&mut noted]).unwrap_err();
        assert_eq!(unreadable.index, 5_000);
        assert!(noted.0.iter().copied().eq(0..4096));
    }
}
