//! The door through which agents come back: so many at a time, in order, those that have something to lose first.
//!
//! Must hold: L4. After a failover or a cut of a site ten thousand agents come within a second. What their sessions and
//! streams cost at the beginning (an entry of the log, proofs, desired sets) is spread; renewals and raft never wait here.
//! Whoever finds no place is told when to come again, and costs nothing until then. Nobody waits for ever: of those that
//! wait, one without anything that runs goes after so many that have ([`GATE_FIRST_IN_A_ROW`]).

use crate::limit::{GATE_FIRST_IN_A_ROW, GATE_QUEUE, GATE_RETRY, GATE_ROOMS, GATE_WAIT};
use parking_lot::Mutex;
use sekisho_fsm::state::Node;
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_types::error_code::ErrorCode;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Its lease is live and it runs something.
    First,
    /// The others.
    Then,
}

impl Lane {
    pub(crate) fn of(node: &Node) -> Self {
        let loses = node.live_session().is_some() && !node.placements.is_empty();
        if loses { Self::First } else { Self::Then }
    }
}

#[derive(Debug)]
struct Inner {
    rooms: usize,
    first: VecDeque<oneshot::Sender<Ticket>>,
    then: VecDeque<oneshot::Sender<Ticket>>,
    /// How many of the first went since one of the others did.
    in_a_row: usize,
}

/// The door of one member.
#[derive(Debug)]
pub(crate) struct Gate {
    inner: Mutex<Inner>,
    queue: usize,
}

/// A place inside; it goes to the next when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket(Option<Arc<Gate>>);

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.pass_on();
        }
    }
}

