//! Output of a job. It is answered only by a member inside the job's area; any other names one, which is followed
//! if the context knows it. An address that the context does not know is shown, never dialled: a member could
//! otherwise lead people anywhere.
//!
//! To follow is to ask again and again, each time waiting a while on the node for something to say; it ends by itself when the
//! job has ended and all was read. What is shown of two streams is in order within each of them alone.

use crate::app::{App, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::read_job_logs_request::Stream;
use sekisho_transport::leader::ATTEMPT;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::JobId;
use std::pin::Pin;
use std::time::Duration;

/// Longest wait for output that is asked of a member; it has a bound of its own. Less than an attempt, which is counted from
/// before the connection is made: else each look at a quiet job would be cut off, and the command would end though nothing
/// is wrong. The second between them is for the dial and the way to the node and back.
const WAIT_MAX: Duration = Duration::from_secs(2);
const _: () = assert!(WAIT_MAX.as_millis() + 1000 <= ATTEMPT.as_millis());
/// Pause after an empty answer: a member that does not wait must not be asked without end.
const PAUSE: Duration = Duration::from_millis(100);
/// Pause before it is looked again whether the job has a place.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
    /// Both, each to where it belongs.
    Both,
}

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) rank: u32,
    pub(super) streams: Streams,
    pub(super) follow: bool,
    /// Begin with so many of the last lines.
    pub(super) tail: Option<u32>,
}

type Answer = Result<v1::ReadJobLogsResponse, Failure>;
type Asked<'s> = Pin<Box<dyn Future<Output = (Reader, Answer)> + 's>>;

/// One stream, and how far it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reader {
    stderr: bool,
    offset: u64,
    /// Until the first answer.
    tail: Option<u32>,
    /// Whose output it is; empty until the first answer.
    placement: String,
}

/// What an answer means for its reader.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Show these and go on, after a pause if there was nothing.
    GoOn(Vec<u8>),
    /// Show these; it is the end.
    End(Vec<u8>),
    /// The job was placed anew: begin anew.
    Anew,
}

impl Reader {
    /// Takes an answer. The second value is how many bytes before it are no longer kept.
    fn take(&mut self, answer: v1::ReadJobLogsResponse, follow: bool) -> (Next, u64) {
        if !self.placement.is_empty() && answer.placement != self.placement {
            *self =
                Self { offset: 0, tail: None, placement: answer.placement, stderr: self.stderr };
            return (Next::Anew, 0);
        }
        let begins = self.tail.take().is_some();
        let gone = if begins { 0 } else { answer.offset.saturating_sub(self.offset) };
        self.placement = answer.placement;
        self.offset = answer.next_offset;
        let over = answer.end || (answer.data.is_empty() && !follow);
        (if over { Next::End(answer.data.into()) } else { Next::GoOn(answer.data.into()) }, gone)
    }
}

pub(super) async fn run(app: &mut App<'_>, job: &JobId, wanted: Wanted) -> Result<Exit, Failure> {
    let session = app.session()?;
    if wanted.follow {
        await_place(app, &session, job).await?;
    }
    let streams: &[bool] = match wanted.streams {
        Streams::Out => &[false],
        Streams::Error => &[true],
        Streams::Both => &[false, true],
    };
    // Each stream is sent elsewhere once; a member that is named and sends on is not followed.
    let mut moves = streams.len();
    let ask = |reader: Reader, pause: Duration| -> Asked<'_> {
        let session = &session;
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            let answer = read(session, job, wanted, &reader).await;
            (reader, answer)
        })
    };
    let mut asked: Vec<Asked<'_>> = Vec::new();
    for &stderr in streams {
        let placement = String::new();
        asked.push(ask(Reader { stderr, offset: 0, tail: wanted.tail, placement }, Duration::ZERO));
    }
    while let Some((mut reader, answer)) = first(&mut asked).await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if failure.code == ErrorCode::LogsElsewhere && moves > 0 => {
                moves = moves.saturating_sub(1);
                follow(&session, failure)?;
                asked.push(ask(reader, Duration::ZERO));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let (next, gone) = reader.take(answer, wanted.follow);
        let apart = reader.stderr && wanted.streams == Streams::Both;
        if gone > 0 {
            app.output.note(&app.output.pick(
                format!("{gone} bytes of earlier output are no longer kept"),
                format!("これより前の {gone} バイトの出力は保存されていません"),
            ))?;
        }
        match next {
            Next::Anew => {
                let id = &reader.placement;
                app.output.note(&app.output.pick(
                    format!("{job} was placed anew: {id}"),
                    format!("{job} は新しく配置されました: {id}"),
                ))?;
                asked.push(ask(reader, Duration::ZERO));
            }
            Next::End(data) => show(app, apart, &data)?,
            Next::GoOn(data) => {
                show(app, apart, &data)?;
                let pause = if data.is_empty() { PAUSE } else { Duration::ZERO };
                asked.push(ask(reader, pause));
            }
        }
    }
    Ok(Exit::Ok)
}

/// Standard error goes to ours when both are shown.
fn show(app: &mut App<'_>, apart: bool, data: &[u8]) -> Result<(), Failure> {
    if apart { app.output.error_bytes(data) } else { app.output.bytes(data) }
}

