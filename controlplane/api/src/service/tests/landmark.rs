//! Landmarks of one's own operator, and the fixes of one's own node.

use super::write::intent;
use super::*;
use crate::landmark::Standing;
use crate::service::agent::AgentApi;
use crate::service::landmark::LandmarkApi;
use crate::service::landmark_host::LandmarkHostApi;
use crate::service::member::MemberApi;
use crate::service::node::NodeApi;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_evidence::location::evidence::Evidence;
use sekisho_evidence::location::transcript::{SignedTranscript, Subject};
use sekisho_evidence::location::verdict::Verdict;
use sekisho_evidence::location::wire::Refusal;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::location::{IN_TOKYO, LANDMARKS, NEAR_NS, fix_id, landmark};
use sekisho_fsm::testing::{
    BEGIN, Federation, admin, agent, member, node_key, receipt_key, user, user_key,
};
use sekisho_proto::convert::landmark::{
    Addresses, DeleteLandmark, Judge, Reached, SubmitFix, SubmitRange,
};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::agent_message::Proving;
use sekisho_proto::internal::v1::agent_service_server::AgentService as _;
use sekisho_proto::internal::v1::controller_message::Message;
use sekisho_proto::internal::v1::landmark_host_service_server::LandmarkHostService as _;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::landmark_service_server::LandmarkService as _;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_types::id::NodeId;
use sekisho_types::principal::{KeyRecord, Principal, Role};
use sekisho_types::revision::Revision;
use std::sync::Arc;

fn node() -> NodeId {
    "tokyo-1/n-01".parse().unwrap()
}

/// Hands in what these landmarks measured.
async fn submit(
    fake: &Fake,
    number: u8,
    landmarks: &[&str],
) -> Result<Response<internal::SubmitFixResponse>, Status> {
    let mut transcripts: Vec<SignedTranscript> = Vec::new();
    fake.replica.elsewhere(|federation| {
        let one = |id: &&str| federation.transcript(id, &node(), fix_id(number));
        transcripts = landmarks.iter().map(one).collect();
    });
    let state = fake.core.replica.state();
    let session = state.node(&node()).unwrap().session.clone().unwrap().id;
    let submit = SubmitFix { session, fix: fix_id(number), transcripts };
    AgentApi(Arc::clone(&fake.core)).submit_fix(request(&agent(&node()), (&submit).into())).await
}

