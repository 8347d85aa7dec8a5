//! The agent against a small federation of two operators (k = 2) that speaks the real protocol over real
//! connections, with simulated devices and real processes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in helpers too"
)]

mod controller;
mod log;
mod submission;

use controller::Federation;
use log::Told;
use sekisho_agent::agent::{Agent, End};
use sekisho_agent::config::Config;
use sekisho_agent::enrolment::Enrolment;
use sekisho_agent::failure::Failure;
use sekisho_agent::join::join;
use sekisho_agent_runtime::shim::{ShimCommand, namespace};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::grant::Grant;
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::payload::JobPayload;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::time::{Clock, Timestamp};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(30);

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn config(dir: &Path, area: &str) -> Config {
    let text = format!(
        "node = 'ishikari-1/n-01'\narea = '{area}'\nrack = 'r12'\ndata_dir = '{}'\n\
         [devices]\nkind = 'simulated'\n\
         groups = [{{ class = 'h100-80g', memory_mib = 81920, islands = 1, devices = 2 }}]",
        dir.display()
    );
    Config::parse(&text).unwrap()
}

fn shim() -> ShimCommand {
    let program = env!("CARGO_BIN_EXE_sekisho-agent").into();
    ShimCommand { program, args: vec!["shim".to_owned()] }
}

fn shell(script: &str) -> Vec<u8> {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    encode(&JobPayload { command, ..JobPayload::default() }).unwrap()
}

/// Says that this host cannot try it; the build turns the file into a failure.
fn not_run(reason: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "NOT RUN: {reason}"));
    if let Some(path) = std::env::var_os("SEKISHO_NOT_RUN") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}

/// A running agent.
struct Running {
    end: oneshot::Sender<End>,
    done: JoinSet<Result<(), Failure>>,
}

impl Running {
    async fn start(config: &Config) -> Self {
        Self::start_at(config, clock()).await
    }

    async fn start_at(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let agent = Agent::open(config.clone(), shim(), clock).await.unwrap();
        let (end, asked) = oneshot::channel();
        let mut done = JoinSet::new();
        done.spawn(agent.run(async move { asked.await.unwrap() }));
        Self { end, done }
    }

    async fn stop(self) -> Result<(), Failure> {
        self.end(End::StopAll).await
    }

    async fn end(mut self, how: End) -> Result<(), Failure> {
        self.end.send(how).unwrap();
        tokio::time::timeout(PATIENCE, self.done.join_next()).await.unwrap().unwrap().unwrap()
    }
}

async fn until<T>(federation: &Federation, mut look: impl FnMut(&Told) -> Option<T>) -> T {
    let mut changed = federation.changed();
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = federation.with(|told| look(told)) {
                return found;
            }
            changed.changed().await.unwrap();
        }
    });
    found.await.unwrap_or_else(|_elapsed| panic!("{:#?}", federation.with(|told| told.clone())))
}

async fn phase(federation: &Federation, grant: &Grant, wanted: Phase) {
    let wanted = (grant.placement, wanted);
    until(federation, |told| told.phases.contains(&wanted).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_joins_runs_what_k_operators_granted_and_nothing_else() {
    if let Err(reason) = namespace::probe(&shim()) {
        not_run(&reason);
        return;
    }
    let federation = Federation::start("012351").await;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "012351");
    let token = federation.token();
    join(&config, &token, &clock()).await.unwrap();
    let again = join(&config, &token, &clock()).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::AlreadyExists);

    let agent = Running::start(&config).await;
    let session = until(&federation, |told| told.sessions.last().cloned()).await;
    assert_eq!((session.previous, session.live.len(), &session.rack), (None, 0, &config.rack));
    assert_eq!(session.buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [2]);

    let first = federation.grant(&shell("echo hello; exec sleep 60"), |grant| grant.gpus = 2);
    federation.desire(std::slice::from_ref(&first));
    phase(&federation, &first, Phase::Running).await;
    federation.read_log(&first.placement);
    let output = until(&federation, |told| told.output.clone().filter(|o| !o.is_empty())).await;
    assert_eq!(output, b"hello\n");

    // The second needs a device of the first, which is not in the set any more.
    let second = federation.grant(&shell("exit 3"), |_| {});
    federation.desire(std::slice::from_ref(&second));
    phase(&federation, &first, Phase::Ended(Ending::Stopped)).await;
    phase(&federation, &second, Phase::Ended(Ending::Exited(3))).await;

    let elsewhere = federation.grant(&shell("exit 0"), |grant| {
        grant.rules[0].rules.areas = ["271403".to_owned().try_into().unwrap()].into();
    });
    federation.desire(std::slice::from_ref(&elsewhere));
    let refusal = until(&federation, |told| told.refusals.first().cloned()).await;
    assert_eq!((refusal.placement, refusal.code), (elsewhere.placement, ErrorCode::ResidencyArea));
    assert_eq!(refusal.grant, elsewhere.digest().unwrap());

    // Flawless, logged and signed by both operators: only the submitter is missing.
    let unsubmitted = federation.grant_unsubmitted(&shell("exit 0"));
    federation.desire(std::slice::from_ref(&unsubmitted));
    let refusal = until(&federation, |told| told.refusals.get(1).cloned()).await;
    let expected = (unsubmitted.placement, ErrorCode::GrantSubmission);
    assert_eq!((refusal.placement, refusal.code), expected, "{}", refusal.detail);

    let last = federation.grant(&shell("exec sleep 60"), |_| {});
    federation.desire(std::slice::from_ref(&last));
    phase(&federation, &last, Phase::Running).await;
    agent.stop().await.unwrap();
    phase(&federation, &last, Phase::Ended(Ending::Stopped)).await;

    // Another run: a session of its own that knows the one before, and no memory lost.
    let agent = Running::start(&config).await;
    let next = until(&federation, |told| told.sessions.get(1).cloned()).await;
    assert_eq!((next.previous, next.live.len()), (Some(session.session), 0));
    // One that leaves: the next run names to its session what goes on, and tells of its end.
    let stays =
        federation.grant(&shell("echo $$; until [ -e gone ]; do sleep 0.05; done; exit 7"), |_| {});
    federation.desire(std::slice::from_ref(&stays));
    phase(&federation, &stays, Phase::Running).await;
    agent.end(End::Leave).await.unwrap();
    let agent = Running::start(&config).await;
    let third = until(&federation, |told| told.sessions.get(2).cloned()).await;
    assert_eq!((third.previous, third.live), (Some(next.session), vec![stays.placement]));
    assert_eq!(third.buckets, session.buckets, "they may not change while placements live");
    let work = config.runtime_dir().join(stays.placement.to_string()).join("work/gone");
    std::fs::write(work, "").unwrap();
    phase(&federation, &stays, Phase::Ended(Ending::Exited(7))).await;
    agent.stop().await.unwrap();
    let phases = federation.with(|told| told.phases.clone());
    for refused in [elsewhere.placement, unsubmitted.placement] {
        assert!(!phases.iter().any(|(placement, _)| *placement == refused));
    }

    std::fs::write(dir.path().join("ledger"), "rubbish").unwrap();
    let dirty = Agent::open(config, shim(), clock()).await.unwrap_err();
    assert_eq!(dirty.code, ErrorCode::StorageFailed);
    federation.stop().await;
}

