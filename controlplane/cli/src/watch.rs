//! A watch that goes on, whatever becomes of the member that serves it.
//!
//! Must hold: no change between two rows is lost: a stream that ends is resumed from its last bookmark on whichever member
//! answers, and where that is no longer kept everything is listed again; no row goes back. It ends only by being dropped,
//! or by a refusal that no repetition changes.

use crate::client::{Client, of_status};
use crate::failure::Failure;
use crate::output::Output;
use sekisho_proto::v1::event_service_client::EventServiceClient;
use sekisho_proto::v1::watch_response::Item;
use sekisho_proto::v1::{WatchRequest, WatchResponse};
use sekisho_types::error_code::{ErrorCode, Kind};
use std::time::Duration;
use tonic::Streaming;

/// Between two bookmarks: what a broken stream repeats is at most so old.
const PROGRESS_MS: u32 = 2000;
/// A stream that says nothing for so long, not even a bookmark, is left for another member.
const SILENCE: Duration = Duration::from_secs(8);
/// Pause after no member answered: an election is over sooner.
const PAUSE: Duration = Duration::from_millis(500);

/// What a watcher is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A row as it is now.
    Row(Box<Item>),
    /// The stream broke off; it is being resumed. Said once for each break.
    Lost(Failure),
}

/// What comes down a watch.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A row or a bookmark.
    Message(Box<WatchResponse>),
    /// As [`Told::Lost`].
    Lost(Failure),
}

/// Tells on stderr that a watch broke off and goes on.
///
/// # Errors
/// Stderr is gone.
pub(crate) fn note_lost(output: &mut Output<'_>, failure: &Failure) -> Result<(), Failure> {
    let why = &failure.detail;
    let note = output.pick(
        format!("connection lost, going on at another member: {why}"),
        format!("接続が切れました。別のメンバーで続けます: {why}"),
    );
    output.note(&note)
}

/// What is watched, and up to where it was told.
#[derive(Debug, Clone, PartialEq)]
struct Place(WatchRequest);

/// A watch of some rows.
#[derive(Debug)]
pub(crate) struct Watch<'c> {
    client: &'c Client,
    place: Place,
    stream: Option<Streaming<WatchResponse>>,
    lost: bool,
}

impl<'c> Watch<'c> {
    pub(crate) fn new(client: &'c Client, request: WatchRequest) -> Self {
        let place = Place(WatchRequest { progress_interval_ms: PROGRESS_MS, ..request });
        Self { client, place, stream: None, lost: false }
    }

    /// The next row, or word of a break.
    ///
    /// # Errors
    /// A refusal that no repetition changes.
    pub(crate) async fn next(&mut self) -> Result<Told, Failure> {
        loop {
            match self.message().await? {
                Heard::Message(message) => match message.item {
                    Some(Item::Bookmark(_)) | None => {}
                    Some(item) => return Ok(Told::Row(Box::new(item))),
                },
                Heard::Lost(failure) => return Ok(Told::Lost(failure)),
            }
        }
    }

    /// The next message, bookmarks among them, or word of a break.
    ///
    /// # Errors
    /// A refusal that no repetition changes.
    pub(crate) async fn message(&mut self) -> Result<Heard, Failure> {
        loop {
            let heard = match &mut self.stream {
                None => match self.open().await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        continue;
                    }
                    Err(failure) => {
                        tokio::time::sleep(PAUSE).await;
                        Err(failure)
                    }
                },
                Some(stream) => match tokio::time::timeout(SILENCE, stream.message()).await {
                    Ok(Ok(Some(message))) => Ok(message),
                    Ok(Ok(None)) => {
                        // Its member ends in good order: go on at another.
                        Err(Failure::new(ErrorCode::NoLeader, "the member ended the stream"))
                    }
                    Ok(Err(status)) => Err(of_status(&status)),
                    Err(_elapsed) => {
                        self.client.leave();
                        Err(Failure::new(ErrorCode::Deadline, "the member says nothing"))
                    }
                },
            };
            match heard {
                Ok(message) => {
                    self.lost = false;
                    self.place.take(&message);
                    return Ok(Heard::Message(Box::new(message)));
                }
                Err(failure) => {
                    self.stream = None;
                    // It has no place for us, or is too busy to keep us told: another may.
                    if failure.code == ErrorCode::Overloaded {
                        self.client.leave();
                    }
                    self.place.resume(&failure)?;
                    if !std::mem::replace(&mut self.lost, true) {
                        return Ok(Heard::Lost(failure));
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<Streaming<WatchResponse>, Failure> {
        let ask = |channel| {
            let request = self.place.0.clone();
            async move { EventServiceClient::new(channel).watch(request).await }
        };
        self.client.call_any(ask).await
    }
}

impl Place {
    /// Notes where to go on.
    fn take(&mut self, message: &WatchResponse) {
        self.0.seen_revision = self.0.seen_revision.max(message.revision);
        if let Some(Item::Bookmark(mark)) = &message.item {
            self.0.resume_revision = Some(message.revision);
            self.0.resume_incarnation = mark.incarnation;
        }
    }

    /// Whether it is worth going on after this.
    fn resume(&mut self, failure: &Failure) -> Result<(), Failure> {
        if failure.code == ErrorCode::RevisionCompacted {
            // Revisions of another incarnation say nothing about this one.
            let request = std::mem::take(&mut self.0);
            let WatchRequest { topics, parent, names, progress_interval_ms, .. } = request;
            self.0 =
                WatchRequest { topics, parent, names, progress_interval_ms, ..Default::default() };
            return Ok(());
        }
        match failure.code.kind() {
            Kind::Unavailable | Kind::Unknown => Ok(()),
            Kind::Never
            | Kind::NotYet
            | Kind::Invalid
            | Kind::NotFound
            | Kind::Conflict
            | Kind::Precondition
            | Kind::Auth
            | Kind::Internal => Err(failure.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_proto::v1::watch_response::{Bookmark, Deleted};

    #[test]
    fn it_resumes_from_the_last_bookmark_and_lists_again_when_that_is_not_kept() {
        let asked =
            WatchRequest { parent: "sites/a".into(), topics: vec![2], ..Default::default() };
        let mut place = Place(asked.clone());
        let told = |revision, item| WatchResponse { revision, item: Some(item) };
        let row = || Item::Deleted(Deleted { name: "sites/a/nodes/n".into() });
        place.take(&told(7, row()));
        assert_eq!((place.0.resume_revision, place.0.seen_revision), (None, 7));
        let mark = Bookmark { incarnation: 3, stale: false };
        place.take(&told(9, Item::Bookmark(mark)));
        place.take(&told(12, row()));
        let WatchRequest { resume_revision, resume_incarnation, seen_revision, .. } = place.0;
        assert_eq!((resume_revision, resume_incarnation, seen_revision), (Some(9), 3, 12));
        for code in [ErrorCode::NoLeader, ErrorCode::Overloaded, ErrorCode::Deadline] {
            place.resume(&Failure::new(code, "")).unwrap();
            assert_eq!(place.0.resume_revision, Some(9), "{code}");
        }
        for code in [ErrorCode::PermissionDenied, ErrorCode::Unauthenticated] {
            assert_eq!(place.resume(&Failure::new(code, "")).unwrap_err().code, code);
        }
        place.resume(&Failure::new(ErrorCode::RevisionCompacted, "")).unwrap();
        assert_eq!(place.0, asked);
    }
}
