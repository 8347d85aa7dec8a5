//! The thread that answers nonces.

use super::limit::{COOKIE_EVERY, DRAWN_WITHIN, LOOK_EVERY};
use crate::datagram::{Datagrams, Stamp};
use sekisho_evidence::location::exchange::RangingKey;
use sekisho_evidence::location::subject::Answers;
use sekisho_evidence::location::wire::{Cookie, DATAGRAM_SIZE, Datagram};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Answers until it is told to stop, or dropped.
#[derive(Debug)]
pub(super) struct Answering {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Answers>>>,
}

impl Answering {
    /// Shows the cookie from `socket`, which is connected to the landmark, and answers what comes.
    pub(super) fn begin(socket: Datagrams, cookie: Cookie, key: RangingKey) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&over);
        let thread = tokio::task::spawn_blocking(move || {
            answer(&socket, &cookie, Answers::new(key), &heard)
        });
        Self { over, thread: Some(thread) }
    }

    /// Ends it: what was asked and answered.
    pub(super) async fn end(mut self) -> io::Result<Answers> {
        self.over.store(true, Ordering::Release);
        let thread = self.thread.take().ok_or(io::ErrorKind::BrokenPipe)?;
        thread.await.map_err(io::Error::other)?
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

fn answer(
    socket: &Datagrams,
    cookie: &Cookie,
    mut answers: Answers,
    over: &AtomicBool,
) -> io::Result<Answers> {
    let clock = || Stamp::now().ok_or(io::ErrorKind::Unsupported);
    let passed = |now: Stamp, since: Stamp| u128::from(now.since_ns(since));
    let cookie = Datagram::Cookie(*cookie).bytes();
    let begun = clock()?;
    let mut shown = None;
    let mut now = begun;
    while !over.load(Ordering::Acquire) && passed(now, begun) < DRAWN_WITHIN.as_nanos() {
        let due = shown.is_none_or(|at| passed(now, at) >= COOKIE_EVERY.as_nanos());
        if due && answers.answered() == 0 {
            socket.send(&cookie)?;
            shown = Some(now);
        }
        let mut buffer = [0; DATAGRAM_SIZE + 1];
        let Some(got) = socket.receive(&mut buffer, LOOK_EVERY)? else {
            now = clock()?;
            continue;
        };
        now = got.at;
        if let Some(Datagram::Ask(round, nonce)) =
            buffer.get(..got.length).and_then(Datagram::parse)
            && let Some(reply) = answers.reply(round, nonce)
        {
            socket.send(&Datagram::Reply(round, reply).bytes())?;
        }
    }
    Ok(answers)
}
