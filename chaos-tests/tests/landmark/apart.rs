//! Landmarks apart from a controller, and landmarks that measure each other.

use super::world::{World, named};
use super::*;
use sekisho_controlplane::landmark::Others;
use sekisho_controlplane::landmark::ranging::Ranging;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::location::landmark::{Landmark, LandmarkTable};
use sekisho_evidence::location::range::{Pair, Question, Range, judge};
use sekisho_proto::convert::landmark::{Addresses, Reached};
use sekisho_transport::dial::Dialer;

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
    assert_eq!(members.addresses().await.unwrap().landmarks.len(), 0);
}

/// What this landmark hands in goes here.
#[derive(Debug)]
struct Taken {
    addresses: Addresses,
    transcripts: Mutex<Vec<SignedTranscript>>,
}

#[tonic::async_trait]
impl Others for Taken {
    async fn addresses(&self) -> Result<Addresses, ApiError> {
        Ok(self.addresses.clone())
    }
    async fn submit(&self, transcripts: Vec<SignedTranscript>) -> Result<(), ApiError> {
        self.transcripts.lock().extend(transcripts);
        Ok(())
    }
}

/// Has a landmark measured by these, which stand where `table` says.
async fn ranged(
    world: &World,
    id: &str,
    table: &[Landmark],
    at: &[LandmarkAt],
) -> Vec<(Pair, Range)> {
    let reached = |landmark: &Landmark| {
        let found = at.iter().find(|at| at.landmark.id == landmark.id);
        let text = |address: Option<String>| address.unwrap_or_else(|| "127.0.0.1:1".to_owned());
        Reached {
            landmark: landmark.clone(),
            address: text(found.map(|at| at.address.to_string())),
            datagrams: text(found.and_then(|at| Some(at.datagrams.as_ref()?.to_string()))),
        }
    };
    let landmarks = table.iter().map(reached).collect();
    let addresses = Addresses { cluster: CLUSTER, incarnation: LIFE, landmarks };
    let taken = Arc::new(Taken { addresses, transcripts: Mutex::default() });
    let (identity, (landmark, key)) = (world.landmark_identity(id), named(id));
    let ranging = Ranging {
        id: landmark.id,
        key,
        dialer: Dialer::new(Some(identity.clone()), world.trust()),
        identity,
        others: Arc::clone(&taken) as Arc<dyn Others>,
        clock: Arc::new(SystemClock),
        via: std::collections::BTreeMap::new(),
    };
    let count = ranging.once(Instance([4; 16])).await.unwrap();
    let table = LandmarkTable::new(table.to_vec()).unwrap();
    let question = Question {
        cluster: &CLUSTER,
        incarnation: LIFE,
        landmarks: &table,
        now: SystemClock.wall(),
    };
    let transcripts = taken.transcripts.lock();
    assert_eq!(transcripts.len(), count);
    transcripts.iter().map(|signed| judge(question, signed).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn landmarks_measure_each_other_and_one_that_is_nearer_than_it_says_contradicts() {
    let world = World::new();
    let at = [world.landmark("naniwa/otemachi").await];
    let (own, _) = named("kanto/otemachi");
    let (other, _) = named("naniwa/otemachi");
    let honest = ranged(&world, "kanto/otemachi", &[own.clone(), other.clone()], &at).await;
    let [((by, of), range)] = honest.as_slice() else { panic!("{honest:?}") };
    assert_eq!((by, of), (&other.id, &own.id));
    assert_eq!(range.conviction, None);
    // A third landmark, which says that it stands in Okinawa and answers from here.
    let (inzai, _) = named("kanto/inzai");
    let naha = Landmark { position: "26.212,127.679".parse().unwrap(), ..inzai };
    let lie = ranged(&world, "kanto/inzai", &[naha.clone(), other.clone()], &at).await;
    let conviction = lie[0].1.conviction.clone().unwrap();
    assert_eq!((conviction.measuring, conviction.measured), (other.id.clone(), naha.id));
    assert!(conviction.distance_m > 1_500_000 && conviction.reach_m < conviction.distance_m);
    // Under the certificate of another landmark nobody measures it.
    let stranger =
        ranged(&world, "kanto/shinagawa", &[named("kanto/shinagawa").0, other], &at).await;
    assert!(stranger.is_empty(), "it is not registered");
}
