//! Following a leader over three members that answer with codes of their own.

use super::*;
use crate::fixture::{Authority, Echo, say, trust};
use crate::listen::{Limits, Listener};
use crate::task::TaskGroup;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tonic::Code;

/// Members whose answers a test sets; `asked` counts their calls.
struct Group {
    kanto: Authority,
    tasks: TaskGroup,
    addrs: Vec<Address>,
    asked: Arc<AtomicU32>,
}

impl Group {
    fn new() -> Self {
        let (kanto, tasks) = (Authority::new("kanto"), TaskGroup::new());
        Self { kanto, tasks, addrs: Vec::new(), asked: Arc::default() }
    }

    async fn member(
        &mut self,
        answer: impl Fn() -> Result<String, Status> + Send + Sync + 'static,
    ) -> Address {
        let path = format!("/site/tokyo-1/member/{}", self.addrs.len());
        let (identity, bundles) = (self.kanto.identity(&path), trust(&[&self.kanto]));
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener =
            Listener::bind(any, &identity, &bundles, &self.tasks, Limits::default()).await.unwrap();
        let asked = Arc::clone(&self.asked);
        Echo::new(move |_text, _peer| {
            asked.fetch_add(1, Ordering::Relaxed);
            answer()
        })
        .serve(&self.tasks, listener.authenticated);
        self.addrs.push(listener.addr.into());
        listener.addr.into()
    }

    fn client(&self, to: &[Address], options: CallOptions) -> Endpoints {
        let dialer = Dialer::new(Some(self.kanto.identity("/user/alice")), trust(&[&self.kanto]));
        let random = Box::new(StdRng::seed_from_u64(7));
        Endpoints::new(dialer, to, Expect::AnyMember, options, random).unwrap()
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Unavailable and transport errors: the next one. `leader is X`: X. Anything else is an answer.
fn decide(status: &Status) -> Verdict {
    match status.message().strip_prefix("leader is ") {
        Some(address) => Verdict::Leader(address.parse().unwrap()),
        None if status.code() == Code::FailedPrecondition => Verdict::Return,
        None if status.code() == Code::ResourceExhausted => Verdict::Again,
        None => Verdict::Next,
    }
}

#[tokio::test]
async fn calls_find_the_leader_and_stay_with_it() {
    let mut group = Group::new();
    let down = group.member(|| Err(Status::unavailable("starting"))).await;
    let leader = group.member(|| Ok("done".to_owned())).await;
    let told = leader.to_string();
    let follower = group.member(move || Err(Status::aborted(format!("leader is {told}")))).await;
    let client = group.client(&[down, follower, leader.clone()], CallOptions::default());
    for asked in [3, 1] {
        let answer = client.call(soon(), |channel| say(channel, "x"), decide).await.unwrap();
        assert_eq!((answer.as_str(), group.asked()), ("done", asked));
    }
    assert_eq!(client.current().0, leader);
    assert!(client.current().1.peer().is_some());
}

#[tokio::test]
async fn a_hint_outside_the_list_is_followed_but_not_believed() {
    let mut group = Group::new();
    let hidden = group.member(|| Ok("done".to_owned())).await;
    let told = hidden.to_string();
    let known = group.member(move || Err(Status::aborted(format!("leader is {told}")))).await;
    let client = group.client(std::slice::from_ref(&known), CallOptions::default());
    assert_eq!(client.call(soon(), |c| say(c, ""), decide).await.unwrap(), "done");
    assert_eq!(client.current().0, hidden);
    // A listener of another operator answers at the hinted address: it never sees the call.
    let mut foreign = Group::new();
    foreign.kanto = Authority::new("naniwa");
    let liar = foreign.member(|| Ok("stolen".to_owned())).await;
    client.go_to(&liar).unwrap();
    assert_eq!(client.call(soon(), |c| say(c, ""), decide).await.unwrap(), "done");
    assert_eq!(foreign.asked(), 0);
    // Hints do not pile up, and the configured address stays.
    for port in 1..60 {
        client.go_to(&SocketAddr::from(([192, 0, 2, 1], port)).into()).unwrap();
    }
    let routes = client.routes.lock();
    assert!(routes.known.len() <= ENDPOINTS_MAX && routes.known[0].0 == known);
}

#[tokio::test]
async fn final_answers_end_the_call_and_so_does_an_empty_budget() {
    let mut group = Group::new();
    let refuses = group.member(|| Err(Status::failed_precondition("no"))).await;
    let client = group.client(&[refuses], CallOptions::default());
    let error = client.call(soon(), |c| say(c, ""), decide).await.unwrap_err();
    assert_eq!((error.status.code(), error.attempts), (Code::FailedPrecondition, 1));
    let busy = group.member(|| Err(Status::resource_exhausted("busy"))).await;
    let backoff = BackoffOptions { base: Duration::from_millis(1), max: Duration::from_millis(1) };
    let client =
        group.client(&[busy], CallOptions { retries: 4, backoff, ..CallOptions::default() });
    let error = client.call(soon(), |c| say(c, ""), decide).await.unwrap_err();
    assert_eq!((error.status.code(), error.attempts), (Code::ResourceExhausted, 5));
    // The next call gets its one attempt and no more.
    let error = client.call(soon(), |c| say(c, ""), decide).await.unwrap_err();
    assert_eq!(error.attempts, 1);
}

#[tokio::test]
async fn a_call_ends_by_its_deadline_whatever_the_members_do() {
    let group = Group::new();
    let nowhere: Address = "192.0.2.1:1".parse().unwrap();
    let options = CallOptions { attempt: Duration::from_millis(20), ..CallOptions::default() };
    let client = group.client(&[nowhere.clone(), nowhere], options);
    let begun = tokio::time::Instant::now();
    let deadline = Deadline::after(Duration::from_secs(1));
    let silent = |_channel| std::future::pending::<Result<(), Status>>();
    let error = client.call(deadline, silent, decide).await.unwrap_err();
    assert_eq!(error.status.code(), Code::DeadlineExceeded);
    assert!(error.attempts >= 2, "{}", error.attempts);
    assert!(begun.elapsed() <= Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_client_needs_addresses_but_not_many() {
    let dialer = Dialer::new(None, trust(&[]));
    let make = |count: usize| {
        let all = vec!["h:1".parse().unwrap(); count];
        let random = Box::new(StdRng::seed_from_u64(7));
        let dialer = dialer.clone();
        Endpoints::new(dialer, &all, Expect::AnyMember, CallOptions::default(), random)
    };
    assert!(matches!(make(0), Err(EndpointsError::Count(0))));
    assert!(matches!(make(ENDPOINTS_MAX + 1), Err(EndpointsError::Count(_))));
}
