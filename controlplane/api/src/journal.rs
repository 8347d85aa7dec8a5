//! The journal of denials (A2): what this member refused before the log, in order, chained and bounded.
//!
//! A handler says that it refuses ([`denied`]) and on what; the layer around it ([`Journaled`]) knows who called what, and
//! hands the denial over. Once a second they are written, and once a minute the head of the chain goes into the log. Refused
//! handshakes come from the listener. Overload is left out: it says nothing of who may do what, and to write it down would
//! cost more than to serve it; its counters tell it.
//!
//! Must hold: a refusal never waits for the journal, and no flood of them fills memory, disk or log (L4): each peer has a
//! share of each minute, all together have one, and what is above is counted and told in one entry. A denial is durable
//! within two seconds, and a power cut may take what is younger.

use crate::core::Core;
use crate::limit::{
    DENIALS_AT_ONCE, DENIALS_EACH, DENIALS_OF_ALL, DENIALS_PEERS, FLUSH_DENIALS, RECORD_JOURNAL,
};
use crate::replica::ArchiveError;
use http::Request;
use parking_lot::Mutex;
use sekisho_evidence::journal::{Denial, Entry, JournalHead, KEPT_MAX, Peer as Who, Summed, cut};
use sekisho_fsm::command::Command;
use sekisho_proto::status::ApiError;
use sekisho_store::JournalRow;
use sekisho_store::limit::JOURNAL_ENTRIES;
use sekisho_transport::identity::Peer;
use sekisho_transport::listen::Refused;
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::time::{Clock, Timestamp};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::{Layer, Service};

const _: () = assert!(JOURNAL_ENTRIES <= KEPT_MAX, "an auditor believes no longer journal");

/// What a handler said of its call.
#[derive(Debug, Default)]
struct Said {
    denied: Option<(ErrorCode, String)>,
}

tokio::task_local! {
    static CALL: RefCell<Said>;
}

/// Says that the call at hand is refused, and on what. The first word counts; outside of a call it is nobody's.
pub(crate) fn denied(code: ErrorCode, target: impl Display) {
    metrics::counter!("sekisho_api_denied_total").increment(1);
    tracing::warn!(code = code.as_str(), %target, "refused before the log");
    let _outside = CALL.try_with(|call| {
        call.borrow_mut().denied.get_or_insert_with(|| (code, cut(&target.to_string())));
    });
}

/// The same of an answer that is at hand.
pub(crate) fn refuses(error: ApiError, target: impl Display) -> ApiError {
    denied(error.code, target);
    error
}

/// Denials of the present minute.
#[derive(Debug, Default)]
struct Minute {
    /// Not written yet.
    entries: Vec<Entry>,
    /// Written or about to be, of everybody.
    taken: usize,
    shares: BTreeMap<Who, Share>,
    /// Of peers beyond those that are counted apart.
    rest: Option<Summed>,
}

/// What one peer has of it.
#[derive(Debug, Default)]
struct Share {
    taken: usize,
    above: Option<Summed>,
}

fn add(sum: &mut Option<Summed>, at: Timestamp, peer: Option<Who>, count: u64) {
    let sum = sum.get_or_insert(Summed { from: at, to: at, peer, count: 0 });
    (sum.to, sum.count) = (at, sum.count.saturating_add(count));
}

impl Minute {
    fn take(&mut self, denial: Denial) {
        let full = self.taken >= DENIALS_OF_ALL;
        let (at, peer) = (denial.at, denial.peer.clone());
        let many = self.shares.len() >= DENIALS_PEERS && !self.shares.contains_key(&peer);
        if many {
            add(&mut self.rest, at, None, 1);
            return;
        }
        let share = self.shares.entry(peer.clone()).or_default();
        if full || share.taken >= DENIALS_EACH {
            metrics::counter!("sekisho_journal_summed_total").increment(1);
            add(&mut share.above, at, Some(peer), 1);
            return;
        }
        share.taken = share.taken.saturating_add(1);
        self.taken = self.taken.saturating_add(1);
        self.entries.push(Entry::Denied(denial));
    }

    /// Ends the minute: what was only counted becomes entries.
    fn end(&mut self) {
        let above = std::mem::take(&mut self.shares).into_values().filter_map(|share| share.above);
        self.entries.extend(above.chain(self.rest.take()).map(Entry::Summed));
        self.taken = 0;
    }
}

/// Denials on their way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Minute>);

impl Journal {
    /// Takes a denial; never waits.
    pub(crate) fn take(&self, denial: Denial) {
        self.0.lock().take(denial);
    }

    /// So many refusals of unknown peers that nobody had room to tell one by one.
    fn uncounted(&self, at: Timestamp, count: u64) {
        if count > 0 {
            add(&mut self.0.lock().rest, at, None, count);
        }
    }

    fn end_minute(&self) {
        self.0.lock().end();
    }

    /// The oldest that are to be written, at most [`DENIALS_AT_ONCE`].
    fn due(&self) -> Vec<Entry> {
        let mut minute = self.0.lock();
        let count = minute.entries.len().min(DENIALS_AT_ONCE);
        minute.entries.drain(..count).collect()
    }

    /// Puts back what could not be written.
    fn restore(&self, entries: Vec<Entry>) {
        self.0.lock().entries.splice(..0, entries);
    }
}

