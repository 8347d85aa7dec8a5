//! Watches: complete, resumable, and no more than the caller may see.

mod cut;
mod topics;

use super::*;
use crate::fake;
use crate::limit::{WATCH_QUEUE, WATCH_STALL};
use crate::service::event::EventApi;
use crate::watch::Down;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, admin, job, user, user_key};
use sekisho_proto::v1;
use sekisho_proto::v1::event_service_server::EventService as _;
use sekisho_proto::v1::watch_request::Topic;
use sekisho_proto::v1::watch_response::Item;
use sekisho_raft::changes::Changes;
use sekisho_types::id::{JobId, MemberId, PublicKey};
use sekisho_types::principal::Principal;
use sekisho_types::quota::Limit;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

fn api(fake: &Fake) -> EventApi {
    EventApi::new(Arc::clone(&fake.core))
}

fn ask(topics: &[Topic]) -> v1::WatchRequest {
    let topics = topics.iter().map(|topic| i32::from(*topic)).collect();
    v1::WatchRequest { topics, progress_interval_ms: 1000, ..Default::default() }
}

fn both() -> v1::WatchRequest {
    ask(&[Topic::Jobs, Topic::Nodes])
}

fn jobs_of(tenant: &str) -> v1::WatchRequest {
    v1::WatchRequest { parent: format!("tenants/{tenant}"), ..ask(&[Topic::Jobs]) }
}

fn resume(ask: &v1::WatchRequest, at: u64) -> v1::WatchRequest {
    v1::WatchRequest { resume_revision: Some(at), resume_incarnation: 1, ..ask.clone() }
}

/// The name of a row.
fn named(row: &Item) -> String {
    match row {
        Item::Job(row) => row.name.clone(),
        Item::Node(row) => row.name.clone(),
        Item::Site(row) => row.name.clone(),
        Item::Tenant(row) => row.name.clone(),
        Item::Policy(row) => row.name.clone(),
        Item::Quota(row) => row.name.clone(),
        Item::Key(row) => {
            let (operator, user) = row.principal.split_once("/user/").unwrap();
            let key = PublicKey((&row.public_key[..]).try_into().unwrap());
            format!("operators/{operator}/users/{user}/keys/{key}")
        }
        Item::Landmark(row) => row.name.clone(),
        Item::Member(row) => row.name.clone(),
        Item::Approval(row) => row.name.clone(),
        Item::BreakGlass(row) => row.name.clone(),
        Item::Budget(row) => row.name.clone(),
        Item::Escrow(row) => row.name.clone(),
        Item::Offer(row) => row.name.clone(),
        Item::Veto(row) => row.name.clone(),
        Item::Reservation(row) => row.name.clone(),
        Item::Deleted(_) | Item::Bookmark(_) => panic!("no row"),
    }
}

/// A client: the rows that it was told of, and where it would go on.
#[derive(Default)]
struct Client {
    rows: BTreeMap<String, Item>,
    seen: u64,
    bookmark: Option<u64>,
    told: Vec<String>,
}

impl Client {
    /// Takes one message; whether it was a bookmark.
    fn take(&mut self, message: v1::WatchResponse) -> bool {
        assert!(message.revision >= self.seen, "back from {} to {}", self.seen, message.revision);
        self.seen = message.revision;
        let (name, row) = match message.item.unwrap() {
            Item::Bookmark(bookmark) => {
                assert_eq!(bookmark.incarnation, 1);
                self.bookmark = Some(message.revision);
                return true;
            }
            Item::Deleted(deleted) => (deleted.name, None),
            row @ (Item::Job(_) | Item::Node(_) | Item::Site(_) | Item::Tenant(_)) => {
                (named(&row), Some(row))
            }
            row @ (Item::Policy(_) | Item::Quota(_) | Item::Key(_)) => (named(&row), Some(row)),
            row @ (Item::Landmark(_) | Item::Member(_)) => (named(&row), Some(row)),
            row @ (Item::Approval(_) | Item::BreakGlass(_)) => (named(&row), Some(row)),
            row @ (Item::Budget(_) | Item::Escrow(_)) => (named(&row), Some(row)),
            row @ (Item::Offer(_) | Item::Veto(_) | Item::Reservation(_)) => {
                (named(&row), Some(row))
            }
        };
        self.told.push(name.clone());
        match row {
            Some(row) => self.rows.insert(name, row),
            None => self.rows.remove(&name),
        };
        false
    }

