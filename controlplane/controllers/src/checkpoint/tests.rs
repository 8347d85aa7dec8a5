//! The signer on checkpoints of a real state: batches, restarts, failing disks, clocks and keys.

use super::*;
use crate::fake::FakeClock;
use crate::limit::SIGNATURES_KEPT;
use parking_lot::Mutex;
use sekisho_evidence::checkpoint::{assemble, verify_note};
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, checkpoint_key, genesis, member};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use sekisho_types::principal::MemberIdentity;
use sekisho_types::revision::Revision;
use std::time::Duration;

#[derive(Debug, Default)]
struct Heads {
    saved: Mutex<Option<Checkpoint>>,
    broken: Mutex<bool>,
    saves: Mutex<u32>,
    accused: Mutex<BTreeSet<(MemberId, PublicKey)>>,
}

impl HeadStore for Heads {
    fn load(&self) -> Result<Option<Checkpoint>, HeadStoreError> {
        Ok(*self.saved.lock())
    }
    fn save(&self, head: &Checkpoint) -> Result<(), HeadStoreError> {
        if *self.broken.lock() {
            return Err(HeadStoreError(Arc::new(std::io::Error::other("disk"))));
        }
        *self.saved.lock() = Some(*head);
        *self.saves.lock() += 1;
        Ok(())
    }
    fn hash(&self, index: u64) -> Result<Option<Digest>, HeadStoreError> {
        // Ticks add no record: the tree is that of the beginning.
        let begun = Federation::begun().applied.remove(0);
        let leaf = begun.leaves.iter().find(|leaf| leaf.first_hash == index);
        Ok(leaf.and_then(|leaf| leaf.hashes.first().copied()))
    }
    fn accused(&self) -> Result<BTreeSet<(MemberId, PublicKey)>, HeadStoreError> {
        Ok(self.accused.lock().clone())
    }
}

struct Setup {
    federation: Federation,
    heads: Arc<Heads>,
    clock: Arc<FakeClock>,
}

impl Setup {
    fn new() -> Self {
        Self {
            federation: Federation::begun(),
            heads: Arc::default(),
            clock: Arc::new(FakeClock::default()),
        }
    }

    fn signer(&self, operator: &str, id: u64, key: Option<SigningKey>) -> Signer {
        let site = member(operator).site().unwrap().clone();
        let identity =
            MemberIdentity { operator: operator.parse().unwrap(), site, member: MemberId(id) };
        let heads: Arc<dyn HeadStore> = Arc::clone(&self.heads) as _;
        Signer::open(identity, key, heads, Arc::clone(&self.clock) as _).unwrap()
    }

    fn kanto(&self) -> Signer {
        self.signer("kanto", 2, Some(checkpoint_key(MemberId(2))))
    }

    fn tick(&mut self) -> Checkpoint {
        self.federation.accept(member("kanto"), Command::Tick).checkpoint.unwrap()
    }
}

#[tokio::test]
async fn every_point_of_a_batch_is_signed_and_k_operators_make_a_note() {
    let mut setup = Setup::new();
    let points = [setup.tick(), setup.tick()];
    let mut kanto = setup.kanto();
    let mut news = kanto.signatures().subscribe();
    kanto.take(&setup.federation.state, &points).await;
    assert_eq!(*setup.heads.saves.lock(), 1, "one sync for the batch");
    for point in points {
        assert_eq!(news.try_recv().unwrap().checkpoint, point);
        assert_eq!(kanto.signatures().at(point.revision).unwrap().checkpoint, point);
    }
    assert_eq!(kanto.signatures().status().state, SignerState::Signing);
    assert_eq!(kanto.signatures().status().last, Some(points[1]));
    assert_eq!(
        kanto.signatures().covering(Revision(0)).unwrap().checkpoint.revision,
        points[0].revision
    );
    // The same bytes under another operator's key: together they count.
    let mut naniwa = Setup { heads: Arc::default(), ..setup }.signer(
        "naniwa",
        3,
        Some(checkpoint_key(MemberId(3))),
    );
    let state = {
        let mut federation = Federation::begun();
        federation.accept(member("kanto"), Command::Tick);
        federation.accept(member("kanto"), Command::Tick);
        federation.state
    };
    naniwa.take(&state, &points).await;
    let lines = [&kanto, &naniwa].map(|s| s.signatures().latest().unwrap().line.clone());
    let note = assemble(&points[1].text().unwrap(), &lines);
    let bundle = genesis().genesis.bundle;
    assert_eq!(verify_note(&bundle, &note).unwrap().checkpoint, points[1]);
    let alone = assemble(&points[1].text().unwrap(), &lines[..1]);
    assert!(matches!(
        verify_note(&bundle, &alone),
        Err(CheckpointError::TooFewOperators { need: 2, .. })
    ));
}