async fn shown(fake: &Fake) -> v1::Node {
    let api = NodeApi(Arc::clone(&fake.core));
    let ask = v1::GetNodeRequest { name: node().name(), read: None };
    api.get_node(request(&admin("kanto"), ask)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_landmark_is_created_listed_and_deleted_by_its_own_operator() {
    let fake = fake();
    let api = LandmarkApi(Arc::clone(&fake.core));
    let new = Reached {
        landmark: landmark("kanto/otemachi"),
        address: "a.example:7100".to_owned(),
        datagrams: "a.example:7101".to_owned(),
    };
    let command = Command::RegisterLandmark {
        landmark: Box::new(new.landmark.clone()),
        address: new.address.clone(),
        datagrams: new.datagrams.clone(),
    };
    let ask = |number, who: &str| new.request(intent(number, &command, &[admin(who)]));
    let foreign = api.create_landmark(request(&admin("naniwa"), ask(1, "naniwa"))).await;
    assert_eq!(code(foreign), ErrorCode::PermissionDenied);
    let unsigned = new.request(intent(2, &command, &[]));
    let unsigned = api.create_landmark(request(&admin("kanto"), unsigned)).await;
    assert_eq!(code(unsigned), ErrorCode::SignaturesMissing);
    api.create_landmark(request(&admin("kanto"), ask(3, "kanto"))).await.unwrap();
    let id = new.landmark.id.clone();
    let get = || v1::GetLandmarkRequest { name: id.name(), read: None };
    let found = api.get_landmark(request(&admin("naniwa"), get())).await.unwrap().into_inner();
    assert_eq!(
        (found.name.as_str(), found.reach_m / 1000),
        ("operators/kanto/landmarks/otemachi", 721)
    );
    let list = |operator: &str| v1::ListLandmarksRequest {
        parent: format!("operators/{operator}"),
        ..v1::ListLandmarksRequest::default()
    };
    for (operator, count) in [("-", 1), ("kanto", 1), ("naniwa", 0)] {
        let page = api.list_landmarks(request(&admin("naniwa"), list(operator))).await.unwrap();
        assert_eq!(page.into_inner().landmarks.len(), count, "{operator}");
    }
    let agents = AgentApi(Arc::clone(&fake.core));
    let ask = internal::ListLandmarksRequest {};
    let told = agents.list_landmarks(request(&agent(&node()), ask)).await.unwrap().into_inner();
    assert_eq!(Reached::try_from(&told.landmarks[0]), Ok(new));
    let delete = |number, who: &str| {
        let expected = Revision(found.etag.parse().unwrap());
        let delete = DeleteLandmark { id: id.clone(), expected };
        let command = Command::RemoveLandmark { id: id.clone(), expected };
        delete.request(intent(number, &command, &[admin(who)]))
    };
    let foreign = api.delete_landmark(request(&admin("naniwa"), delete(4, "naniwa"))).await;
    assert_eq!(code(foreign), ErrorCode::PermissionDenied);
    api.delete_landmark(request(&admin("kanto"), delete(5, "kanto"))).await.unwrap();
    // A repeat is answered as the first was, although there is none any more.
    api.delete_landmark(request(&admin("kanto"), delete(5, "kanto"))).await.unwrap();
    let gone = api.get_landmark(request(&admin("kanto"), get())).await;
    assert_eq!(code(gone), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_fix_is_taken_from_the_nodes_agent_and_shown() {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.landmarks());
    assert_eq!(shown(&fake).await.location, None);
    let person = internal::SubmitFixRequest::from(&SubmitFix {
        session: SessionId([1; 16]),
        fix: fix_id(1),
        transcripts: vec![],
    });
    let api = AgentApi(Arc::clone(&fake.core));
    let person = code(api.submit_fix(request(&admin("kanto"), person)).await);
    assert_eq!(person, ErrorCode::PermissionDenied);
    assert_eq!(code(submit(&fake, 1, &[]).await), ErrorCode::LocationInvalid);
    let taken = submit(&fake, 1, &IN_TOKYO).await.unwrap().into_inner();
    assert!(matches!(decode::<Verdict>(&taken.verdict), Ok(Verdict::Proven(_))));
    let told = shown(&fake).await;
    let location = told.location.unwrap();
    assert_eq!((told.country_tier.as_str(), location.tier.as_str(), location.f), ("T2", "T2", 1));
    assert_eq!(
        (location.operators, location.missing_operators),
        (vec!["kanto".into(), "naniwa".into()], 0)
    );
    assert_eq!(location.landmarks.len(), 2);
}

#[tokio::test]
async fn a_beacon_and_the_prefecture_that_it_proves_are_shown() {
    let fake = fake();
    fake.replica.elsewhere(Federation::beacon);
    let ask = || v1::GetNodeRequest { name: "sites/ishikari-1/nodes/n-01".to_owned(), read: None };
    let api = NodeApi(Arc::clone(&fake.core));
    for (number, rtt_ns, tier, prefecture) in
        [(1, 1_500_000, "T2", ""), (2, NEAR_NS, "T3", "010006")]
    {
        fake.replica.elsewhere(|federation| {
            federation.now = federation.now.plus_ms(10_000);
            federation.accept(member("kanto"), Command::Tick);
            federation.prove_site("ishikari-1/n-01", number, rtt_ns);
        });
        let told = api.get_node(request(&admin("hokuto"), ask())).await.unwrap().into_inner();
        let location = told.location.unwrap();
        let area_tier = if tier == "T3" { "T3" } else { "T1" };
        assert_eq!((told.country_tier.as_str(), told.area_tier.as_str()), (tier, area_tier));
        assert_eq!((location.tier.as_str(), location.f), (tier, 0));
        assert_eq!((location.prefecture.as_str(), location.missing_operators), (prefecture, 1));
        let beacon = location.beacon.unwrap();
        assert_eq!(beacon.landmark, "operators/hokuto/landmarks/ishikari-1");
        assert_eq!(beacon.rtt_ns, rtt_ns);
        assert_eq!(beacon.rtt_ns <= beacon.enough_ns, tier == "T3");
    }
}

#[tokio::test]
async fn an_inconsistent_fix_is_told_as_bad() {
    use v1::status::Severity::Bad;
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.landmarks());
    let all = LANDMARKS.map(|(id, _)| id);
    submit(&fake, 1, &all).await.unwrap();
    let told = shown(&fake).await;
    assert_eq!(told.country_tier, "T1");
    assert_eq!(told.location.unwrap().inconsistent.len(), 2);
    let api = MemberApi(Arc::clone(&fake.core));
    let status = api.get_status(request(&admin("kanto"), v1::GetStatusRequest {})).await.unwrap();
    let found = status.into_inner().findings.into_iter();
    let found: Vec<_> = found.filter(|f| f.code == "LOCATION_INCONSISTENT").collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity(), Bad);
}

/// People of every role, with keys in force.
fn people(fake: &Fake) -> Vec<(&'static str, Principal)> {
    let tenant = "sapporo".parse().unwrap();
    let of = |name, operator, role| (name, user(operator, name), role);
    let all = [
        of("own", "kanto", Role::OperatorAdmin),
        of("other", "naniwa", Role::OperatorAdmin),
        of("auditor", "naniwa", Role::Auditor),
        of("tenant", "kanto", Role::TenantUser(tenant)),
        of("monitor", "kanto", Role::Monitor),
    ];
    let mut people = vec![("federation", admin("hokuto"))];
    for (name, principal, role) in all {
        let (public_key, expires) = (user_key(&principal).public(), BEGIN.plus_ms(1 << 40));
        let record = KeyRecord { principal: principal.clone(), role, public_key, expires };
        fake.replica.elsewhere(|federation| federation.register(record));
        people.push((name, principal));
    }
    people
}

#[tokio::test]
async fn the_operators_and_the_federations_administrators_have_a_node_proven() {
    use ErrorCode::{NodeUnavailable, NotFound, PermissionDenied};
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let ask = |name: String| v1::ProveNodeRequest { name };
    for (who, principal) in people(&fake) {
        let refused = code(api.prove_node(request(&principal, ask(node().name()))).await);
        let expected = match who {
            // Nobody has contact to the agent, and that is all that is wrong.
            "own" | "federation" => NodeUnavailable,
            "monitor" => NotFound,
            _ => PermissionDenied,
        };
        assert_eq!(refused, expected, "{who}");
    }
    let nobody = ask("sites/tokyo-1/nodes/n-77".to_owned());
    assert_eq!(code(api.prove_node(request(&admin("kanto"), nobody)).await), NotFound);
    fake.replica.elsewhere(|federation| federation.landmarks());
    submit(&fake, 1, &IN_TOKYO).await.unwrap();
    let kept = shown(&fake).await.location.unwrap().revision;
    let run = (SessionId([1; 16]), Instance([1; 16]));
    let (stream, mut queue) = fake.core.sessions.attach(&node(), run, 0).unwrap();
    let agent = async {
        let Some(Ok(down)) = queue.recv().await else { panic!("no message") };
        let Some(Message::Prove(ask)) = down.message else { panic!("{down:?}") };
        stream.proving(Proving { request: ask.request, running: false, wait_ms: 0 });
    };
    let asked = api.prove_node(request(&admin("kanto"), ask(node().name())));
    let (answer, ()) = tokio::join!(asked, agent);
    let answer = answer.unwrap().into_inner();
    assert_eq!((answer.revision, answer.running), (kept, false));
    assert!(kept > 0);
}

#[tokio::test]
async fn a_fix_is_handed_out_whole_to_those_who_may_read_it() {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.landmarks());
    let api = NodeApi(Arc::clone(&fake.core));
    let ask = || v1::GetFixRequest { name: node().name(), read: None };
    let none = code(api.get_fix(request(&admin("kanto"), ask())).await);
    assert_eq!(none, ErrorCode::NotFound);
    submit(&fake, 1, &IN_TOKYO).await.unwrap();
    for (who, principal) in people(&fake) {
        let answer = api.get_fix(request(&principal, ask())).await;
        if matches!(who, "own" | "federation" | "auditor") {
            let answer = answer.unwrap().into_inner();
            let evidence = Evidence::parse(&answer.evidence).unwrap();
            let judged = evidence.judge().unwrap();
            let Verdict::Proven(proof) = judged.verdict else { panic!("{:?}", judged.verdict) };
            let kept = shown(&fake).await.location.unwrap();
            assert_eq!((proof.f, proof.expires.0), (kept.f, kept.expires_ms), "{who}");
            assert_eq!((answer.revision, evidence.node), (kept.revision, node()));
        } else {
            let expected =
                if who == "monitor" { ErrorCode::NotFound } else { ErrorCode::PermissionDenied };
            assert_eq!(code(answer), expected, "{who}");
        }
    }
    let list = v1::ListLandmarksRequest { parent: "operators/-".into(), ..Default::default() };
    let landmarks = LandmarkApi(Arc::clone(&fake.core));
    let told = landmarks.list_landmarks(request(&admin("kanto"), list)).await.unwrap();
    let table = fake.core.replica.state().landmarks().table().hash().unwrap();
    assert_eq!(told.into_inner().table, table.to_string());
}

