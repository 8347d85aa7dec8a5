//! What is known of nodes out of contact, by whom, and what is said of what waits for them.

use super::*;
use crate::fake::{Fake, fake, request};
use crate::service::job::JobApi;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, agent, job, user};
use sekisho_proto::v1::job_service_server::JobService as _;
use sekisho_types::id::JobId;
use sekisho_types::job::JobFacts;
use sekisho_types::placement::Ending;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const SECOND: Duration = Duration::from_secs(1);

fn node() -> NodeId {
    "ishikari-1/n-01".parse().unwrap()
}

fn silence(silent: u32, left: u32) -> Silence {
    Silence { silent: silent * SECOND, left: left * SECOND, expiring: false }
}

fn silent(silence: Silence) -> LeaseNews {
    let silent = BTreeMap::from([(node(), silence)]);
    LeaseNews { silent, whole: true, ..LeaseNews::default() }
}

/// A member that does not lead.
fn follower() -> Fake {
    let fake = fake();
    *fake.replica.news.lock() = None;
    fake
}

fn forward(fake: &Fake, ms: u64) {
    fake.clock.0.fetch_add(ms, Ordering::Relaxed);
}

/// A job on the node.
fn placed(fake: &Fake, facts: JobFacts) -> (PlacementId, JobId) {
    fake.replica.elsewhere(|federation| {
        let id = federation.submit(facts);
        federation.place(&id, &["ishikari-1/n-01"]);
        (federation.placements(&id)[0], id)
    })
}

async fn explained(fake: &Fake, job: &JobId) -> Vec<v1::Wait> {
    let ask = v1::ExplainJobRequest { name: job.name() };
    let api = JobApi(Arc::clone(&fake.core));
    let answer = api.explain_job(request(&user("kanto", "sapporo"), ask)).await;
    answer.unwrap().into_inner().waits
}

#[test]
fn the_leader_knows_and_the_others_know_what_it_told_them_lately() {
    let leader = fake();
    assert_eq!(leader.core.contact(&node()), Contact::Live);
    leader.replica.tell(silent(silence(9, 11)));
    assert_eq!(leader.core.contact(&node()), Contact::Silent(silence(9, 11)));
    let follower = follower();
    assert_eq!(follower.core.contact(&node()), Contact::Unknown, "nobody told");
    let from = follower.core.replica.membership().leader.unwrap();
    follower.core.hear_leases(from, silent(silence(9, 11)));
    forward(&follower, 2_000);
    assert_eq!(follower.core.contact(&node()), Contact::Silent(silence(11, 9)), "two seconds ago");
    assert_eq!(follower.core.contact(&"tokyo-1/n-01".parse().unwrap()), Contact::Live);
    forward(&follower, 1_001);
    assert_eq!(follower.core.contact(&node()), Contact::Unknown, "too long ago");
    // Whoever says that it leads and does not is not believed.
    let other = MemberId(from.0 % 3 + 1);
    follower.core.hear_leases(other, silent(silence(9, 11)));
    assert_eq!(follower.core.contact(&node()), Contact::Unknown);
}

#[test]
fn of_more_than_a_message_holds_the_rest_is_unknown_unless_it_beats_here() {
    let fake = fake();
    fake.replica.tell(LeaseNews { whole: false, ..silent(silence(9, 11)) });
    let other: NodeId = "tokyo-1/n-01".parse().unwrap();
    assert_eq!(fake.core.contact(&other), Contact::Unknown);
    let session = fake.core.replica.state().node(&other).unwrap().session.clone().unwrap().id;
    let run = (session, sekisho_evidence::grant::Instance([1; 16]));
    let _attached = fake.core.sessions.attach(&other, run, 0).unwrap();
    assert_eq!(fake.core.contact(&other), Contact::Live);
}