impl Inner {
    fn next(&mut self) -> Option<oneshot::Sender<Ticket>> {
        let others = !self.then.is_empty();
        if self.first.is_empty() || others && self.in_a_row >= GATE_FIRST_IN_A_ROW {
            self.in_a_row = 0;
            return self.then.pop_front();
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.first.pop_front()
    }

    fn waiting(&self) -> usize {
        self.first.len().saturating_add(self.then.len())
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(GATE_ROOMS, GATE_QUEUE)
    }
}

impl Gate {
    fn new(rooms: usize, queue: usize) -> Self {
        let (first, then) = (VecDeque::new(), VecDeque::new());
        Self { inner: Mutex::new(Inner { rooms, first, then, in_a_row: 0 }), queue }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `OVERLOADED`, with a time to come again.
    pub(crate) async fn enter(self: &Arc<Self>, lane: Lane) -> Result<Ticket, ApiError> {
        let Some(turn) = self.line_up(lane)? else { return Ok(Ticket(Some(Arc::clone(self)))) };
        // Dropped by the other side: somebody who has more to lose took the place.
        let turn = within(Deadline::after(GATE_WAIT), turn).await;
        turn.map_err(|_passed| full())?.map_err(|_put_off| full())
    }

    /// `None` if there is room at once.
    fn line_up(&self, lane: Lane) -> Result<Option<oneshot::Receiver<Ticket>>, ApiError> {
        let mut inner = self.inner.lock();
        if inner.rooms > 0 {
            inner.rooms = inner.rooms.saturating_sub(1);
            return Ok(None);
        }
        if inner.waiting() >= self.queue {
            // Those that gave up are no reason to turn others away.
            inner.first.retain(|turn| !turn.is_closed());
            inner.then.retain(|turn| !turn.is_closed());
        }
        if inner.waiting() >= self.queue {
            let put_off = if lane == Lane::First { inner.then.pop_back() } else { None };
            if put_off.is_none() {
                return Err(full());
            }
        }
        let (turn, waits) = oneshot::channel();
        match lane {
            Lane::First => inner.first.push_back(turn),
            Lane::Then => inner.then.push_back(turn),
        }
        Ok(Some(waits))
    }

    /// Gives a place to the next that still waits.
    fn pass_on(self: Arc<Self>) {
        let mut ticket = Ticket(Some(Arc::clone(&self)));
        let mut inner = self.inner.lock();
        while let Some(next) = inner.next() {
            match next.send(ticket) {
                Ok(()) => return,
                Err(returned) => ticket = returned,
            }
        }
        inner.rooms = inner.rooms.saturating_add(1);
        // It is back; dropping it must not give it back twice.
        ticket.0 = None;
    }
}

fn full() -> ApiError {
    metrics::counter!("sekisho_api_agents_put_off_total").increment(1);
    ApiError {
        retry_after: Some(GATE_RETRY),
        ..ApiError::new(ErrorCode::Overloaded, "too many agents come at once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn gate(rooms: usize, queue: usize) -> Arc<Gate> {
        Arc::new(Gate::new(rooms, queue))
    }

    async fn in_order(gate: &Arc<Gate>, lanes: &[Lane]) -> Vec<usize> {
        let inside = gate.enter(Lane::Then).await.unwrap();
        let (gone, order) = (AtomicUsize::new(0), Mutex::new(vec![0; lanes.len()]));
        let waits = lanes.iter().enumerate().map(|(n, lane)| {
            let (gate, gone, order) = (Arc::clone(gate), &gone, &order);
            async move {
                let _ticket = gate.enter(*lane).await.unwrap();
                order.lock()[n] = gone.fetch_add(1, Ordering::Relaxed);
            }
        });
        let opens = async move { drop(inside) };
        tokio::join!(futures::future::join_all(waits), opens);
        order.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_have_something_to_lose_go_first_and_the_others_in_between() {
        let mut lanes = vec![Lane::Then; 2];
        lanes.extend(vec![Lane::First; 20]);
        let order = in_order(&gate(1, 100), &lanes).await;
        assert_eq!(order[..2], [GATE_FIRST_IN_A_ROW, 2 * GATE_FIRST_IN_A_ROW + 1]);
        assert!(order[2..].is_sorted(), "each lane in the order of coming");
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_whoever_is_put_off_is_told_when_to_come_again() {
        let gate = gate(1, 2);
        let inside = gate.enter(Lane::Then).await.unwrap();
        let (mut one, mut two) =
            (Box::pin(gate.enter(Lane::Then)), Box::pin(gate.enter(Lane::Then)));
        assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
        let full = gate.enter(Lane::Then).await.unwrap_err();
        assert_eq!((full.code, full.retry_after), (ErrorCode::Overloaded, Some(GATE_RETRY)));
        // Somebody with more to lose takes the place of the last one.
        let mut first = Box::pin(gate.enter(Lane::First));
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(two.await.unwrap_err().code, ErrorCode::Overloaded);
        drop(inside);
        let ticket = first.await.unwrap();
        assert!(one.as_mut().now_or_never().is_none());
        drop(ticket);
        drop(one.await.unwrap());
        assert_eq!(gate.inner.lock().rooms, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_its_own_patience() {
        let gate = gate(1, 2);
        let _inside = gate.enter(Lane::Then).await.unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(gate.enter(Lane::First).await.unwrap_err().code, ErrorCode::Overloaded);
        assert_eq!(begun.elapsed(), GATE_WAIT);
        // Those that gave up take no place of others.
        let mut two = Box::pin(gate.enter(Lane::Then));
        let mut three = Box::pin(gate.enter(Lane::Then));
        assert!(two.as_mut().now_or_never().is_none() && three.as_mut().now_or_never().is_none());
    }

    /// Numbers that look random, from a seed.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % n
        }
    }

    /// Whoever comes, waits, gives up or leaves in whatever order: no place is lost and none is made.
    #[tokio::test(start_paused = true)]
    async fn places_are_neither_lost_nor_made() {
        for seed in 1..=300 {
            let (gate, mut dice) = (gate(3, 5), Dice(seed));
            let (mut inside, mut waiting) = (Vec::new(), Vec::new());
            for _ in 0..200 {
                let lane = if dice.below(2) == 0 { Lane::First } else { Lane::Then };
                match dice.below(4) {
                    0 | 1 => {
                        let held = Arc::clone(&gate);
                        waiting.push(Box::pin(async move { held.enter(lane).await }));
                    }
                    2 => drop(inside.pop()),
                    _ => drop(waiting.pop()),
                }
                let mut still = Vec::new();
                for mut turn in waiting {
                    match turn.as_mut().now_or_never() {
                        Some(Ok(ticket)) => inside.push(ticket),
                        Some(Err(_)) => {}
                        None => still.push(turn),
                    }
                }
                waiting = still;
                assert!(inside.len() <= 3 && gate.inner.lock().waiting() <= 5, "seed {seed}");
            }
            drop((inside, waiting));
            assert_eq!(gate.inner.lock().rooms, 3, "seed {seed}");
        }
    }
}