    /// Reads until the bookmark of `revision`; the error if the stream ends before.
    async fn follow(
        &mut self,
        stream: &mut ReceiverStream<Down>,
        revision: u64,
    ) -> Result<(), ApiError> {
        while let Some(message) = stream.next().await {
            let marked = self.take(message.map_err(|status| ApiError::from_status(&status))?);
            if marked && self.bookmark >= Some(revision) {
                return Ok(());
            }
        }
        panic!("the stream ended without a word");
    }

    /// Names told since the last time.
    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

async fn watch(
    api: &EventApi,
    who: &Principal,
    ask: &v1::WatchRequest,
) -> Result<ReceiverStream<Down>, ApiError> {
    let answer = api.watch(request(who, ask.clone())).await;
    answer.map(Response::into_inner).map_err(|status| ApiError::from_status(&status))
}

/// A stream that has sent its list and first bookmark.
async fn watching(
    api: &EventApi,
    who: &Principal,
    ask: &v1::WatchRequest,
) -> (Client, ReceiverStream<Down>) {
    let (mut client, mut stream) = (Client::default(), watch(api, who, ask).await.unwrap());
    client.follow(&mut stream, 0).await.unwrap();
    (client, stream)
}

fn revision(fake: &Fake) -> u64 {
    fake.core.replica.state().revision().0
}

fn submit(fake: &Fake, name: &str) -> JobId {
    fake.replica.elsewhere(|federation| federation.submit(job(name, 1, 1, &[])))
}

fn cancel(fake: &Fake, job: JobId) {
    let cancel = Command::CancelJob { job };
    fake.replica.elsewhere(|f| f.accept(user("kanto", "sapporo"), cancel));
}

/// What a client that lists now sees.
async fn listed(fake: &Fake, ask: &v1::WatchRequest) -> BTreeMap<String, Item> {
    let (client, _stream) = watching(&api(fake), &admin("kanto"), ask).await;
    assert_eq!(client.told.len(), client.rows.len(), "each row once");
    client.rows
}

#[tokio::test(start_paused = true)]
async fn the_list_comes_first_then_what_changes_and_a_resume_misses_nothing() {
    let fake = fake();
    let (api, who) = (api(&fake), admin("hokuto"));
    let early = submit(&fake, "early");
    let (mut client, mut stream) = watching(&api, &who, &both()).await;
    assert_eq!((client.told().len(), client.bookmark), (7, Some(revision(&fake))));
    let late = submit(&fake, "late");
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    assert_eq!(client.told(), ["tenants/sapporo/jobs/late"]);
    drop(stream);
    // Away: one job moves twice, and with it the node that it is placed on.
    fake.replica.elsewhere(|federation| federation.place(&late, &["tokyo-1/n-01"]));
    cancel(&fake, late);
    cancel(&fake, early);
    let again = resume(&both(), client.bookmark.unwrap());
    let mut stream = watch(&api, &who, &again).await.unwrap();
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    let mut told = client.told();
    assert_eq!(told.last().unwrap(), "tenants/sapporo/jobs/early", "in the order of the log");
    told.sort();
    let names =
        ["sites/tokyo-1/nodes/n-01", "tenants/sapporo/jobs/early", "tenants/sapporo/jobs/late"];
    assert_eq!(told, names, "each once");
    assert_eq!(client.rows, listed(&fake, &both()).await);
    // Only the nodes of one site.
    let of = v1::WatchRequest { parent: "sites/sakai-1".into(), ..ask(&[Topic::Nodes]) };
    assert!(
        listed(&fake, &of)
            .await
            .keys()
            .eq(&["sites/sakai-1/nodes/n-01", "sites/sakai-1/nodes/n-02"])
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_told_with_the_first_that_is_kept() {
    let fake = fake();
    *fake.replica.changes.lock() = Changes::with_bounds(2, usize::MAX);
    let api = api(&fake);
    let begin = revision(&fake);
    for name in ["a", "b", "c"] {
        submit(&fake, name);
    }
    let who = admin("kanto");
    let refused = watch(&api, &who, &resume(&both(), begin)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RevisionCompacted);
    assert_eq!(refused.metadata["first"], (begin + 2).to_string());
    assert_eq!(Status::from(refused).code(), Code::OutOfRange);
    let mut client = Client::default();
    let kept = resume(&both(), begin + 1);
    let mut stream = watch(&api, &who, &kept).await.unwrap();
    client.follow(&mut stream, begin + 3).await.unwrap();
    assert_eq!(client.told().len(), 2);
    // In the middle of a stream: an installed snapshot took the place of everything.
    fake.replica.changes.lock().restart(Revision(begin + 9));
    for name in ["d", "e"] {
        submit(&fake, name);
    }
    let ended = client.follow(&mut stream, u64::MAX).await.unwrap_err();
    assert_eq!(ended.code, ErrorCode::RevisionCompacted);
    assert_eq!(ended.metadata["bookmark"], (begin + 3).to_string());
    // Another incarnation counts its entries anew.
    let other = v1::WatchRequest { resume_incarnation: 2, ..kept };
    let refused = watch(&api, &who, &other).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RevisionCompacted);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_ended_with_its_bookmark_and_goes_on_from_there() {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.tenant("otaru", Limit::Unlimited));
    let (api, who) = (api(&fake), admin("kanto"));
    let (mut client, mut stream) = watching(&api, &who, &both()).await;
    let (begin, many) = (client.bookmark.unwrap(), WATCH_QUEUE + 40);
    client.told();
    for n in 0..many {
        // Nobody reads, and apply goes on.
        submit(&fake, &format!("j-{n}"));
    }
    // waits: for the stream to be given up, on a clock that jumps.
    tokio::time::sleep(WATCH_STALL * 2).await;
    let ended = client.follow(&mut stream, u64::MAX).await.unwrap_err();
    assert_eq!(client.told().len(), WATCH_QUEUE);
    assert_eq!(ended.code, ErrorCode::Overloaded);
    assert_eq!(ended.metadata["bookmark"], begin.to_string());
    let mut stream = watch(&api, &who, &resume(&both(), begin)).await.unwrap();
    client.seen = begin;
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    assert_eq!(client.told().len(), many);
    assert_eq!(client.rows, listed(&fake, &both()).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_the_role_or_the_certificate_sees_the_stream_end() {
    let fake = fake();
    let (api, who) = (api(&fake), user("kanto", "sapporo"));
    let (mut client, mut stream) = watching(&api, &who, &jobs_of("sapporo")).await;
    submit(&fake, "before");
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    assert_eq!(client.told(), ["tenants/sapporo/jobs/before"]);
    // Both are there when the stream looks again.
    let (principal, key) = (who.clone(), user_key(&who).public());
    fake.replica.elsewhere(|federation| {
        federation.submit(job("after", 1, 1, &[]));
        federation.accept(admin("kanto"), Command::RevokeKey { principal, key });
    });
    let ended = client.follow(&mut stream, u64::MAX).await.unwrap_err();
    assert_eq!((ended.code, client.told()), (ErrorCode::PermissionDenied, vec![]));
    assert_eq!(stream.next().await.map(|_| ()), None);

    let mut begin = request(&admin("kanto"), both());
    let mut peer = fake::peer(&admin("kanto"));
    let end = fake.core.clock.wall().plus_ms(5000);
    Arc::get_mut(peer.identity.as_mut().unwrap()).unwrap().not_after = end;
    begin.extensions_mut().insert(peer);
    let mut stream = api.watch(begin).await.unwrap().into_inner();
    let mut client = Client::default();
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    fake.clock.0.store(5001, Ordering::Relaxed);
    let ended = client.follow(&mut stream, u64::MAX).await.unwrap_err();
    assert_eq!(ended.code, ErrorCode::Unauthenticated);
    assert!(end < Timestamp(u64::MAX));
}

#[tokio::test(start_paused = true)]
async fn a_tenants_user_sees_its_tenant_only() {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.tenant("otaru", Limit::Unlimited));
    let (api, who) = (api(&fake), user("kanto", "sapporo"));
    let (mut client, mut stream) = watching(&api, &who, &jobs_of("sapporo")).await;
    let of_otaru = |federation: &mut Federation| {
        let mut facts = job("theirs", 1, 1, &[]);
        facts.id = "otaru/theirs".parse().unwrap();
        federation.submit(facts)
    };
    fake.replica.elsewhere(of_otaru);
    submit(&fake, "own");
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    assert_eq!(client.told(), ["tenants/sapporo/jobs/own"]);
    for (ask, code) in [
        (jobs_of("otaru"), ErrorCode::NotFound),
        (jobs_of("nowhere"), ErrorCode::NotFound),
        (resume(&jobs_of("otaru"), 1), ErrorCode::NotFound),
        (jobs_of("-"), ErrorCode::PermissionDenied),
        (both(), ErrorCode::PermissionDenied),
    ] {
        assert_eq!(watch(&api, &who, &ask).await.unwrap_err().code, code, "{ask:?}");
    }
    // What everybody of the federation may read, and a stranger may not.
    let nodes = ask(&[Topic::Nodes]);
    let (client, _stream) = watching(&api, &who, &nodes).await;
    assert_eq!(client.rows.len(), 6);
    let stranger = watch(&api, &user("kanto", "stranger"), &nodes).await.unwrap_err();
    assert_eq!(stranger.code, ErrorCode::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_resume_ahead_of_what_is_applied_waits_for_it() {
    let fake = fake();
    let (who, here) = (admin("kanto"), revision(&fake));
    // This member lacks what the caller has seen at another: by its bookmark, or after it.
    let seen = v1::WatchRequest { seen_revision: here + 2, ..resume(&both(), here) };
    for ahead in [resume(&both(), here + 2), seen] {
        let api = api(&fake);
        let begun = tokio::time::Instant::now();
        let late = watch(&api, &who, &ahead).await.unwrap_err();
        assert_eq!((late.code, late.code.is_retryable()), (ErrorCode::StaleRead, true));
        assert_eq!(begun.elapsed(), crate::limit::READ_DEADLINE);
    }
    let ahead = resume(&both(), here + 2);
    let api = api(&fake);
    let mut waiting = std::pin::pin!(watch(&api, &who, &ahead));
    assert!(futures::poll!(&mut waiting).is_pending());
    submit(&fake, "one");
    assert!(futures::poll!(&mut waiting).is_pending());
    submit(&fake, "two");
    let (mut client, mut stream) = (Client::default(), waiting.await.unwrap());
    submit(&fake, "three");
    client.follow(&mut stream, here + 3).await.unwrap();
    assert_eq!(client.told(), ["tenants/sapporo/jobs/three"]);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_when_nothing_changes_and_say_when_they_are_stale() {
    let fake = fake();
    let state = fake.core.replica.state();
    let hear = |now_ns| {
        for member in state.federation().unwrap().members.values() {
            fake.core.peers.hear(member, Revision(1), None, now_ns);
        }
    };
    hear(0);
    let mut stream = watch(&api(&fake), &admin("kanto"), &both()).await.unwrap();
    let mut bookmark = async || loop {
        if let Item::Bookmark(bookmark) = stream.next().await.unwrap().unwrap().item.unwrap() {
            return bookmark.stale;
        }
    };
    assert!(!bookmark().await);
    let begun = tokio::time::Instant::now();
    assert!(!bookmark().await);
    assert!(begun.elapsed() <= Duration::from_secs(1), "as asked for");
    *fake.replica.leader.lock() = None;
    assert!(bookmark().await, "no leader");
    *fake.replica.leader.lock() = Some(MemberId(3));
    assert!(!bookmark().await);
    fake.clock.0.store(3001, Ordering::Relaxed);
    assert!(bookmark().await, "the leader is silent");
    *fake.replica.leader.lock() = Some(MemberId(2));
    assert!(bookmark().await, "it leads, and nobody confirms it");
    hear(3_001_000_000);
    assert!(!bookmark().await);
}

#[tokio::test]
async fn a_request_has_to_make_sense_and_places_are_bounded() {
    let fake = fake();
    let (api, who) = (api(&fake), admin("kanto"));
    let with =
        |topics: &[Topic], parent: &str| v1::WatchRequest { parent: parent.into(), ..ask(topics) };
    for ask in [
        ask(&[]),
        ask(&[Topic::Unspecified, Topic::Jobs]),
        v1::WatchRequest { topics: vec![99], ..Default::default() },
        with(&[Topic::Jobs, Topic::Nodes], "tenants/sapporo"),
        with(&[Topic::Jobs], "sites/tokyo-1"),
        with(&[Topic::Nodes], "tenants/sapporo"),
    ] {
        let refused = watch(&api, &who, &ask).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{ask:?}");
    }
    let mut held = Vec::new();
    for _ in 0..crate::limit::WATCHES_PER_CONNECTION {
        held.push(watch(&api, &who, &both()).await.unwrap());
    }
    assert_eq!(watch(&api, &who, &both()).await.unwrap_err().code, ErrorCode::Overloaded);
    held.pop();
    while watch(&api, &who, &both()).await.is_err() {
        tokio::task::yield_now().await;
    }
}
