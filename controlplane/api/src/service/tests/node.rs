//! The life of a node: who may say what about it, what is refused, and how it is shown.

use super::write::intent;
use super::*;
use crate::fake::Fake;
use crate::service::agent::AgentApi;
use crate::service::member::MemberApi;
use crate::service::node::NodeApi;
use sekisho_evidence::grant::SessionId;
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::testing::{admin, agent, job, member, node_key, user};
use sekisho_proto::convert::fitness::ReportFitness;
use sekisho_proto::internal::v1::agent_service_server::AgentService as _;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_types::fitness::Unfit;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::name::Name;
use sekisho_types::principal::Principal;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const OWN: &str = "tokyo-1/n-01";
const FOREIGN: &str = "sakai-1/n-01";

fn id(node: &str) -> NodeId {
    node.parse().unwrap()
}

fn signed(number: u8, command: &Command, by: &Principal) -> Option<v1::Intent> {
    Some(intent(number, command, std::slice::from_ref(by)))
}

fn drain(number: u8, node: &str, by: &Principal) -> v1::DrainNodeRequest {
    let (node, within_s, message) = (id(node), Some(60), "new cooling".to_owned());
    let name = node.name();
    let command = Command::DrainNode { node, within_s, message: message.clone() };
    v1::DrainNodeRequest { name, within_s, message, intent: signed(number, &command, by) }
}

fn undrain(number: u8, node: &str, by: &Principal) -> v1::UndrainNodeRequest {
    let name = id(node).name();
    let command = Command::UndrainNode { node: id(node), keep_cordoned: true };
    v1::UndrainNodeRequest { name, keep_cordoned: true, intent: signed(number, &command, by) }
}

fn approve(number: u8, node: &str, node_key: Digest, by: &Principal) -> v1::ApproveNodeRequest {
    let (name, key) = (id(node).name(), node_key.to_string());
    let command = Command::ApproveNode { node: id(node), node_key };
    v1::ApproveNodeRequest { name, node_key: key, intent: signed(number, &command, by) }
}

fn decommission(number: u8, node: &str, by: &Principal) -> v1::DecommissionNodeRequest {
    let command = Command::DecommissionNode { node: id(node) };
    v1::DecommissionNodeRequest { name: id(node).name(), intent: signed(number, &command, by) }
}

async fn shown(fake: &Fake, node: &str) -> v1::Node {
    let api = NodeApi(Arc::clone(&fake.core));
    let ask = v1::GetNodeRequest { name: id(node).name(), read: None };
    api.get_node(request(&admin("kanto"), ask)).await.unwrap().into_inner()
}

/// Codes of the findings that begin so.
async fn found(fake: &Fake, begin: &str) -> Vec<(String, v1::status::Severity)> {
    let api = MemberApi(Arc::clone(&fake.core));
    let status = api.get_status(request(&admin("kanto"), v1::GetStatusRequest {})).await.unwrap();
    let found = status.into_inner().findings.into_iter();
    found.map(|f| (f.code.clone(), f.severity())).filter(|(c, _)| c.starts_with(begin)).collect()
}

/// Moves the state clock.
fn pass(fake: &Fake, seconds: u64) {
    fake.replica.elsewhere(|federation| {
        for _ in 0..seconds / 10 {
            federation.now = federation.now.plus_ms(10_000);
            federation.accept(member("kanto"), Command::Tick);
        }
    });
}

fn pending(fake: &Fake, node: &str) {
    fake.replica.elsewhere(|federation| {
        let enrol = federation.enrolment_with(&id(node), "131016", false);
        federation.accept(member("kanto"), enrol);
    });
}

