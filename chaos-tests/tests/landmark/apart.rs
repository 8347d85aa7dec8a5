//! Landmarks apart from a controller, and landmarks that measure each other.

use super::*;
use sekisho_chaos::landmark::world::named;
use sekisho_controlplane::landmark::ranging::Ranging;
use sekisho_controlplane::landmark::{Directory, Others, Standing};
use sekisho_evidence::grant::Instance;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, Federation, admin};
use sekisho_fsm::{State, invariant};
use sekisho_proto::convert::landmark::{Addresses, Reached};
use sekisho_transport::dial::Dialer;
use sekisho_transport::identity::PeerIdentity;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::time::{Clock, Timestamp};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn a_landmark_alone_measures_whom_its_controllers_know() {
    let world = World::new();
    let told = world.controller("kanto").await;
    let (at, members) = world.alone("kanto/otemachi", &told).await;
    let host = world.host("n-01", true);
    verify(&host, &at, &host.exchange(occasion(), &at).await.unwrap());
    let stranger = world.host("n-02", false);
    assert_eq!(refusal(stranger.exchange(occasion(), &at).await), Refusal::NotEnrolled);
    // What was known a moment ago counts no more.
    let other = world.host("n-03", true);
    told.forget("n-03");
    assert_eq!(refusal(other.exchange(occasion(), &at).await), Refusal::NotEnrolled);
    // It takes the word of its own operator's controllers alone.
    let foreign = world.controller("naniwa").await;
    let (lost, _members) = world.alone("kanto/inzai", &foreign).await;
    let fourth = world.host("n-04", true);
    assert_eq!(refusal(fourth.exchange(occasion(), &lost).await), Refusal::Failed);
    assert_eq!(members.addresses().await.unwrap().landmarks, []);
}

/// Landmarks of three operators around one state, which takes what they hand in at once.
#[derive(Debug)]
struct Around(Mutex<Federation>);

impl Around {
    fn state(&self) -> State {
        self.0.lock().state.clone()
    }

    /// Pairs of which one measured what cannot be, by who measured.
    fn contradictions(&self) -> Vec<String> {
        let state = self.state();
        state.contradictions().map(|(by, of)| format!("{by} {of}")).collect()
    }
}

#[tonic::async_trait]
impl Directory for Around {
    async fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal> {
        let peer = (&peer.principal, &peer.spki_sha256);
        sekisho_api::landmark::judge(&self.state(), landmark, peer, subject)
    }
}

#[tonic::async_trait]
impl Others for Around {
    async fn addresses(&self) -> Result<Addresses, ApiError> {
        let state = self.state();
        let federation = state.federation().unwrap();
        let reached = state.landmarks().iter().map(|(_, (landmark, reach))| Reached {
            landmark: landmark.clone(),
            address: reach.address.clone(),
            datagrams: reach.datagrams.clone(),
        });
        let (cluster, incarnation) = (federation.cluster, federation.incarnation);
        Ok(Addresses { cluster, incarnation, landmarks: reached.collect() })
    }

    async fn submit(&self, transcripts: Vec<SignedTranscript>) -> Result<(), ApiError> {
        let mut federation = self.0.lock();
        let applied = federation.submit_range(transcripts);
        invariant::check(&federation.state).unwrap();
        applied.outcome.map(drop).map_err(|no| ApiError::new(no.code, no.detail))
    }
}

/// The wall clock of everybody around a state: its own.
#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn wall(&self) -> Timestamp {
        self.0
    }
    fn boottime_ns(&self) -> u64 {
        SystemClock.boottime_ns()
    }
}

/// A landmark that is served here and registered where it says that it stands, how it has itself measured by the others, and
/// where it is found.
async fn ranging(world: &World, around: &Arc<Around>, says: &Landmark) -> (Ranging, LandmarkAt) {
    let id = says.id.clone();
    let (identity, (_, key)) = (world.landmark_identity(&id.to_string()), named(&id.to_string()));
    let clock: Arc<dyn Clock> = Arc::new(At(around.state().clock()));
    let directory = Arc::clone(around) as Arc<dyn Directory>;
    let at = world.serve(&id.to_string(), &identity, directory, Arc::clone(&clock)).await;
    let register = Command::RegisterLandmark {
        landmark: Box::new(says.clone()),
        address: at.address.to_string(),
        datagrams: at.datagrams.as_ref().unwrap().to_string(),
    };
    around.0.lock().accept(admin(id.operator.as_str()), register);
    let ranging = Ranging {
        id,
        key,
        dialer: Dialer::new(Some(identity.clone()), world.trust()),
        identity,
        others: Arc::clone(around) as Arc<dyn Others>,
        clock,
        via: BTreeMap::new(),
    };
    (ranging, LandmarkAt { landmark: says.clone(), ..at })
}

#[tokio::test(flavor = "multi_thread")]
async fn landmarks_measure_each_other_and_one_that_lies_about_its_place_is_taken_out() {
    let world = World::new();
    let around = Arc::new(Around(Mutex::new(Federation::new())));
    let instance = Instance([4; 16]);
    let (kanto, _) = ranging(&world, &around, &named("kanto/otemachi").0).await;
    let (naniwa, _) = ranging(&world, &around, &named("naniwa/otemachi").0).await;
    assert_eq!(kanto.once(instance).await.unwrap(), 1);
    let state = around.state();
    let (pair, range) = state.ranges().next().unwrap();
    assert_eq!((&pair.0, &pair.1), (&naniwa.id, &kanto.id));
    // What both signed entered: both answer from here, and say so.
    assert!(range.rtt_min_ns > 0 && range.conviction.is_none());
    // A third one says that it stands in Okinawa, and answers from here.
    let naha = "26.212,127.679".parse().unwrap();
    let says = Landmark { position: naha, ..named("hokuto/naha").0 };
    let (liar, found) = ranging(&world, &around, &says).await;
    // One word against another takes nobody out.
    assert_eq!(naniwa.once(instance).await.unwrap(), 2);
    assert_eq!(around.contradictions(), ["hokuto/naha naniwa/otemachi"]);
    assert!(around.state().landmarks().get(&liar.id).is_some());
    assert_eq!(liar.once(instance).await.unwrap(), 2);
    let state = around.state();
    let row = state.convicted(&liar.id).unwrap();
    assert_eq!(row.landmark, says);
    let table = state.landmarks().table();
    assert_eq!(
        table.iter().map(|one| one.id.to_string()).collect::<Vec<_>>(),
        ["kanto/otemachi", "naniwa/otemachi"]
    );
    // It measures nobody any more, and is told so when it goes on.
    let over = liar.once(instance).await.unwrap_err();
    assert_eq!(over.code, ErrorCode::NotFound);
    let (cluster, incarnation) = (&testing::cluster(), LIFE);
    let occasion = Occasion { cluster, incarnation, fix: FixId([9; 16]) };
    let host = world.host("n-01", true);
    let asked = host.exchange(occasion, &found).await;
    assert_eq!(refusal(asked), Refusal::NotRegistered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landmark_is_measured_under_its_own_certificate_alone() {
    let world = World::new();
    let around = Arc::new(Around(Mutex::new(Federation::new())));
    ranging(&world, &around, &named("naniwa/otemachi").0).await;
    let (own, _) = ranging(&world, &around, &named("kanto/otemachi").0).await;
    let identity = world.landmark_identity("kanto/inzai");
    let dialer = Dialer::new(Some(identity.clone()), world.trust());
    let other = Ranging { identity, dialer, ..own };
    assert_eq!(other.once(Instance([4; 16])).await.unwrap(), 0);
    assert_eq!(around.state().ranges().count(), 0);
}
