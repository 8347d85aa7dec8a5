//! Leases over a replica of one: expiry, renewals and their confirmation, changes of leadership.

use super::*;
use crate::fake::{Fake, FakeClock};
use sekisho_evidence::grant::Instance;
use sekisho_fsm::quarantine::Twin;
use sekisho_fsm::testing::checkpoint_key;
use sekisho_raft::error::ProposeError;
use sekisho_raft::membership::Step;
use sekisho_types::id::MemberId;
use sekisho_types::limit::{TEARDOWN_WITHIN, lease_wait};
use sekisho_types::principal::MemberIdentity;

struct Setup {
    fake: Fake,
    clock: Arc<FakeClock>,
    leases: Leases<Fake>,
    duty: LeaseDuty<Fake>,
    node: NodeId,
}

impl Setup {
    fn leading() -> Self {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        let identity = MemberIdentity {
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            member: MemberId(2),
        };
        let key = checkpoint_key(identity.member);
        let leases = Leases::new(fake.clone(), Arc::clone(&clock) as _, identity.member, Some(key));
        let stamp = Stamp::new(&identity, Arc::clone(&clock) as _);
        let mut duty = LeaseDuty::new(leases.clone(), stamp);
        fake.lead(Some(7));
        duty.begin(7);
        Self { fake, clock, leases, duty, node: "tokyo-1/n-01".parse().unwrap() }
    }

    fn session(&self) -> SessionId {
        live_session(&self.fake.view().state, &self.node).unwrap()
    }

    /// Renews while the rounds run.
    async fn renew(&self, session: SessionId) -> Result<Renewal, NotCounted> {
        self.ask(session, 1, None).await.map(|answer| match answer {
            Answer::Acknowledged(_) => Renewal::Acknowledged,
            Answer::Expiring => Renewal::Expiring,
            Answer::UnknownSession => Renewal::UnknownSession,
        })
    }

    fn asked(&self, session: SessionId, sequence: u64) -> Asked {
        Asked { node: self.node.clone(), session, sequence }
    }

    async fn ask(
        &self,
        session: SessionId,
        sequence: u64,
        carried: Option<Revision>,
    ) -> Result<Answer, NotCounted> {
        let received = self.clock.boottime_ns();
        let renewal = self.asked(session, sequence);
        self.meanwhile(self.leases.renew(&renewal, received, carried)).await
    }

    /// Does something while the rounds run and what counts is signed.
    async fn meanwhile<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.leases.clone().confirm_rounds() => panic!("rounds ended"),
            () = self.leases.clone().sign_acknowledgements() => panic!("signing ended"),
            done = work => done,
        }
    }

    /// One look of the duty, while the rounds run.
    async fn look(&mut self) -> Result<(), DutyError> {
        tokio::select! {
            () = self.leases.clone().confirm_rounds() => panic!("rounds ended"),
            result = self.duty.run() => result.map(|_pause| ()),
        }
    }

    fn live(&self) -> usize {
        let view = self.fake.view();
        view.state.nodes().filter(|(_, node)| node.live_session().is_some()).count()
    }
}

