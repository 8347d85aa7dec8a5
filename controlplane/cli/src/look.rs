//! `--watch`: a read made again whenever something changed, of which only the changes are shown.
//!
//! Must hold: any read can be looked on at, because it is the read itself that is made again; nothing that was shown goes back,
//! since reads are linearizable. An event only wakes: what is shown is always what the read says. Ctrl-C ends the
//! looking on as it ends any program.

use crate::app::{App, Session};
use crate::args::{Cli, Command};
use crate::command::{self, tenant};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::watch::{Told, Watch};
use clap::{ArgMatches, FromArgMatches as _};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::WatchRequest;
use sekisho_proto::v1::watch_request::Topic;
use sekisho_types::error_code::{ErrorCode, Kind};
use sekisho_types::id::TenantId;
use std::time::Duration;

/// Between two reads of what has no events. The help of `--watch` says it.
const EVERY: Duration = Duration::from_secs(2);

/// Between two reads of what has events, so that a burst of them is one read.
const AT_MOST: Duration = Duration::from_millis(200);

/// Without events for so long it is read all the same: a wait or a lease may have ended by time alone.
const AT_LEAST: Duration = Duration::from_secs(10);

/// Tenants that are watched one by one at most: a member has a bound on the watches of all its callers. Of more, reads are made as of
/// what has no events.
const TENANTS_MAX: usize = 16;

/// Looks on until Ctrl-C or a refusal that no repetition changes.
///
/// # Errors
/// That refusal.
pub(crate) async fn on(
    app: &mut App<'_>,
    noun: &str,
    matches: &ArgMatches,
    redraws: bool,
) -> Result<Exit, Failure> {
    let session = app.session()?;
    let topic = match noun {
        "job" => Some(Topic::Jobs),
        "node" => Some(Topic::Nodes),
        _ => None,
    };
    let read = parsed(matches)?;
    let own = if let Command::Job(job) = &read.command { job.reads_of().cloned() } else { None };
    let mut events = topic.map(|topic| Events::of(&session, topic, own));
    app.output.begin_rounds(redraws);
    loop {
        match Box::pin(command::run(app, parsed(matches)?.command)).await {
            Ok(_exit) => {}
            Err(failure) if may_pass(&failure) => {
                app.output.note(&failure.lines(app.output.language).join("\n"))?;
            }
            Err(failure) => return Err(failure),
        }
        app.output.end_round()?;
        wake(app, &mut events).await;
    }
}

/// Whether it is worth looking again after this.
fn may_pass(failure: &Failure) -> bool {
    !failure.reader_left && matches!(failure.code.kind(), Kind::Unavailable | Kind::Unknown)
}

fn parsed(matches: &ArgMatches) -> Result<Cli, Failure> {
    Cli::from_arg_matches(matches).map_err(|error| Failure::invalid(error.to_string()))
}

/// What wakes: a watch of all rows of a topic, of one tenant's, or of each tenant that the caller may read.
#[derive(Debug)]
struct Events<'s> {
    session: &'s Session,
    topic: Topic,
    watches: Vec<Watch<'s>>,
    is_whole: bool,
}

impl<'s> Events<'s> {
    fn of(session: &'s Session, topic: Topic, own: Option<TenantId>) -> Self {
        let (is_whole, watches) = (own.is_none(), Vec::new());
        let mut events = Self { session, topic, watches, is_whole };
        events.begin(own.as_ref());
        events
    }

    fn begin(&mut self, tenant: Option<&TenantId>) {
        let request = WatchRequest {
            topics: vec![self.topic.into()],
            parent: tenant.map(TenantId::name).unwrap_or_default(),
            ..WatchRequest::default()
        };
        self.watches.push(Watch::new(&self.session.client, request));
    }

    async fn next(&mut self) -> Result<Told, Failure> {
        let next = self.watches.iter_mut().map(|watch| Box::pin(watch.next()));
        futures::future::select_all(next).await.0
    }

    /// After a refusal: who may not watch everybody's jobs may watch those of its own tenants. Whether there are such.
    async fn narrow(&mut self, app: &App<'_>, refusal: &Failure) -> bool {
        self.watches.clear();
        let may = self.is_whole
            && self.topic == Topic::Jobs
            && refusal.code == ErrorCode::PermissionDenied;
        self.is_whole = false;
        if may {
            let tenants = tenant::readable(app, self.session).await.unwrap_or_default();
            if tenants.len() <= TENANTS_MAX {
                tenants.iter().for_each(|tenant| self.begin(Some(tenant)));
            }
        }
        !self.watches.is_empty()
    }
}

/// Until the next read.
async fn wake(app: &App<'_>, events: &mut Option<Events<'_>>) {
    let Some(watched) = events else { return tokio::time::sleep(EVERY).await };
    if let Ok(Err(refusal)) = tokio::time::timeout(AT_LEAST, watched.next()).await {
        if !watched.narrow(app, &refusal).await {
            // Who may not watch may still read.
            *events = None;
            tokio::time::sleep(EVERY).await;
        }
        return;
    }
    // Whatever else comes meanwhile is in the same read.
    let until = tokio::time::Instant::now() + AT_MOST;
    while let Ok(Ok(_)) = tokio::time::timeout_at(until, watched.next()).await {}
}