/// The table, cell by cell: every verb of a node's life, by everybody who is not of its operator, or not its administrator.
#[tokio::test]
async fn nobody_but_its_own_operator_says_what_becomes_of_a_node() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let proposed = fake.replica.proposed.load(Ordering::Relaxed);
    let denied = ErrorCode::PermissionDenied;
    let callers = [
        (admin("kanto"), FOREIGN, denied),
        (admin("naniwa"), OWN, denied),
        // A tenant's person may see nodes, and nothing more.
        (user("kanto", "sapporo"), OWN, denied),
        (user("kanto", "stranger"), OWN, ErrorCode::NotFound),
        (member("kanto"), OWN, ErrorCode::NotFound),
        (agent(&id(OWN)), OWN, ErrorCode::NotFound),
        (admin("kanto"), "tokyo-1/n-99", ErrorCode::NotFound),
    ];
    for (number, (who, node, expected)) in (10u8..).step_by(10).zip(callers) {
        let key = node_key(&id(node));
        let one = api.drain_node(request(&who, drain(number, node, &who))).await;
        assert_eq!(code(one), expected, "{who} drain");
        let one = api.undrain_node(request(&who, undrain(number + 1, node, &who))).await;
        assert_eq!(code(one), expected, "{who} undrain");
        let one = api.approve_node(request(&who, approve(number + 2, node, key, &who))).await;
        assert_eq!(code(one), expected, "{who} approve");
        let one = api.decommission_node(request(&who, decommission(number + 3, node, &who))).await;
        assert_eq!(code(one), expected, "{who} decommission");
        // Beside one of its own, if it has any, in one call.
        let beside = ["tokyo-1/n-02", "tokyo-1/n-01", node];
        let names = if node == OWN { &beside[..2] } else { &beside[..] };
        let names: Vec<String> = names.iter().map(|node| id(node).name()).collect();
        let of = |name: &String| NodeId::from_name(name).unwrap();
        let item = |name| Item::UndrainNode { node: of(name), keep_cordoned: false };
        let command = Command::Batch(names.iter().map(item).collect());
        let ask = v1::BatchUndrainNodesRequest {
            parent: "sites/-".into(),
            names: names.clone(),
            keep_cordoned: false,
            intent: signed(number + 4, &command, &who),
        };
        assert_eq!(code(api.batch_undrain_nodes(request(&who, ask)).await), expected, "{who}");
        let (within_s, message) = (None, String::new());
        let item = |name| Item::DrainNode { node: of(name), within_s, message: message.clone() };
        let command = Command::Batch(names.iter().map(item).collect());
        let ask = v1::BatchDrainNodesRequest {
            parent: "sites/-".into(),
            names,
            within_s,
            message: message.clone(),
            intent: signed(number + 5, &command, &who),
        };
        assert_eq!(code(api.batch_drain_nodes(request(&who, ask)).await), expected, "{who}");
    }
    assert_eq!(fake.replica.proposed.load(Ordering::Relaxed), proposed, "before the log");
}

#[tokio::test]
async fn what_widens_needs_the_callers_own_signature_and_a_drain_does_not() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let kanto = admin("kanto");
    let bare = |mut intent: Option<v1::Intent>| {
        intent.as_mut().unwrap().signatures.clear();
        intent
    };
    let mut ask = drain(1, OWN, &kanto);
    ask.intent = bare(ask.intent);
    api.drain_node(request(&kanto, ask)).await.unwrap();
    let mut ask = undrain(2, OWN, &kanto);
    ask.intent = bare(ask.intent);
    let refused = code(api.undrain_node(request(&kanto, ask)).await);
    assert_eq!(refused, ErrorCode::SignaturesMissing);
    let mut ask = approve(3, OWN, node_key(&id(OWN)), &kanto);
    ask.intent = bare(ask.intent);
    let refused = code(api.approve_node(request(&kanto, ask)).await);
    assert_eq!(refused, ErrorCode::SignaturesMissing);
    let mut ask = decommission(4, OWN, &kanto);
    ask.intent = bare(ask.intent);
    let refused = code(api.decommission_node(request(&kanto, ask)).await);
    assert_eq!(refused, ErrorCode::SignaturesMissing);
}

#[tokio::test]
async fn a_drain_is_shown_until_it_is_called_off_and_a_dry_run_begins_none() {
    use v1::status::Severity::{Ok as Ordered, Warn};
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let kanto = admin("kanto");
    let placement = fake.replica.elsewhere(|federation| {
        let id = federation.submit(job("train", 1, 1, &[]));
        federation.place(&id, &[OWN]);
        federation.placements(&id)[0]
    });
    let mut dry = drain(1, OWN, &kanto);
    dry.intent.as_mut().unwrap().validate_only = true;
    api.drain_node(request(&kanto, dry)).await.unwrap();
    assert_eq!(shown(&fake, OWN).await.drain, None);
    let written = api.drain_node(request(&kanto, drain(1, OWN, &kanto))).await.unwrap();
    let told = shown(&fake, OWN).await.drain.unwrap();
    assert_eq!(told.state(), v1::drain::State::Draining);
    assert_eq!((told.message.as_str(), told.by.as_str()), ("new cooling", "kanto/user/admin"));
    assert_eq!(told.deadline_ms, Some(told.since_ms + 60_000));
    assert_eq!((told.revision, told.stopping), (written.into_inner().revision, 0));
    assert_eq!(found(&fake, "NODE_DRAIN").await, [("NODE_DRAINS".to_owned(), Ordered)]);
    let drain = fake.core.replica.state().node(&id(OWN)).unwrap().drain.clone().unwrap().revision;
    pass(&fake, 60);
    let evict = Command::EvictDrained { node: id(OWN), drain };
    fake.replica.elsewhere(|federation| federation.accept(member("kanto"), evict));
    assert_eq!(shown(&fake, OWN).await.drain.unwrap().stopping, 1);
    // What does not die is trouble.
    pass(&fake, 70);
    assert_eq!(found(&fake, "DRAIN").await, [("DRAIN_OVERDUE".to_owned(), Warn)]);
    fake.replica.elsewhere(|federation| {
        let session = federation.state.node(&id(OWN)).unwrap().session.as_ref().unwrap().id;
        let ended = sekisho_types::placement::Ending::Stopped;
        let phases = vec![(placement, sekisho_types::placement::Phase::Ended(ended))];
        federation.accept(agent(&id(OWN)), Command::Report { node: id(OWN), session, phases });
    });
    assert_eq!(shown(&fake, OWN).await.drain.unwrap().state(), v1::drain::State::Drained);
    assert_eq!(found(&fake, "NODE_DRAIN").await, [("NODE_DRAINED".to_owned(), Ordered)]);
    api.undrain_node(request(&kanto, undrain(2, OWN, &kanto))).await.unwrap();
    let node = shown(&fake, OWN).await;
    assert!(node.drain.is_none() && !node.schedulable);
}