/// The agent's word that its head moved may be lost, or cross with the next set: then no member's proof begins where
/// the agent stands, and it has to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_crossed_with_a_moved_head_is_asked_for_again() {
    if let Err(reason) = namespace::probe(&shim()) {
        not_run(&reason);
        return;
    }
    let federation = Federation::start("012351").await;
    federation.lose_heads();
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "012351");
    join(&config, &federation.token(), &clock()).await.unwrap();
    let agent = Running::start(&config).await;
    until(&federation, |told| told.sessions.last().cloned()).await;
    for code in [3, 4] {
        let grant = federation.grant(&shell(&format!("exit {code}")), |_| {});
        federation.desire(std::slice::from_ref(&grant));
        phase(&federation, &grant, Phase::Ended(Ending::Exited(code))).await;
    }
    agent.stop().await.unwrap();
    federation.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_abroad_or_with_a_wrong_token_does_not_join() {
    let federation = Federation::start("KR-26").await;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "KR-26");
    let token = federation.token();
    let abroad = join(&config, &token, &clock()).await.unwrap_err();
    assert_eq!((abroad.code, abroad.exit()), (ErrorCode::ResidencyOutsideJp, 4));

    let mut forged = token.clone();
    forged.root_hash = sekisho_types::id::Digest([9; 32]);
    let pinned = join(&config, &forged, &clock()).await.unwrap_err();
    assert_eq!(pinned.code, ErrorCode::BundleMismatch, "{pinned}");
    let mut unknown = token.clone();
    unknown.secret = [0; 32];
    let refused = join(&config, &unknown, &clock()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TokenUnknown);
    let mut late = token;
    late.expires = Timestamp(1);
    assert_eq!(join(&config, &late, &clock()).await.unwrap_err().code, ErrorCode::TokenExpired);
    let run = Agent::open(config, shim(), clock()).await.unwrap_err();
    assert_eq!(run.code, ErrorCode::Unauthenticated);
    federation.stop().await;
}

/// A host to which it is later than it is.
#[derive(Debug)]
struct Later(Duration);

impl Clock for Later {
    fn wall(&self) -> Timestamp {
        SystemClock.wall().plus_ms(u64::try_from(self.0.as_millis()).unwrap())
    }
    fn boottime_ns(&self) -> u64 {
        SystemClock.boottime_ns()
    }
}

/// A certificate of an hour at minute 46: renewed by itself; and where nobody renews it, that is told while a quarter of its
/// life is left, with the session and not after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ages_is_renewed_or_its_age_is_told_in_time() {
    let federation = Federation::start("012351").await;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "012351");
    join(&config, &federation.token(), &clock()).await.unwrap();
    let held = || Enrolment::load(dir.path()).unwrap().unwrap().chain_pem;
    let joined = held();
    let at = |minutes: u64| Arc::new(Later(Duration::from_secs(minutes * 60)));

    federation.renew(false);
    let agent = Running::start_at(&config, at(46)).await;
    let findings = |told: &Told| Some(told.sessions.last()?.findings.clone());
    let found = until(&federation, findings).await;
    let certificate = found.iter().find(|f| f.check.as_str() == "certificate").unwrap();
    assert!(!certificate.blocks && certificate.detail.starts_with("not renewed, ends at"));
    agent.stop().await.unwrap();
    assert_eq!((held(), federation.with(|told| told.renewals)), (joined.clone(), 0));

    federation.renew(true);
    let agent = Running::start_at(&config, at(46)).await;
    until(&federation, |told| (told.renewals > 0).then_some(())).await;
    tokio::time::timeout(PATIENCE, async {
        while held() == joined {
            // waits: for the agent's main loop to put it on disk
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    agent.stop().await.unwrap();
    // With what was renewed it comes back, and finds nothing to tell of it.
    let sessions = federation.with(|told| told.sessions.len());
    let agent = Running::start(&config).await;
    let found = until(&federation, |told| {
        (told.sessions.len() > sessions).then(|| told.sessions.last().unwrap().findings.clone())
    });
    let found = found.await;
    assert!(found.iter().all(|finding| finding.check.as_str() != "certificate"), "{found:?}");
    agent.stop().await.unwrap();
    federation.stop().await;
}