#[tokio::test]
async fn what_a_job_has_on_a_silent_node_waits_for_its_lease_and_says_how_long() {
    let fake = fake();
    let (placement, id) = placed(&fake, job("train", 1, 1, &["JP-01"]));
    assert_eq!(explained(&fake, &id).await, []);
    fake.replica.tell(silent(silence(9, 11)));
    let expected = v1::Wait {
        cause: v1::wait::Cause::Lease.into(),
        placement: placement.to_string(),
        node: node().name(),
        for_ms: 9_000,
        left_ms: Some(11_000),
    };
    assert_eq!(explained(&fake, &id).await, std::slice::from_ref(&expected));
    let ask = v1::GetJobRequest { name: id.name(), read: None };
    let api = JobApi(Arc::clone(&fake.core));
    let shown = api.get_job(request(&user("kanto", "sapporo"), ask)).await.unwrap().into_inner();
    assert_eq!(shown.waits, [expected]);
}

#[tokio::test]
async fn no_lease_bounds_what_runs_to_completion() {
    let fake = fake();
    let mut facts = job("train", 1, 1, &["JP-01"]);
    facts.on_disconnect = OnDisconnect::RunToCompletion;
    let (_, id) = placed(&fake, facts);
    fake.replica.tell(silent(silence(9, 11)));
    let waits = explained(&fake, &id).await;
    assert_eq!((waits[0].cause(), waits[0].left_ms), (v1::wait::Cause::Host, None));
    let session = fake.core.replica.state().node(&node()).unwrap().session.clone().unwrap().id;
    let expire = Command::ExpireLease { node: node(), session };
    fake.replica.elsewhere(|federation| federation.accept(testing::member("kanto"), expire));
    let waits = explained(&fake, &id).await;
    assert_eq!((waits[0].cause(), waits[0].left_ms), (v1::wait::Cause::Host, None));
}

#[tokio::test]
async fn what_waits_for_room_is_told_of_what_stops_there_and_of_its_bound() {
    let fake = fake();
    let (placement, id) = placed(&fake, job("old", 1, 4, &["JP-01"]));
    let (session, waiting) = fake.replica.elsewhere(|federation| {
        let filler = federation.submit(job("filler", 1, 4, &["JP-01"]));
        federation.place(&filler, &["ishikari-1/n-02"]);
        let waiting = federation.submit(job("new", 1, 4, &["JP-01"]));
        federation.accept(user("kanto", "sapporo"), Command::CancelJob { job: id.clone() });
        (federation.state.node(&node()).unwrap().session.clone().unwrap().id, waiting)
    });
    let left = 75 * SECOND;
    let stopping = BTreeMap::from([(placement, left)]);
    fake.replica.tell(LeaseNews { stopping, whole: true, ..LeaseNews::default() });
    forward(&fake, 5_000);
    let waits = explained(&fake, &waiting).await;
    let told: Vec<_> = waits.iter().map(|w| (w.cause(), w.node.as_str(), w.left_ms)).collect();
    let name = node().name();
    assert_eq!(told, [(v1::wait::Cause::Teardown, name.as_str(), Some(70_000))]);
    let phases = vec![(placement, Phase::Ended(Ending::Stopped))];
    let report = Command::Report { node: node(), session, phases };
    fake.replica.elsewhere(|federation| federation.accept(agent(&node()), report));
    assert_eq!(explained(&fake, &waiting).await, []);
}

#[test]
fn what_members_tell_of_leases_is_bounded_and_every_bad_field_is_named() {
    let stopping = BTreeMap::from([("p-1-42-0".parse().unwrap(), SECOND)]);
    let told = LeaseNews { stopping, ..silent(silence(9, 11)) };
    let message = internal::LeaseNews::from(&told);
    assert_eq!(news(&message, 7), Ok(LeaseNews { at_ns: 7, ..told }));
    let refused = |change: &dyn Fn(&mut internal::LeaseNews)| {
        let mut message = message.clone();
        change(&mut message);
        news(&message, 0).unwrap_err().field
    };
    assert_eq!(refused(&|m| m.silent[0].node.clear()), "leases.silent.node");
    assert_eq!(refused(&|m| m.silent[0].left_ms = 3_600_000), "leases.left_ms");
    assert_eq!(refused(&|m| m.stopping[0].placement.clear()), "leases.stopping.placement");
    assert_eq!(refused(&|m| m.stopping[0].left_ms = u64::MAX), "leases.left_ms");
    assert_eq!(refused(&|m| m.silent = vec![m.silent[0].clone(); LEASE_NEWS_MAX + 1]), "leases");
}