#[tokio::test]
async fn a_landmark_apart_hears_who_may_be_measured_and_hands_in_ranges() {
    let fake = fake();
    let api = LandmarkHostApi(Arc::clone(&fake.core));
    let alone: Principal = "kanto/landmark/otemachi".parse().unwrap();
    let judge = |of: &NodeId| {
        let (principal, key, subject) = (agent(of), node_key(of), Subject::Node(of.clone()));
        internal::JudgeRequest::from(&Judge { principal, key, subject })
    };
    let heard = |answer: internal::JudgeResponse| -> Result<Standing, Refusal> {
        decode(&answer.verdict).unwrap()
    };
    let ask = || request(&alone, judge(&node()));
    let early = heard(api.judge(ask()).await.unwrap().into_inner());
    assert_eq!(early, Err(Refusal::NotRegistered));
    let addresses = || request(&alone, internal::ListAddressesRequest {});
    assert_eq!(code(api.list_addresses(addresses()).await), ErrorCode::PermissionDenied);
    let mut ranges = Vec::new();
    fake.replica.elsewhere(|federation| {
        federation.landmarks();
        ranges = ["hokuto/fukuoka", "naniwa/shinagawa"]
            .map(|by| federation.range(by, "kanto/otemachi", 1))
            .to_vec();
    });
    let standing = heard(api.judge(ask()).await.unwrap().into_inner()).unwrap();
    assert_eq!(standing.landmark, landmark("kanto/otemachi"));
    assert_eq!(standing.signing_key, receipt_key(&node()).public());
    let stranger = request(&alone, judge(&"tokyo-1/n-77".parse().unwrap()));
    let refused = heard(api.judge(stranger).await.unwrap().into_inner());
    assert_eq!(refused, Err(Refusal::NotEnrolled));
    let told = api.list_addresses(addresses()).await.unwrap().into_inner();
    assert_eq!(Addresses::try_from(&told).unwrap().landmarks.len(), LANDMARKS.len());
    api.fetch_package(request(&alone, internal::FetchPackageRequest {})).await.unwrap();
    for who in [admin("kanto"), agent(&node()), "nobody/landmark/otemachi".parse().unwrap()] {
        let refused = code(api.judge(request(&who, judge(&node()))).await);
        assert_eq!(refused, ErrorCode::PermissionDenied, "{who}");
    }
    let submit =
        || internal::SubmitRangeRequest::from(&SubmitRange { transcripts: ranges.clone() });
    api.submit_range(request(&alone, submit())).await.unwrap();
    // Two operators' landmarks stand against it now: it is shown, and is none.
    assert_eq!(
        code(api.submit_range(request(&alone, submit())).await),
        ErrorCode::PermissionDenied
    );
    let out = LandmarkApi(Arc::clone(&fake.core));
    let get =
        v1::GetLandmarkRequest { name: "operators/kanto/landmarks/otemachi".into(), read: None };
    let found = out.get_landmark(request(&admin("naniwa"), get)).await.unwrap().into_inner();
    assert!(found.convicted);
    assert_eq!(found.contradicts.len(), 2);
    let members = MemberApi(Arc::clone(&fake.core));
    let status = members.get_status(request(&admin("kanto"), v1::GetStatusRequest::default()));
    let findings = status.await.unwrap().into_inner().findings;
    assert!(findings.iter().any(|finding| finding.code == "LANDMARK_CONVICTED"));
}
