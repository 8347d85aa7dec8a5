//! The bounded queue in front of the IO thread.
//!
//! Must hold: first in, first out; bounded by count and by bytes (L4), a submitter beyond the bound waits; after
//! `close` what is queued is still handed out, then the end.

use crate::error::StoreError;
use crate::limit::{BATCH_BYTES, BATCH_OPS, QUEUE_BYTES, QUEUE_OPS};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Called once with the outcome, on the IO thread, in submit order. Must be short and must not submit to the log.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// One operation on the log.
pub(crate) enum Kind {
    /// Rows `first..` of the log.
    Append { first: u64, entries: Vec<Arc<[u8]>> },
    /// Replace the vote.
    Vote(Vec<u8>),
    /// Replace the committed mark; need not be durable.
    Committed(Vec<u8>),
    /// Drop rows from `from` on.
    Truncate { from: u64 },
    /// Drop rows `from..=upto`; `id` names the last dropped one.
    Purge { from: u64, upto: u64, id: Vec<u8> },
}

/// An operation with whom to tell.
pub(crate) struct Op {
    pub(crate) kind: Kind,
    /// Count of cuts (truncate, purge beyond the end) submitted before this one ended; see `LogState::cuts`.
    pub(crate) cuts: u64,
    pub(crate) done: Done,
}

impl Op {
    pub(crate) fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Append { entries, .. } => {
                entries.iter().fold(0, |sum, e| sum.saturating_add(e.len()))
            }
            Kind::Vote(bytes) | Kind::Committed(bytes) | Kind::Purge { id: bytes, .. } => {
                bytes.len()
            }
            Kind::Truncate { .. } => 0,
        }
    }
}

/// What the IO thread gets.
pub(crate) enum Drained {
    /// At least one operation, in order.
    Ops(Vec<Op>),
    /// Nothing came within the given time.
    Idle,
    /// Closed and empty.
    Closed,
}

#[derive(Default)]
struct Waiting {
    ops: VecDeque<Op>,
    bytes: usize,
    closed: bool,
}

/// The queue; shared by submitters and the IO thread.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
    room: Condvar,
}

impl Queue {
    /// Adds `op`, waiting for room.
    pub(crate) fn push(&self, op: Op) -> Result<(), StoreError> {
        let bytes = op.bytes();
        let mut waiting = self.waiting.lock();
        while !waiting.closed
            && (waiting.ops.len() >= QUEUE_OPS
                || (!waiting.ops.is_empty() && waiting.bytes.saturating_add(bytes) > QUEUE_BYTES))
        {
            self.room.wait(&mut waiting);
        }
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        waiting.ops.push_back(op);
        self.ready.notify_one();
        Ok(())
    }

    /// Takes what is queued, up to the bounds of one write. Waits `idle` for it, for ever if `None`.
    pub(crate) fn drain(&self, idle: Option<Duration>) -> Drained {
        let mut waiting = self.waiting.lock();
        while waiting.ops.is_empty() {
            if waiting.closed {
                return Drained::Closed;
            }
            match idle {
                None => self.ready.wait(&mut waiting),
                Some(idle) => {
                    let late = self.ready.wait_for(&mut waiting, idle).timed_out();
                    if late && waiting.ops.is_empty() && !waiting.closed {
                        return Drained::Idle;
                    }
                }
            }
        }
        let (mut ops, mut bytes) = (Vec::new(), 0_usize);
        while let Some(op) = waiting.ops.front() {
            let size = op.bytes();
            if !ops.is_empty()
                && (ops.len() >= BATCH_OPS || bytes.saturating_add(size) > BATCH_BYTES)
            {
                break;
            }
            bytes = bytes.saturating_add(size);
            ops.extend(waiting.ops.pop_front());
        }
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        self.room.notify_all();
        Drained::Ops(ops)
    }

    /// Refuses further operations.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.ready.notify_all();
        self.room.notify_all();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting.lock().ops.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(size: usize) -> Op {
        Op { kind: Kind::Vote(vec![0; size]), cuts: 0, done: Box::new(|_| ()) }
    }

    fn sizes(drained: Drained) -> Vec<usize> {
        match drained {
            Drained::Ops(ops) => ops.iter().map(Op::bytes).collect(),
            Drained::Idle | Drained::Closed => vec![],
        }
    }

    #[test]
    fn hands_out_in_order_within_the_bounds_of_one_write() {
        let queue = Queue::default();
        for size in [BATCH_BYTES - 1, 1, 1, BATCH_BYTES + 1, 3] {
            queue.push(op(size)).unwrap();
        }
        assert_eq!(sizes(queue.drain(None)), [BATCH_BYTES - 1, 1]);
        assert_eq!(sizes(queue.drain(None)), [1]);
        assert_eq!(sizes(queue.drain(None)), [BATCH_BYTES + 1]);
        queue.close();
        assert!(matches!(queue.push(op(1)), Err(StoreError::Closed)));
        assert_eq!(sizes(queue.drain(None)), [3]);
        assert!(matches!(queue.drain(None), Drained::Closed));
    }

    #[test]
    fn a_submitter_beyond_the_bound_waits_for_room() {
        let queue = Queue::default();
        for _ in 0..QUEUE_OPS {
            queue.push(op(0)).unwrap();
        }
        let (sent, passed) = crossbeam_channel::bounded(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                queue.push(op(1)).unwrap();
                sent.send(()).unwrap();
            });
            assert!(passed.recv_timeout(Duration::from_millis(20)).is_err());
            assert_eq!(sizes(queue.drain(None)).len(), BATCH_OPS);
            passed.recv().unwrap();
        });
    }
}