#[tokio::test(start_paused = true)]
async fn silent_nodes_expire_after_w_and_renewed_ones_stay() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    setup.clock.forward(Duration::from_secs(10));
    assert_eq!(setup.renew(setup.session()).await, Ok(Renewal::Acknowledged));
    setup.clock.forward(lease_wait() - Duration::from_secs(10));
    setup.look().await.unwrap();
    assert_eq!(setup.live(), 1, "only the renewed one lives");
    setup.clock.forward(Duration::from_secs(10) - Duration::from_millis(1));
    setup.look().await.unwrap();
    assert_eq!(setup.live(), 1);
    setup.clock.forward(Duration::from_millis(1));
    setup.look().await.unwrap();
    assert_eq!(setup.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_leaves_the_mark_and_is_proposed_again() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    setup.clock.forward(lease_wait());
    setup.fake.fail_proposals(Some(ProposeError::OutcomeUnknown));
    setup.look().await.unwrap_err();
    assert_eq!(setup.live(), 6);
    assert_eq!(setup.renew(setup.session()).await, Ok(Renewal::Expiring));
    setup.fake.fail_proposals(None);
    setup.look().await.unwrap();
    assert_eq!(setup.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_counts_only_when_confirmed_in_the_term_of_the_table() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    let session = setup.session();
    setup.fake.confirm_reads(false);
    assert_eq!(setup.renew(session).await, Err(NotCounted::NotConfirmed));
    setup.fake.confirm_reads(true);
    setup.fake.lead(Some(8));
    // Confirmed for term 8, but the table is still that of term 7.
    assert_eq!(setup.renew(session).await, Err(NotCounted::NotLeader));
    setup.duty.end();
    assert_eq!(setup.renew(session).await, Err(NotCounted::NotLeader));
    setup.duty.begin(8);
    assert_eq!(setup.renew(session).await, Ok(Renewal::Acknowledged));
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_waits_a_full_w_and_other_sessions_are_refused() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    setup.clock.forward(lease_wait() - Duration::from_millis(1));
    setup.duty.end();
    setup.duty.begin(8);
    setup.fake.lead(Some(8));
    setup.look().await.unwrap();
    setup.clock.forward(lease_wait() - Duration::from_millis(1));
    setup.look().await.unwrap();
    assert_eq!(setup.live(), 6);
    assert_eq!(setup.renew(SessionId([9; 16])).await, Ok(Renewal::UnknownSession));
    setup.clock.forward(Duration::from_millis(1));
    setup.look().await.unwrap();
    assert_eq!(setup.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_renewals_share_a_round_begun_after_their_receipt() {
    let setup = Setup::leading();
    let session = setup.session();
    let received = setup.clock.boottime_ns();
    let renewals: Vec<Asked> = (0..1000).map(|n| setup.asked(session, n)).collect();
    let all = futures::future::join_all(
        renewals.iter().map(|renewal| setup.leases.renew(renewal, received, None)),
    );
    let answers = setup.meanwhile(all).await;
    assert_eq!(setup.fake.reads(), 1);
    let view = setup.fake.view();
    let bundle = &view.state.federation().unwrap().bundle;
    let mut statements = std::collections::BTreeSet::new();
    for (answer, renewal) in answers.into_iter().zip(&renewals) {
        let Ok(Answer::Acknowledged(word)) = answer else { panic!("{answer:?}") };
        assert_eq!(word.verify(bundle, renewal).unwrap().as_str(), "kanto");
        assert_eq!((word.counted().term, word.counted().revision), (7, view.state.revision()));
        statements.insert(word.bytes().unwrap()[..100].to_vec());
    }
    assert_eq!(statements.len(), 1, "under one signature");
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_call_ends_by_its_deadline() {
    let setup = Setup::leading();
    let received = setup.clock.boottime_ns();
    // Nobody runs the rounds.
    let renewal = setup.asked(setup.session(), 1);
    let answer = setup.leases.renew(&renewal, received, None).await;
    assert_eq!(answer, Err(NotCounted::NotConfirmed));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_slept_through_its_fall_expires_nothing() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    setup.clock.forward(lease_wait());
    for (term, confirmed) in [(7, false), (8, true)] {
        setup.fake.lead(Some(term));
        setup.fake.confirm_reads(confirmed);
        assert!(matches!(setup.look().await, Err(DutyError::NotConfirmed(_))));
        assert_eq!(setup.live(), 6);
    }
    assert_eq!(setup.fake.proposed().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_nodes_lease_is_not_renewed_and_ends() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    let (node, session) = (setup.node.clone(), setup.session());
    setup.fake.change(|f| {
        f.accept(sekisho_fsm::testing::admin("kanto"), Command::RevokeNode { node });
    });
    assert_eq!(setup.renew(session).await, Ok(Renewal::UnknownSession));
    setup.clock.forward(lease_wait());
    setup.look().await.unwrap();
    let state = setup.fake.view().state.clone();
    assert!(
        state.node(&setup.node).unwrap().live_session().is_none(),
        "what it held comes back (P5)"
    );
}

#[tokio::test(start_paused = true)]
async fn in_quarantine_neither_host_is_renewed_and_the_lease_ends() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    let (node, session) = (setup.node.clone(), setup.session());
    let (first, second) = (Instance([1; 16]), Instance([2; 16]));
    let why = Twin::Instances { session, first, second };
    setup.fake.change(|f| {
        f.accept(sekisho_fsm::testing::member("kanto"), Command::QuarantineNode { node, why });
    });
    assert_eq!(setup.renew(session).await, Ok(Renewal::UnknownSession));
    setup.clock.forward(lease_wait());
    setup.look().await.unwrap();
    let state = setup.fake.view().state.clone();
    let row = state.node(&setup.node).unwrap();
    assert!(row.live_session().is_none() && row.quarantine.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_confirmed_dead_in_time_is_taken_back_with_its_nodes_lease() {
    let mut setup = Setup::leading();
    let session = setup.session();
    let placement = setup.fake.change(|f| {
        let id = f.submit(sekisho_fsm::testing::job("stuck", 1, 1, &["JP-13"]));
        f.place(&id, &["tokyo-1/n-01"]);
        let placement = f.placements(&id)[0];
        f.accept(sekisho_fsm::testing::user("kanto", "sapporo"), Command::CancelJob { job: id });
        placement
    });
    setup.look().await.unwrap();
    let bound = |setup: &Setup| setup.leases.news().unwrap().stopping.get(&placement).copied();
    let (within, wait) = (TEARDOWN_WITHIN, lease_wait());
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    assert_eq!(bound(&setup), Some(ns(within + wait)));
    for _ in 0..6 {
        assert_eq!(setup.renew(session).await, Ok(Renewal::Acknowledged));
        setup.clock.forward(within / 6);
        setup.look().await.unwrap();
    }
    assert_eq!(setup.renew(session).await, Ok(Renewal::Expiring), "no more than it holds");
    let left = wait - within / 6;
    assert_eq!(bound(&setup), Some(ns(left)), "since the last one that counted");
    let live = |setup: &Setup| {
        let state = setup.fake.view().state.clone();
        state.node(&setup.node).unwrap().live_session().is_some()
    };
    setup.clock.forward(left - Duration::from_millis(1));
    setup.look().await.unwrap();
    assert!(live(&setup), "P3: not before W");
    setup.clock.forward(Duration::from_millis(1));
    setup.look().await.unwrap();
    assert!(!live(&setup));
    assert_eq!(setup.fake.view().state.usages().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_what_runs_to_completion_takes_no_lease_back() {
    let mut setup = Setup::leading();
    let session = setup.session();
    setup.fake.change(|f| {
        let mut facts = sekisho_fsm::testing::job("long", 1, 1, &["JP-13"]);
        facts.on_disconnect = sekisho_types::job::OnDisconnect::RunToCompletion;
        let id = f.submit(facts);
        f.place(&id, &["tokyo-1/n-01"]);
        f.accept(sekisho_fsm::testing::user("kanto", "sapporo"), Command::CancelJob { job: id });
    });
    for _ in 0..8 {
        setup.look().await.unwrap();
        assert_eq!(setup.renew(session).await, Ok(Renewal::Acknowledged));
        setup.clock.forward(TEARDOWN_WITHIN / 6);
    }
    assert_eq!(setup.leases.news().unwrap().stopping.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_leader_tells_of_silent_nodes_and_a_new_one_of_a_full_w() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    assert_eq!(setup.leases.news().unwrap().silent.len(), 0);
    setup.clock.forward(Duration::from_secs(9));
    assert_eq!(setup.renew(setup.session()).await, Ok(Renewal::Acknowledged));
    setup.look().await.unwrap();
    let news = setup.leases.news().unwrap();
    assert!(news.whole && news.silent.len() == 5 && !news.silent.contains_key(&setup.node));
    setup.duty.end();
    assert_eq!(setup.leases.news(), None);
    setup.duty.begin(8);
    assert!(!setup.leases.news().unwrap().whole, "it has not looked yet");
    setup.clock.forward(Duration::from_secs(9));
    setup.look().await.unwrap();
    let news = setup.leases.news().unwrap();
    let wait = u64::try_from(lease_wait().as_nanos()).unwrap();
    assert_eq!(news.silent.len(), 0, "it has not waited three beats yet");
    setup.clock.forward(Duration::from_secs(9));
    setup.look().await.unwrap();
    let left: Vec<u64> = setup.leases.news().unwrap().silent.values().map(|s| s.left_ns).collect();
    assert_eq!(left, [wait - 9_000_000_000; 6], "W began anew");
}

#[tokio::test(start_paused = true)]
async fn a_carried_renewal_counts_once_and_under_the_leader_that_it_was_signed_under() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    let session = setup.session();
    let now = setup.fake.view().state.revision();
    let carry = async |setup: &Setup, sequence, heard| {
        let answer = setup.ask(session, sequence, Some(heard)).await;
        answer.map(|answer| matches!(answer, Answer::Acknowledged(_)))
    };
    assert_eq!(carry(&setup, 5, now).await, Ok(true));
    // Kept by whoever carried it, it would keep a dead host's lease.
    for sequence in [5, 4] {
        assert_eq!(carry(&setup, sequence, now).await, Err(NotCounted::Old));
    }
    assert_eq!(carry(&setup, 6, now).await, Ok(true));
    // What the agent sends itself is its own word.
    assert_eq!(setup.renew(session).await, Ok(Renewal::Acknowledged));
    // Under the next leader it says nothing: the agent had not heard of its term.
    setup.duty.end();
    setup.fake.change(|f| f.accept(sekisho_fsm::testing::member("kanto"), Command::Tick));
    setup.fake.lead(Some(8));
    setup.duty.begin(8);
    setup.look().await.unwrap();
    assert_eq!(carry(&setup, 7, now).await, Err(NotCounted::Old));
    let later = setup.fake.view().state.revision();
    assert_eq!(carry(&setup, 7, later).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_signature_nobody_knows_counts_nothing_for_long_and_hands_over() {
    for key in [None, Some(checkpoint_key(MemberId(3)))] {
        let mut setup = Setup::leading();
        let clock = Arc::clone(&setup.clock) as _;
        setup.leases = Leases::new(setup.fake.clone(), clock, MemberId(2), key);
        setup.leases.begin(7);
        let answer = setup.renew(setup.session()).await;
        assert_eq!(answer, Err(NotCounted::NotSigned));
        let mut duty = keyless::KeylessDuty::new(setup.leases.clone());
        setup.fake.set_membership(keyless::tests::group(2, &[1, 2, 3]));
        duty.run().await.unwrap();
        assert_eq!(setup.fake.steps(), [Step::HandOver(MemberId(3))]);
    }
    let setup = Setup::leading();
    setup.fake.set_membership(keyless::tests::group(2, &[1, 2, 3]));
    keyless::KeylessDuty::new(setup.leases.clone()).run().await.unwrap();
    assert_eq!(setup.fake.steps(), []);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lease_is_proposed_in_the_term_that_marked_it_or_not_at_all() {
    let mut setup = Setup::leading();
    setup.look().await.unwrap();
    setup.clock.forward(lease_wait());
    let due = setup.leases.due();
    assert_eq!((due.term, due.sessions.len()), (7, 6));
    // Another leader came and went; its acknowledgements are unknown here.
    setup.fake.lead(Some(9));
    let (node, session) = due.sessions[0].clone();
    let refused = setup.duty.expire(due.term, &due.view.state, node, session).await;
    assert!(matches!(refused, Err(DutyError::Propose(ProposeError::NoLeader))), "{refused:?}");
    assert_eq!(setup.live(), 6);
}