/// Whom a denial names: of those without a certificate the address without its port, so that they have one share.
fn who(peer: Option<&Peer>) -> Who {
    let Some(peer) = peer else { return Who::Address(String::new()) };
    match &peer.identity {
        Some(identity) => Who::Principal(identity.principal.clone()),
        None => Who::Address(peer.addr.ip().to_string()),
    }
}

/// Hands what handlers refuse to the journal.
#[derive(Debug, Clone)]
pub(crate) struct Journaling {
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A service whose denials are written down.
#[derive(Debug, Clone)]
pub(crate) struct Journaled<S> {
    inner: S,
    to: Journaling,
}

impl<S> Layer<S> for Journaling {
    type Service = Journaled<S>;
    fn layer(&self, inner: S) -> Journaled<S> {
        Journaled { inner, to: self.clone() }
    }
}

impl<S, B> Service<Request<B>> for Journaled<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = request.uri().path().to_owned();
        let peer = who(request.extensions().get::<Peer>());
        let (to, answer) = (self.to.clone(), self.inner.call(request));
        Box::pin(CALL.scope(RefCell::default(), async move {
            let answer = answer.await;
            let said = CALL.with(RefCell::take);
            if let Some((code, target)) = said.denied {
                let (at, method) = (to.clock.wall(), cut(&method));
                to.journal.take(Denial { at, peer, method, target, code, request: None });
            }
            answer
        }))
    }
}

impl Core {
    pub(crate) fn journaling(&self) -> Journaling {
        Journaling { journal: Arc::clone(&self.journal), clock: Arc::clone(&self.clock) }
    }

    /// Starts to write denials down. `refused` are the handshakes that the listener refuses.
    pub fn start_journal(self: &Arc<Self>, refused: mpsc::Receiver<Refused>) {
        let core = Arc::clone(self);
        self.tasks.spawn(TaskKind::Critical, "journal", async move { core.write_down().await });
        let core = Arc::clone(self);
        let listen = async move { core.hear_refused(refused).await };
        self.tasks.spawn(TaskKind::Ordinary, "journal-handshakes", listen);
    }

    async fn hear_refused(&self, mut refused: mpsc::Receiver<Refused>) {
        while let Some(Refused { addr, why, before }) = refused.recv().await {
            let at = self.clock.wall();
            self.journal.uncounted(at, before);
            metrics::counter!("sekisho_api_denied_total").increment(1);
            self.journal.take(Denial {
                at,
                peer: Who::Address(addr.ip().to_string()),
                method: "tls".to_owned(),
                target: cut(&why),
                code: ErrorCode::Unauthenticated,
                request: None,
            });
        }
    }

    async fn write_down(&self) {
        let mut head = None;
        let mut minute = Instant::now();
        loop {
            tokio::time::sleep(FLUSH_DENIALS).await;
            let over = minute.elapsed() >= RECORD_JOURNAL;
            if over {
                minute = Instant::now();
                self.journal.end_minute();
            }
            if let Err(error) = self.write_due(&mut head).await {
                metrics::counter!("sekisho_journal_failures_total").increment(1);
                tracing::error!(%error, "denials are not written down");
                continue;
            }
            if let (true, Some(head)) = (over, head) {
                self.record_journal(head).await;
            }
        }
    }

    /// Where the journal stands: after a start as the disk has it. None before the federation has begun.
    async fn journal_head(&self) -> Result<Option<JournalHead>, ArchiveError> {
        let (state, member) = (self.replica.state(), self.identity.member);
        let Some(federation) = state.federation() else { return Ok(None) };
        let head = match self.diary.newest().await? {
            None => JournalHead::start(&federation.cluster, member),
            Some((count, JournalRow { before, entry })) => {
                JournalHead { member, count, head: Digest(before) }.next(&entry)
            }
        };
        Ok(Some(head))
    }

    /// Writes what is due, and moves `head` behind it.
    pub(crate) async fn write_due(
        &self,
        head: &mut Option<JournalHead>,
    ) -> Result<(), ArchiveError> {
        if head.is_none() {
            *head = self.journal_head().await?;
        }
        let Some(begin) = *head else { return Ok(()) };
        let due = self.journal.due();
        let (mut after, mut rows) = (begin, Vec::with_capacity(due.len()));
        for entry in &due {
            // Texts were cut to their bounds.
            let Ok(entry) = entry.bytes() else { continue };
            let before = after.head.0;
            after = after.next(&entry);
            rows.push(JournalRow { before, entry });
        }
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        if let Err(error) = self.diary.append(begin.count, rows).await {
            // Whether it is there, the disk says when it is asked again.
            *head = None;
            self.journal.restore(due);
            return Err(error);
        }
        metrics::counter!("sekisho_journal_entries_total").increment(count);
        *head = Some(after);
        Ok(())
    }

    /// Puts the head into the log, unless it is there.
    pub(crate) async fn record_journal(&self, head: JournalHead) {
        let recorded = self.replica.state().journal(head.member).map(|row| row.head);
        if recorded == Some(head) || (recorded.is_none() && head.count == 0) {
            return;
        }
        let command = Command::RecordJournal(head);
        // It is due again in a minute.
        if let Err(error) = self.write_for(self.identity.principal(), command, None).await {
            tracing::warn!(%error, "the head of the journal is not recorded");
        }
    }
}

#[cfg(test)]
mod tests;