#[tokio::test]
async fn several_nodes_are_drained_all_or_none() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let kanto = admin("kanto");
    let ask = |number, nodes: [&str; 2]| {
        let (within_s, message) = (Some(0), String::new());
        let item = |node| Item::DrainNode { node: id(node), within_s, message: message.clone() };
        let command = Command::Batch(nodes.map(item).to_vec());
        v1::BatchDrainNodesRequest {
            parent: "sites/tokyo-1".into(),
            names: nodes.map(|node| id(node).name()).to_vec(),
            within_s,
            message: message.clone(),
            intent: signed(number, &command, &kanto),
        }
    };
    fake.replica.elsewhere(|federation| {
        federation.accept(admin("kanto"), Command::RevokeNode { node: id("tokyo-1/n-02") });
        federation.ready_node("tokyo-1/n-03", 1);
    });
    let refused = api.batch_drain_nodes(request(&kanto, ask(1, [OWN, "tokyo-1/n-02"]))).await;
    assert_eq!(code(refused), ErrorCode::NodeRevoked);
    assert!(shown(&fake, OWN).await.drain.is_none());
    api.batch_drain_nodes(request(&kanto, ask(2, [OWN, "tokyo-1/n-03"]))).await.unwrap();
    for node in [OWN, "tokyo-1/n-03"] {
        assert_eq!(shown(&fake, node).await.drain.unwrap().state(), v1::drain::State::Drained);
    }
}

#[tokio::test]
async fn a_host_waits_for_somebody_who_has_compared_its_key() {
    use v1::status::Severity::Warn;
    let fake = fake();
    let (api, kanto, node) = (NodeApi(Arc::clone(&fake.core)), admin("kanto"), "tokyo-1/n-09");
    pending(&fake, node);
    let told = shown(&fake, node).await;
    assert!(told.pending && told.joined_ms > 0);
    assert_eq!(told.node_key, node_key(&id(node)).to_string());
    assert_eq!(found(&fake, "NODE_PENDING").await, [("NODE_PENDING".to_owned(), Warn)]);
    let other = approve(1, node, Digest([7; 32]), &kanto);
    let refused = code(api.approve_node(request(&kanto, other)).await);
    assert_eq!(refused, ErrorCode::NodeKeyMismatch);
    let mut short = approve(2, node, node_key(&id(node)), &kanto);
    short.node_key.truncate(16);
    let refused = code(api.approve_node(request(&kanto, short)).await);
    assert_eq!(refused, ErrorCode::InvalidArgument);
    assert!(shown(&fake, node).await.pending);
    let good = approve(3, node, node_key(&id(node)), &kanto);
    api.approve_node(request(&kanto, good)).await.unwrap();
    assert!(!shown(&fake, node).await.pending);
    assert_eq!(found(&fake, "NODE_PENDING").await, []);
}