#[tokio::test]
async fn a_restarted_signer_signs_nothing_smaller_than_before() {
    let mut setup = Setup::new();
    let points = [setup.tick(), setup.tick(), setup.tick()];
    setup.kanto().take(&setup.federation.state, &points[..2]).await;
    // The log is replayed from its beginning.
    let mut again = setup.kanto();
    again.take(&setup.federation.state, &points).await;
    let signatures = again.signatures();
    assert_eq!(signatures.at(points[0].revision), None);
    assert_eq!(signatures.at(points[1].revision).unwrap().checkpoint, points[1]);
    assert_eq!(signatures.latest().unwrap().checkpoint, points[2]);
    let mut forked = points[2];
    forked.revision.0 += 1;
    forked.head.root = Digest([0; 32]);
    again.take(&setup.federation.state, &[forked]).await;
    assert_eq!(signatures.status().state, SignerState::Refusing(Refusal::Fork));
    assert_eq!(signatures.latest().unwrap().checkpoint, points[2]);
}

#[tokio::test]
async fn nothing_leaves_that_is_not_durable() {
    let mut setup = Setup::new();
    let point = setup.tick();
    let mut signer = setup.kanto();
    *setup.heads.broken.lock() = true;
    signer.take(&setup.federation.state, &[point]).await;
    assert_eq!(signer.signatures().latest(), None);
    assert!(matches!(signer.signatures().status().state, SignerState::StoreFailed(_)));
    *setup.heads.broken.lock() = false;
    signer.take(&setup.federation.state, &[point]).await;
    assert_eq!(signer.signatures().latest().unwrap().checkpoint, point);
}

#[tokio::test]
async fn a_wrong_clock_a_missing_and_a_foreign_key_sign_nothing() {
    let mut setup = Setup::new();
    let point = setup.tick();
    let mut missing = setup.signer("kanto", 2, None);
    missing.take(&setup.federation.state, &[point]).await;
    assert_eq!(missing.signatures().status().state, SignerState::Missing);
    let mut foreign = setup.signer("kanto", 2, Some(checkpoint_key(MemberId(3))));
    foreign.take(&setup.federation.state, &[point]).await;
    assert_eq!(foreign.signatures().status().state, SignerState::NotEndorsed);
    let mut signer = setup.kanto();
    setup.clock.forward(Duration::from_secs(16));
    signer.take(&setup.federation.state, &[point]).await;
    let SignerState::Refusing(refusal) = signer.signatures().status().state else {
        panic!("signs under a clock that is off");
    };
    assert_eq!(refusal.code(), Some(ErrorCode::ClockBehind));
    assert_eq!(signer.signatures().latest(), None);
    assert_eq!(*setup.heads.saved.lock(), None);
}

#[tokio::test]
async fn the_newest_lines_are_kept() {
    let signatures = Signatures::new();
    let mut setup = Setup::new();
    let mut checkpoint = setup.tick();
    let line = checkpoint
        .sign(&"kanto".parse().unwrap(), MemberId(2), &checkpoint_key(MemberId(2)))
        .unwrap();
    let first = checkpoint.revision;
    for _ in 0..=SIGNATURES_KEPT {
        signatures.add(vec![Signed { checkpoint, line: line.clone() }]);
        checkpoint.revision.0 += 1;
    }
    assert_eq!(signatures.at(first), None);
    assert!(signatures.at(Revision(first.0 + 1)).is_some());
}

/// A1: when members of k operators contradict this log it may be the wrong one; it signs nothing then, also after a restart,
/// until their keys are out of the bundle. One liar stops nobody.
#[tokio::test]
async fn a_member_that_k_operators_contradict_signs_nothing() {
    let mut setup = Setup::new();
    let points = [setup.tick(), setup.tick(), setup.tick()];
    let mut signer = setup.kanto();
    signer.take(&setup.federation.state, &points[..1]).await;
    let (liar, other) = (MemberId(3), MemberId(1));
    let of = |member| (member, checkpoint_key(member).public());
    signer.signatures().accuse(liar, of(liar).1);
    signer.take(&setup.federation.state, &points[1..2]).await;
    assert_eq!(
        signer.signatures().latest().unwrap().checkpoint,
        points[1],
        "one liar stops nobody"
    );
    signer.signatures().accuse(other, of(other).1);
    signer.take(&setup.federation.state, &points[2..]).await;
    let state = signer.signatures().status().state;
    assert!(matches!(state, SignerState::Refusing(Refusal::Witnessed { .. })), "{state:?}");
    assert_eq!(signer.signatures().latest().unwrap().checkpoint, points[1]);
    // As the store has it.
    *setup.heads.accused.lock() = [of(liar), of(other)].into();
    let mut again = setup.kanto();
    again.take(&setup.federation.state, &points[2..]).await;
    assert_eq!(again.signatures().status().state, state);
    // Whose key signs for nobody counts for nothing.
    *setup.heads.accused.lock() = [of(liar), (other, checkpoint_key(MemberId(9)).public())].into();
    let mut free = setup.kanto();
    free.take(&setup.federation.state, &points[2..]).await;
    assert_eq!(free.signatures().latest().unwrap().checkpoint, points[2]);
}

/// A1: order alone is not believed.
#[tokio::test]
async fn a_head_that_the_own_tree_does_not_have_is_not_signed() {
    let mut setup = Setup::new();
    let mut point = setup.tick();
    point.head.root = Digest([0; 32]);
    let mut signer = setup.kanto();
    signer.take(&setup.federation.state, &[point]).await;
    assert_eq!(signer.signatures().status().state, SignerState::Refusing(Refusal::Fork));
    assert_eq!((signer.signatures().latest(), *setup.heads.saves.lock()), (None, 0));
}