/// The first answer that comes; `None` when nothing was asked.
async fn first(asked: &mut Vec<Asked<'_>>) -> Option<(Reader, Answer)> {
    if asked.is_empty() {
        return None;
    }
    let (at, answer) = std::future::poll_fn(|context| {
        let ready = asked.iter_mut().enumerate().find_map(|(at, future)| {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(answer) => Some((at, answer)),
                std::task::Poll::Pending => None,
            }
        });
        ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await;
    drop(asked.swap_remove(at));
    Some(answer)
}

/// Waits until the job has a place, or is over without one.
async fn await_place(app: &mut App<'_>, session: &Session, job: &JobId) -> Result<(), Failure> {
    let mut told = false;
    loop {
        let found = super::get(app, session, job).await?;
        match found.phase() {
            v1::job::Phase::Unspecified | v1::job::Phase::Queued | v1::job::Phase::Held => {}
            v1::job::Phase::Placed
            | v1::job::Phase::Running
            | v1::job::Phase::Stopping
            | v1::job::Phase::Succeeded
            | v1::job::Phase::Failed
            | v1::job::Phase::Cancelled => return Ok(()),
        }
        if !told {
            told = true;
            app.output.note(&format!(
                "{job}: {} ({})",
                super::word(found.phase()),
                found.message
            ))?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How long a member is asked to wait: the answer itself has to come before the caller's own deadline.
fn wait_of(timeout: Duration) -> Duration {
    WAIT_MAX.min(timeout / 2)
}

async fn read(session: &Session, job: &JobId, wanted: Wanted, reader: &Reader) -> Answer {
    let stream = if reader.stderr { Stream::Stderr } else { Stream::Stdout };
    let wait = if wanted.follow { wait_of(session.client.timeout()) } else { Duration::ZERO };
    let request = v1::ReadJobLogsRequest {
        name: job.name(),
        rank: wanted.rank,
        stream: stream.into(),
        offset: reader.offset,
        max_bytes: 0,
        wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        tail_lines: reader.tail,
    };
    ask!(session.client, job_service_client::JobServiceClient, read_job_logs, request)
}

/// Goes on with the member that the refusal named.
fn follow(session: &Session, failure: Failure) -> Result<(), Failure> {
    let named = failure.endpoint.clone();
    let known = named.filter(|named| session.context.endpoints.iter().any(|e| e.address == *named));
    let Some(address) = known.and_then(|address| address.parse().ok()) else {
        let fix = failure
            .endpoint
            .as_ref()
            .map(|named| format!("use a context with the endpoint {named}"));
        return Err(match fix {
            Some(fix) => failure.remedy(fix),
            None => failure,
        });
    };
    session.client.go_to(&address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(placement: &str, offset: u64, data: &str, end: bool) -> v1::ReadJobLogsResponse {
        let next_offset = offset + data.len() as u64;
        let (data, placement) = (data.to_owned().into_bytes().into(), placement.to_owned());
        v1::ReadJobLogsResponse { data, next_offset, end, offset, placement }
    }

    fn reader(tail: Option<u32>) -> Reader {
        Reader { stderr: false, offset: 0, tail, placement: String::new() }
    }

    #[test]
    fn a_reader_goes_on_until_the_end_and_tells_what_is_gone() {
        let mut reads = reader(None);
        assert_eq!(reads.take(answer("p", 5, "ab", false), true), (Next::GoOn(b"ab".into()), 5));
        assert_eq!(reads.take(answer("p", 7, "", false), true), (Next::GoOn(vec![]), 0));
        assert_eq!(reads.take(answer("p", 7, "c", true), true), (Next::End(b"c".into()), 0));
        // Without following, the present end is the end.
        let mut once = reader(None);
        assert_eq!(once.take(answer("p", 0, "ab", false), false), (Next::GoOn(b"ab".into()), 0));
        assert_eq!(once.take(answer("p", 2, "", false), false), (Next::End(vec![]), 0));
        // Whoever asks for the last lines misses none.
        let mut tail = reader(Some(3));
        assert_eq!(tail.take(answer("p", 90, "ab", false), true), (Next::GoOn(b"ab".into()), 0));
        assert_eq!((tail.offset, tail.tail), (92, None));
    }

    /// A job that says nothing for a minute is followed all the same: no look at it is cut off.
    #[test]
    fn a_quiet_look_ends_before_the_attempt_and_before_the_callers_own_time() {
        let margin = Duration::from_secs(1);
        for seconds in [1, 2, 4, 15, 600] {
            let timeout = Duration::from_secs(seconds);
            let wait = wait_of(timeout);
            assert!(wait + margin <= ATTEMPT, "{wait:?}");
            assert!(!wait.is_zero() && wait * 2 <= timeout, "{wait:?} of {timeout:?}");
        }
    }

    #[test]
    fn a_job_that_was_placed_anew_is_read_from_its_beginning() {
        let mut reads = reader(None);
        reads.take(answer("p-1", 0, "abc", false), true);
        assert_eq!(reads.take(answer("p-2", 1, "x", false), true), (Next::Anew, 0));
        assert_eq!((reads.offset, reads.placement.as_str()), (0, "p-2"));
        assert_eq!(reads.take(answer("p-2", 0, "yx", false), true), (Next::GoOn(b"yx".into()), 0));
    }
}