#[tokio::test]
async fn what_a_host_finds_wrong_with_itself_is_shown() {
    use v1::status::Severity::Warn;
    let fake = fake();
    let api = AgentApi(Arc::clone(&fake.core));
    let me = agent(&id(OWN));
    let session = fake.core.replica.state().node(&id(OWN)).unwrap().session.clone().unwrap().id;
    let unfit = Unfit {
        check: Name::parse("data-dir").unwrap(),
        blocks: true,
        detail: "12 MiB are free".to_owned(),
    };
    let report = ReportFitness { session, findings: vec![unfit] };
    let stale = ReportFitness { session: SessionId([9; 16]), ..report.clone() };
    let refused = code(api.report_fitness(request(&me, (&stale).into())).await);
    assert_eq!(refused, ErrorCode::SessionStale);
    let person = code(api.report_fitness(request(&admin("kanto"), (&report).into())).await);
    assert_eq!(person, ErrorCode::PermissionDenied);
    api.report_fitness(request(&me, (&report).into())).await.unwrap();
    let told = shown(&fake, OWN).await.findings;
    let expected =
        v1::Unfit { check: "data-dir".into(), blocks: true, detail: "12 MiB are free".into() };
    assert_eq!(told, [expected]);
    assert_eq!(found(&fake, "NODE_UNFIT").await, [("NODE_UNFIT".to_owned(), Warn)]);
    let fit = ReportFitness { session, findings: vec![] };
    api.report_fitness(request(&me, (&fit).into())).await.unwrap();
    assert!(shown(&fake, OWN).await.findings.is_empty());
}

#[tokio::test]
async fn a_decommissioned_node_is_gone_and_its_key_is_refused_at_once() {
    let fake = fake();
    let (api, kanto) = (NodeApi(Arc::clone(&fake.core)), admin("kanto"));
    let refused = api.decommission_node(request(&kanto, decommission(1, OWN, &kanto))).await;
    assert_eq!(code(refused), ErrorCode::WrongPhase, "in service");
    api.drain_node(request(&kanto, drain(2, OWN, &kanto))).await.unwrap();
    api.decommission_node(request(&kanto, decommission(3, OWN, &kanto))).await.unwrap();
    let ask = v1::GetNodeRequest { name: id(OWN).name(), read: None };
    assert_eq!(code(api.get_node(request(&kanto, ask)).await), ErrorCode::NotFound);
    let all = v1::ListNodesRequest { parent: "sites/tokyo-1".into(), ..Default::default() };
    let all = api.list_nodes(request(&kanto, all)).await.unwrap().into_inner().nodes;
    assert!(all.iter().all(|node| node.name != id(OWN).name()), "{all:?}");
    // Its certificate is good for hours; nobody listens to it.
    let agents = AgentApi(Arc::clone(&fake.core));
    let fit = ReportFitness { session: SessionId([1; 16]), findings: vec![] };
    let refused = code(agents.report_fitness(request(&agent(&id(OWN)), (&fit).into())).await);
    assert_eq!(refused, ErrorCode::NodeRevoked);
}

/// R3: a client that lost the answer asks again by itself, and the row that it is about is gone by then.
#[tokio::test]
async fn a_repeated_decommission_hears_what_the_first_one_heard() {
    let fake = fake();
    let (api, kanto) = (NodeApi(Arc::clone(&fake.core)), admin("kanto"));
    let cordon = Command::SetSchedulable { node: id(OWN), schedulable: false };
    let cordon = v1::CordonNodeRequest { name: id(OWN).name(), intent: signed(1, &cordon, &kanto) };
    let cordoned = api.cordon_node(request(&kanto, cordon.clone())).await.unwrap().into_inner();
    api.drain_node(request(&kanto, drain(2, OWN, &kanto))).await.unwrap();
    let ask = || decommission(3, OWN, &kanto);
    let first = api.decommission_node(request(&kanto, ask())).await.unwrap().into_inner();
    let proposed = fake.replica.proposed.load(Ordering::Relaxed);
    let again = api.decommission_node(request(&kanto, ask())).await.unwrap().into_inner();
    assert_eq!(again, first);
    let again = api.cordon_node(request(&kanto, cordon)).await.unwrap().into_inner();
    assert_eq!(again, cordoned, "what was said before it was gone");
    // Another request about it finds nothing; whoever may not read it, and whoever did not ask, hears no answer of others.
    let other = api.decommission_node(request(&kanto, decommission(4, OWN, &kanto))).await;
    assert_eq!(code(other), ErrorCode::NotFound);
    for who in [user("kanto", "stranger"), admin("naniwa")] {
        let other = api.decommission_node(request(&who, ask())).await;
        assert_eq!(code(other), ErrorCode::NotFound, "{who}");
    }
    assert_eq!(fake.replica.proposed.load(Ordering::Relaxed), proposed, "without the log");
}

/// Agents renew tag and certificate together at two thirds of their life, which is a day.
#[tokio::test]
async fn a_tag_that_nobody_renews_is_told_hours_before_its_end() {
    use v1::status::Severity::Warn;
    let fake = fake();
    pass(&fake, 19 * 3600);
    assert_eq!(found(&fake, "TAG").await, []);
    pass(&fake, 3600 + 60);
    let late = found(&fake, "TAG").await;
    assert_eq!(late, vec![("TAG_ENDS".to_owned(), Warn); 6]);
}
