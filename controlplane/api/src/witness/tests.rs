//! Planted forks: what a member that signs another root, or another text, leads to.

use super::*;
use crate::fake::{Fake, fake, request};
use crate::service::audit::AuditApi;
use sekisho_evidence::fork::Contradiction;
use sekisho_evidence::merkle::Head;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{admin, checkpoint_key, job, member};
use sekisho_proto::v1;
use sekisho_proto::v1::audit_service_server::AuditService as _;
use std::collections::BTreeSet;

const LIAR: MemberId = MemberId(3);

/// A federation that has signed heads of growing size, each as member 2.
fn grown() -> (Fake, Vec<Checkpoint>) {
    let fake = fake();
    let heads = (0..4).map(|n| {
        fake.replica.elsewhere(|f| {
            f.submit(job(&format!("job-{n}"), 1, 1, &[]));
            f.accept(member("kanto"), Command::Tick)
        });
        fake.core.heads.latest().unwrap().checkpoint
    });
    let heads = heads.collect();
    (fake, heads)
}

/// Member 3 tells that it signed this.
fn tell(fake: &Fake, checkpoint: &Checkpoint) {
    let state = fake.core.replica.state();
    let bundle = &state.federation().unwrap().bundle;
    let line = checkpoint.sign(&"naniwa".parse().unwrap(), LIAR, &checkpoint_key(LIAR)).unwrap();
    fake.core.note(bundle, LIAR, &checkpoint.text().unwrap(), &line);
}

fn accused(fake: &Fake) -> BTreeSet<(MemberId, PublicKey)> {
    fake.replica.heads.accused.lock().clone()
}

fn liar() -> BTreeSet<(MemberId, PublicKey)> {
    [(LIAR, checkpoint_key(LIAR).public())].into()
}

async fn judged(fake: &Fake) -> Vec<Contradiction> {
    fake.core.witness_once().await;
    let state = fake.core.replica.state();
    let bundle = &state.federation().unwrap().bundle;
    let found = fake.core.witness.found();
    found.iter().map(|kept| kept.fork.judge(bundle).unwrap().contradiction).collect()
}

#[tokio::test]
async fn what_others_sign_of_the_same_log_is_no_fork() {
    let (fake, heads) = grown();
    heads.iter().for_each(|head| tell(&fake, head));
    // One that this member did not sign itself, of a size that its tree had.
    let between = Checkpoint { revision: Revision(heads[2].revision.0 - 1), ..heads[1] };
    tell(&fake, &between);
    assert_eq!(judged(&fake).await, []);
    assert!(accused(&fake).is_empty() && fake.core.accused().is_empty());
    assert!(fake.core.witness.due(Revision(u64::MAX)).is_empty(), "all of it is judged");
}

#[tokio::test]
async fn another_text_or_root_or_beginning_stops_the_signer_and_is_kept() {
    let other =
        |head: Checkpoint| Checkpoint { head: Head { root: Digest([9; 32]), ..head.head }, ..head };
    let (_, plain) = grown();
    let early = Checkpoint { revision: Revision(plain[2].revision.0 - 1), ..other(plain[1]) };
    let last = other(plain[3]);
    for (lie, expected) in [
        (last, Contradiction::Revision),
        (early, Contradiction::Beginning),
        (
            Checkpoint { head: Head { size: plain[3].head.size + 9, ..plain[1].head }, ..early },
            Contradiction::Shrunk,
        ),
    ] {
        let (fake, _) = grown();
        tell(&fake, &lie);
        assert_eq!(judged(&fake).await, [expected]);
        assert_eq!(accused(&fake), liar());
        assert_eq!(fake.core.accused(), [LIAR]);
        // Kept for good: another lie of it changes nothing, and a start finds it.
        let kept = fake.replica.diary.lock().evidence.clone();
        tell(&fake, &Checkpoint { time: lie.time.plus_ms(1), ..lie });
        assert_eq!(judged(&fake).await.len(), 1);
        assert_eq!(fake.replica.diary.lock().evidence, kept);
        fake.replica.heads.accused.lock().clear();
        fake.core.load_forks().await.unwrap();
        assert_eq!(accused(&fake), liar());
    }
}

#[tokio::test]
async fn a_head_of_the_future_waits_for_the_own_log() {
    let (fake, heads) = grown();
    let (last, mut next) = (heads[3], heads[3]);
    next.revision = Revision(last.revision.0 + 2);
    next.head = Head { size: last.head.size + 1, root: Digest([7; 32]) };
    tell(&fake, &next);
    assert_eq!(judged(&fake).await, []);
    fake.replica.elsewhere(|f| {
        f.submit(job("later", 1, 1, &[]));
        f.accept(member("kanto"), Command::Tick)
    });
    assert_eq!(judged(&fake).await, [Contradiction::Revision]);
}

#[tokio::test]
async fn status_is_red_and_the_evidence_is_listed() {
    let (fake, heads) = grown();
    let lie = Checkpoint { head: Head { root: Digest([9; 32]), ..heads[3].head }, ..heads[3] };
    tell(&fake, &lie);
    judged(&fake).await;
    let own = fake.core.own_findings();
    let found = own.iter().find(|found| found.condition.code() == "AUDIT_FORK").unwrap();
    assert_eq!(found.args["other"], "3");
    let audit = AuditApi::new(Arc::clone(&fake.core));
    let listed = audit.list_forks(request(&admin("kanto"), v1::ListForksRequest {})).await;
    let listed = listed.unwrap().into_inner();
    let kept: KeptFork = decode(&listed.forks[0]).unwrap();
    assert_eq!((listed.member, kept.accused), (2, LIAR));
    let state = fake.core.replica.state();
    let judged = kept.fork.judge(&state.federation().unwrap().bundle).unwrap();
    assert_eq!((judged.second, judged.second_by), (lie, [LIAR].into()));
}

#[test]
fn what_waits_is_bounded_and_the_latest_words_go_first() {
    let witness = Witness::default();
    let (fake, heads) = grown();
    let key = checkpoint_key(LIAR);
    for n in 0..u64::try_from(HEARD_MAX).unwrap() + 10 {
        let head = Checkpoint { revision: Revision(1_000 + n), ..heads[0] };
        let line = head.sign(&"naniwa".parse().unwrap(), LIAR, &key).unwrap();
        witness.hear((LIAR, key.public()), &head.text().unwrap(), &line);
    }
    let due = witness.due(Revision(u64::MAX));
    assert_eq!((due.len(), due[0].1.0), (HEARD_MAX, Revision(1_000)));
    drop(fake);
}
