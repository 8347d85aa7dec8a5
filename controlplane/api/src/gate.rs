//! The door through which agents come back: so many at a time, in order, those that have something to lose first.
//!
//! Must hold: L4. After a failover or a cut of a site ten thousand agents come within a second. What their sessions and
//! streams cost at the beginning (an entry of the log, proofs, desired sets) is spread; renewals and raft never wait here.
//! Whoever finds no place is told when to come again, and costs nothing until then. Nobody waits for ever: after so many
//! others ([`GATE_PASSED_MAX`]) one goes that has less to lose.

use crate::limit::{GATE_PASSED_MAX, GATE_QUEUE, GATE_RETRY, GATE_ROOMS, GATE_WAIT};
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
    /// Its session is open and it runs something.
    Runs,
    /// Its session is open: the time of its lease runs, and in vain while it waits here.
    Leased,
    /// The others: with a session that is begun later nothing is lost.
    New,
}

impl Lane {
    /// How many there are.
    const COUNT: usize = 3;

    pub(crate) fn of(node: &Node) -> Self {
        match node.live_session() {
            Some(_) if node.placements.is_empty() => Self::Leased,
            Some(_) => Self::Runs,
            None => Self::New,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Runs => 0,
            Self::Leased => 1,
            Self::New => 2,
        }
    }
}

/// Those of a lane, in the order of coming.
#[derive(Debug, Default)]
struct Line {
    turns: VecDeque<oneshot::Sender<Ticket>>,
    /// How often one of another lane went while somebody waited here.
    passed: usize,
}

#[derive(Debug)]
struct Inner {
    rooms: usize,
    lines: [Line; Lane::COUNT],
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
    /// The first of the lane that was passed over too often, or of the first one where somebody waits.
    fn next(&mut self) -> Option<oneshot::Sender<Ticket>> {
        let waits = |line: &Line| !line.turns.is_empty();
        let neglected = |line: &Line| waits(line) && line.passed >= GATE_PASSED_MAX;
        let lines = &mut self.lines;
        let goes = lines.iter().position(neglected).or_else(|| lines.iter().position(waits))?;
        for (at, line) in lines.iter_mut().enumerate() {
            line.passed =
                if at == goes || !waits(line) { 0 } else { line.passed.saturating_add(1) };
        }
        lines.get_mut(goes)?.turns.pop_front()
    }

    fn waiting(&self) -> usize {
        self.lines.iter().map(|line| line.turns.len()).sum()
    }

    /// Puts off the last that came of those that have less to lose; `false` if there is none.
    fn make_room(&mut self, lane: Lane) -> bool {
        let less = self.lines.iter_mut().skip(lane.index().saturating_add(1));
        less.rev().any(|line| line.turns.pop_back().is_some())
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(GATE_ROOMS, GATE_QUEUE)
    }
}

impl Gate {
    fn new(rooms: usize, queue: usize) -> Self {
        Self { inner: Mutex::new(Inner { rooms, lines: Default::default() }), queue }
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
            inner.lines.iter_mut().for_each(|line| line.turns.retain(|turn| !turn.is_closed()));
        }
        if inner.waiting() >= self.queue && !inner.make_room(lane) {
            return Err(full());
        }
        let (turn, waits) = oneshot::channel();
        if let Some(line) = inner.lines.get_mut(lane.index()) {
            line.turns.push_back(turn);
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
        let inside = gate.enter(Lane::New).await.unwrap();
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
        let mut lanes = vec![Lane::New; 2];
        lanes.extend(vec![Lane::Leased; 2]);
        lanes.extend(vec![Lane::Runs; 20]);
        let order = in_order(&gate(1, 100), &lanes).await;
        let [new, leased] = [&order[..2], &order[2..4]];
        assert_eq!(leased, [GATE_PASSED_MAX, 2 * GATE_PASSED_MAX + 1]);
        assert_eq!(new, [GATE_PASSED_MAX + 1, 2 * GATE_PASSED_MAX + 2]);
        assert!(order[4..].is_sorted(), "each lane in the order of coming");
        let two = [Lane::New, Lane::New, Lane::Leased, Lane::Leased];
        assert_eq!(in_order(&gate(1, 100), &two).await, [2, 3, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_whoever_is_put_off_is_told_when_to_come_again() {
        let gate = gate(1, 2);
        let inside = gate.enter(Lane::New).await.unwrap();
        let (mut one, mut two) = (Box::pin(gate.enter(Lane::New)), Box::pin(gate.enter(Lane::New)));
        assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
        let full = gate.enter(Lane::New).await.unwrap_err();
        assert_eq!((full.code, full.retry_after), (ErrorCode::Overloaded, Some(GATE_RETRY)));
        // Somebody with more to lose takes the place of the last one.
        let mut first = Box::pin(gate.enter(Lane::Runs));
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
        let _inside = gate.enter(Lane::New).await.unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(gate.enter(Lane::Runs).await.unwrap_err().code, ErrorCode::Overloaded);
        assert_eq!(begun.elapsed(), GATE_WAIT);
        // Those that gave up take no place of others.
        let mut two = Box::pin(gate.enter(Lane::New));
        let mut three = Box::pin(gate.enter(Lane::New));
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
                let lane = match dice.below(3) {
                    0 => Lane::Runs,
                    1 => Lane::Leased,
                    _ => Lane::New,
                };
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
