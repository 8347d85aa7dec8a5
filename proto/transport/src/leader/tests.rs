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

#[tokio::test]
async fn a_busy_member_is_not_asked_sooner_than_it_said() {
    let (mut group, calls) = (Group::new(), AtomicU32::new(0));
    let busy = group.member(move || match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Status::resource_exhausted("busy")),
        _ => Ok("done".to_owned()),
    });
    let busy = busy.await;
    let client = group.client(&[busy], CallOptions::default());
    let wait = Duration::from_millis(300);
    let begun = tokio::time::Instant::now();
    let answer = client.call(soon(), |c| say(c, ""), |_| Verdict::After(wait)).await.unwrap();
    assert_eq!((answer.as_str(), group.asked()), ("done", 2));
    assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());
    // Nor does the caller wait for what its deadline rules out.
    let refuses = group.member(|| Err(Status::resource_exhausted("busy"))).await;
    let client = group.client(&[refuses], CallOptions::default());
    let far = |_: &Status| Verdict::After(Duration::from_secs(600));
    let begun = tokio::time::Instant::now();
    let error = client.call(soon(), |c| say(c, ""), far).await.unwrap_err();
    assert_eq!((error.status.code(), error.attempts), (Code::ResourceExhausted, 1));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// Sites whose kernel takes connections and whose controllers say nothing: the socket is never accepted from.
#[expect(clippy::disallowed_types, reason = "a member that hangs below TLS")]
fn silent_sites(count: usize) -> (Vec<std::net::TcpListener>, Vec<Address>) {
    let sockets: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap().into()).collect();
    (sockets, addresses)
}

#[tokio::test]
async fn a_dead_site_costs_a_head_start_and_one_that_refuses_costs_nothing() {
    let mut group = Group::new();
    let alive = group.member(|| Ok("done".to_owned())).await;
    let (sockets, silent) = silent_sites(1);
    let options = CallOptions::default();
    let client = group.client(&[silent[0].clone(), alive.clone()], options);
    for least in [options.head_start, Duration::ZERO] {
        let begun = tokio::time::Instant::now();
        assert_eq!(client.call(soon(), |c| say(c, ""), decide).await.unwrap(), "done");
        let took = begun.elapsed();
        assert!(took >= least && took < options.attempt, "{took:?}");
        assert_eq!((client.current().0, group.asked()), (alive.clone(), 1));
    }
    // Nobody listens there any more: no head start is waited for, however long it is.
    drop(sockets);
    let patient = CallOptions { head_start: Duration::from_secs(600), ..options };
    let client = group.client(&[silent[0].clone(), alive.clone()], patient);
    let begun = tokio::time::Instant::now();
    let far = Deadline::after(Duration::from_secs(3600));
    assert_eq!(client.call(far, |c| say(c, ""), decide).await.unwrap(), "done");
    assert!(begun.elapsed() < options.attempt, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn many_dead_sites_take_their_stated_share_of_the_deadline_and_no_more() {
    let mut group = Group::new();
    let alive = group.member(|| Ok("done".to_owned())).await;
    let (_sockets, mut all) = silent_sites(ENDPOINTS_MAX - 1);
    all.push(alive.clone());
    let client = group.client(&all, CallOptions::default());
    let (whole, begun) = (Duration::from_secs(2), tokio::time::Instant::now());
    let deadline = Deadline::after(whole);
    assert_eq!(client.call(deadline, |c| say(c, ""), decide).await.unwrap(), "done");
    assert!(begun.elapsed() < whole * 3 / 4, "{:?}", begun.elapsed());
    assert_eq!((client.current().0, group.asked()), (alive, 1));
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
