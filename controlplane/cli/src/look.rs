//! `--watch`: a read made again whenever something changed, of which only the changes are shown.
//!
//! Must hold: any read can be looked on at, because it is the read itself that is made again; nothing that was shown goes back,
//! since reads are linearizable. An event only wakes: what is shown is always what the read says. Ctrl-C ends the
//! looking on as it ends any program.

use crate::app::App;
use crate::args::Cli;
use crate::command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::watch::Watch;
use clap::{ArgMatches, FromArgMatches as _};
use sekisho_proto::v1::WatchRequest;
use sekisho_proto::v1::watch_request::Topic;
use sekisho_types::error_code::Kind;
use std::time::Duration;

/// Between two reads of what has no events. The help of `--watch` says it.
const EVERY: Duration = Duration::from_secs(2);

/// Between two reads of what has events, so that a burst of them is one read.
const AT_MOST: Duration = Duration::from_millis(200);

/// Without events for so long it is read all the same: a wait or a lease may have ended by time alone.
const AT_LEAST: Duration = Duration::from_secs(10);

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
    let request = WatchRequest {
        topics: topic.into_iter().map(Into::into).collect(),
        ..WatchRequest::default()
    };
    let mut events = topic.map(|_| Watch::new(&session.client, request));
    app.output.begin_rounds(redraws);
    loop {
        let parsed =
            Cli::from_arg_matches(matches).map_err(|error| Failure::invalid(error.to_string()))?;
        match Box::pin(command::run(app, parsed.command)).await {
            Ok(_exit) => {}
            Err(failure) if may_pass(&failure) => {
                app.output.note(&failure.lines(app.output.language).join("\n"))?;
            }
            Err(failure) => return Err(failure),
        }
        app.output.end_round()?;
        wake(&mut events).await;
    }
}

/// Whether it is worth looking again after this.
fn may_pass(failure: &Failure) -> bool {
    !failure.reader_left && matches!(failure.code.kind(), Kind::Unavailable | Kind::Unknown)
}

/// Until the next read.
async fn wake(events: &mut Option<Watch<'_>>) {
    let Some(watch) = events else { return tokio::time::sleep(EVERY).await };
    let heard = tokio::time::timeout(AT_LEAST, watch.next()).await;
    if matches!(heard, Ok(Err(_))) {
        // Who may not watch may still read.
        *events = None;
        return tokio::time::sleep(EVERY).await;
    }
    // Whatever else comes meanwhile is in the same read.
    let until = tokio::time::Instant::now() + AT_MOST;
    while let Ok(Ok(_)) = tokio::time::timeout_at(until, watch.next()).await {}
}
