//! Each way in which a submission can fail to stand behind a grant.
#![expect(clippy::arithmetic_side_effects, reason = "test values are small")]

use super::*;
use crate::batch::Tree;
use crate::bundle::Endorser;
use crate::grant::{SessionId, Share};
use crate::key::{Purpose, SigningKey};
use crate::operator::{BackupKey, Keys, OperatorKeys};
use crate::voucher::VoucherError;
use proptest::prelude::*;
use sekisho_types::id::{ClusterId, JobId, MemberId, PublicKey};
use sekisho_types::job::{Kind, OnDisconnect, OverLimit, Resources};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::TrustDomain;
use sekisho_types::rare::Rare;
use sekisho_types::residency::{RULE_ENTRIES_MAX, Rules};
use sekisho_types::revision::{Epoch, PlacementId, Revision};
use sekisho_types::sharing::Sharing;

const CLUSTER: ClusterId = ClusterId([1; 16]);
const NOW: Timestamp = Timestamp(1_795_305_600_000);
const ALICE: &str = "naniwa/user/alice";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Operator n has issuer key 10 + n.
fn bundle() -> EndorserBundle {
    let names = ["hokuto", "kanto", "naniwa"];
    let operator = |n: u8| names[usize::from(n) - 1].parse::<OperatorId>().unwrap();
    let endorser = |n: u8| Endorser {
        operator: operator(n),
        member: MemberId(n.into()),
        public_key: key(n).public(),
    };
    let keys = |n: u8| OperatorKeys {
        operator: operator(n),
        trust_domain: TrustDomain::parse(&format!("{}.example", operator(n))).unwrap(),
        issuers: Keys::one(key(10 + n).public()),
        site_tags: Keys::one(key(20 + n).public()),
        roots: Keys::one(Digest([n; 32])),
        backups: Keys::one(BackupKey([30 + n; 32])),
    };
    EndorserBundle {
        cluster: CLUSTER,
        incarnation: Incarnation(1),
        version: 1,
        terms: Digest([0; 32]),
        k: 2,
        endorsers: (1..=3).map(endorser).collect(),
        operators: (1..=3).map(keys).collect(),
    }
}

/// What alice asks for, before anybody signs.
struct Draft {
    cluster: ClusterId,
    facts: JobFacts,
    request: RequestId,
    incarnation: Incarnation,
    signer: Principal,
    signing: SigningKey,
    key: KeyRecord,
    issuer: SigningKey,
    /// Signed in one batch with so many commands before it.
    batch: Option<u32>,
}

impl Draft {
    fn sound() -> Self {
        let key_record = KeyRecord {
            principal: ALICE.parse().unwrap(),
            role: Role::TenantUser("city".parse().unwrap()),
            public_key: key(30).public(),
            expires: Timestamp(NOW.0 + 1),
        };
        Self {
            cluster: CLUSTER,
            facts: facts(),
            request: RequestId([3; 16]),
            incarnation: Incarnation(1),
            signer: ALICE.parse().unwrap(),
            signing: key(30),
            key: key_record,
            issuer: key(13),
            batch: None,
        }
    }

    /// The same, behind `before` other commands of a batch.
    fn in_batch(before: u32) -> Self {
        Self { batch: Some(before), ..Self::sound() }
    }

    /// What is signed, and where the command stands in it.
    fn command(&self) -> (Digest, Option<Place>) {
        let Some(before) = self.batch else {
            return (Digest::of(&submit_command(&self.facts).unwrap()), None);
        };
        let mut items: Vec<Vec<u8>> = (0..before).map(|n| n.to_be_bytes().to_vec()).collect();
        items.push(submit_item(&self.facts).unwrap());
        let tree = Tree::of(&items);
        (tree.digest().unwrap(), tree.place(before))
    }

    fn sign(self) -> Submission {
        let (command, place) = self.command();
        let (cluster, request, incarnation) = (self.cluster, self.request, self.incarnation);
        let intention = Intention { cluster, incarnation, request, command };
        Submission {
            signature: intention.sign(self.signer, &self.signing),
            voucher: Voucher::Issuer(
                self.issuer.sign(Purpose::KeyRecord, &encode(&self.key).unwrap()),
            ),
            facts: self.facts,
            place,
            request,
            incarnation,
            submitted_at: NOW,
            key: self.key,
            under: Under::Submit,
        }
    }
}

fn facts() -> JobFacts {
    let areas = ["JP-01", "JP-13"].map(|area| Area::resolve(area).unwrap()).into();
    JobFacts {
        id: "city/train".parse().unwrap(),
        kind: Kind::Batch,
        group: 2,
        resources: Resources {
            memory_mib: 40_960,
            units: 1,
            ..Resources::of("h100-80g".parse().unwrap(), 4)
        },
        topology: Rare::default(),
        priority: 50,
        policy: Some("bank".parse().unwrap()),
        reservation: None,
        residency: Rules { areas, ..Rules::default() }.into(),
        on_disconnect: OnDisconnect::Stop,
        over_limit: OverLimit::Queue,
        time_limit_s: 3600,
        after: Rare::default(),
        not_before: None,
        start_by: None,
        payload: Digest::of(b"payload"),
        payload_len: 7,
        sealed_to: Rare::default(),
        area_only: false,
    }
}

/// A grant of what alice asked for, under the policy that she named and her tenant's.
fn grant(submission: &Submission) -> Grant {
    let epoch = Epoch { incarnation: Incarnation(1), revision: Revision(10) };
    let named = |id: &str| BoundRules {
        policy: Some((id.parse().unwrap(), Revision(5))),
        rules: Rare::default(),
    };
    Grant {
        cluster: CLUSTER,
        placement: PlacementId { epoch, ordinal: 0 },
        job: "city/train".parse().unwrap(),
        rank: 1,
        group: 2,
        node: "ishikari-1/n-01".parse().unwrap(),
        node_key: Digest([7; 32]),
        session: SessionId([5; 16]),
        class: "h100-80g".parse().unwrap(),
        memory_mib: 81_920,
        units: 7,
        island: 1,
        gpus: 4,
        share: None,
        rules: vec![
            BoundRules { policy: None, rules: facts().residency },
            named("bank"),
            named("city"),
        ],
        table: Digest([8; 32]),
        landmarks: Digest([9; 32]),
        submitter: ALICE.parse().unwrap(),
        payload: Digest::of(b"payload"),
        submission: submission.digest().unwrap(),
        on_disconnect: OnDisconnect::Stop,
        time_limit_s: 3600,
    }
}

/// Which check refuses.
fn refusal(submission: &Submission, grant: &Grant) -> SubmissionError {
    submission.check(&bundle(), grant).unwrap_err()
}

#[test]
fn what_was_signed_stands_behind_its_grant_and_survives_the_wire() {
    let submission = Draft::sound().sign();
    let grant = grant(&submission);
    let read = Submission::parse(&submission.bytes().unwrap()).unwrap();
    assert_eq!(read, submission);
    assert_eq!(read.check(&bundle(), &grant), Ok(()));
    // In a later life of the federation nothing of before is placed again: a lost grant of it may still run.
    let mut later = grant.clone();
    later.placement.epoch.incarnation = Incarnation(2);
    let other = submission.check(&bundle(), &later);
    assert!(matches!(other, Err(SubmissionError::Incarnation { .. })));
    // The tenant's administrator may submit, too.
    let mut later = grant;
    let mut draft = Draft::sound();
    draft.key.role = Role::TenantAdmin("city".parse().unwrap());
    let submission = draft.sign();
    later.submission = submission.digest().unwrap();
    assert_eq!(submission.check(&bundle(), &later), Ok(()));
}

type Spoil = fn(&mut Draft);
type Change = fn(&mut Grant);

/// Everything else is signed and granted as the spoiled draft says.
fn spoiled(spoil: Spoil) -> SubmissionError {
    let mut draft = Draft::sound();
    spoil(&mut draft);
    let submission = draft.sign();
    refusal(&submission, &grant(&submission))
}

#[test]
fn the_signature_is_the_submitters_for_this_command_cluster_and_life() {
    let submission = Draft::sound().sign();
    let sound = grant(&submission);
    assert_eq!(spoiled(|d| d.cluster = ClusterId([2; 16])), SubmissionError::Signature);
    // Signed for one intention, told as another.
    let told: [fn(&mut Submission); 6] = [
        |s| s.request = RequestId([4; 16]),
        |s| s.incarnation = Incarnation(0),
        |s| s.facts.priority = 100,
        |s| s.facts.residency = Rare::default(),
        |s| s.facts.policy = None,
        |s| s.signature.key = key(31).public(),
    ];
    for (number, tell) in told.iter().enumerate() {
        let mut other = submission.clone();
        tell(&mut other);
        let granted = Grant { submission: other.digest().unwrap(), ..sound.clone() };
        assert_eq!(refusal(&other, &granted), SubmissionError::Signature, "case {number}");
        assert!(matches!(refusal(&other, &sound), SubmissionError::Digest { .. }), "{number}");
    }
}

#[test]
fn a_signature_stands_behind_the_tasks_that_were_asked_for_and_no_others() {
    let granted = |kind: Kind, under: Under, task: Option<u32>| {
        let mut draft = Draft::sound();
        draft.facts.kind = kind;
        let submission = Submission { under, ..draft.sign() };
        let job = JobId { task, ..grant(&submission).job };
        submission.check(&bundle(), &Grant { job, ..grant(&submission) })
    };
    let array = Kind::Array { tasks: 3, at_most: 1 };
    let service = Kind::Service { replicas: 1, surge: 1 };
    let submit = Under::Submit;
    for (kind, task, sound) in [
        (Kind::Batch, None, true),
        (Kind::Batch, Some(0), false),
        (array, Some(2), true),
        (array, Some(3), false),
        (array, None, false),
        (service, Some(1_000_000), true),
        (service, None, false),
    ] {
        let expected = if sound { Ok(()) } else { Err(SubmissionError::Facts("job")) };
        assert_eq!(granted(kind, submit, task), expected, "{kind:?} {task:?}");
    }
    // What was signed as one command is no other.
    let replaced = granted(service, Under::Replace, Some(1));
    assert_eq!(replaced, Err(SubmissionError::Signature));
}

#[test]
fn a_signature_under_a_batch_stands_behind_each_of_its_jobs() {
    for before in [0, 1, 2, 63, 127] {
        let submission = Draft::in_batch(before).sign();
        let granted = grant(&submission);
        let read = Submission::parse(&submission.bytes().unwrap()).unwrap();
        assert_eq!(read.check(&bundle(), &granted), Ok(()));
    }
    let sound = Draft::in_batch(4).sign();
    let place = |error| matches!(error, SubmissionError::Place(_));
    let told = |tell: fn(&mut Submission)| {
        let mut other = sound.clone();
        tell(&mut other);
        refusal(&other, &grant(&other))
    };
    // A job that the batch has not, or not there.
    assert!(place(told(|s| s.facts.priority = 100)));
    assert!(place(told(|s| s.place.as_mut().unwrap().index = 3)));
    assert!(place(told(|s| s.place.as_mut().unwrap().size = 129)));
    assert!(place(told(|s| s.place.as_mut().unwrap().path.clear())));
    // It has it, and was not signed.
    assert_eq!(told(|s| s.place = None), SubmissionError::Signature);
    assert_eq!(told(|s| s.place = Draft::in_batch(3).sign().place), SubmissionError::Signature);
    assert_eq!(told(|s| s.request = RequestId([4; 16])), SubmissionError::Signature);
    // Signed alone, told as part of a batch.
    let mut alone = Draft::sound().sign();
    alone.place = Draft::in_batch(0).sign().place;
    assert_eq!(refusal(&alone, &grant(&alone)), SubmissionError::Signature);
}

#[test]
fn signer_key_and_grant_name_one_person_whose_own_operator_vouches_for_the_key() {
    let principal = |error| matches!(error, SubmissionError::Principal(_));
    assert!(principal(spoiled(|d| d.signer = "naniwa/user/mallory".parse().unwrap())));
    assert!(principal(spoiled(|d| d.key.principal = "naniwa/user/mallory".parse().unwrap())));
    let submission = Draft::sound().sign();
    let submitter = "naniwa/user/mallory".parse().unwrap();
    assert!(principal(refusal(&submission, &Grant { submitter, ..grant(&submission) })));
    assert_eq!(spoiled(|d| d.signing = key(31)), SubmissionError::Key);
    assert_eq!(spoiled(|d| d.key.public_key = PublicKey([0; 32])), SubmissionError::Key);
    let naniwa = || "naniwa".parse::<OperatorId>().unwrap();
    // Another operator's issuer, and a member's checkpoint key.
    let unsigned = || SubmissionError::Issuer(naniwa(), VoucherError::Issuer(naniwa()));
    assert_eq!(spoiled(|d| d.issuer = key(12)), unsigned());
    assert_eq!(spoiled(|d| d.issuer = key(3)), unsigned());
    let mut altered = Draft::sound().sign();
    altered.key.expires = Timestamp(NOW.0 + 2);
    assert_eq!(refusal(&altered, &grant(&altered)), unsigned());
    let mut left = bundle();
    left.operators.retain(|keys| keys.operator != naniwa());
    let error = submission.check(&left, &grant(&submission)).unwrap_err();
    assert_eq!(error, SubmissionError::Operator(naniwa()));
}

#[test]
fn the_key_was_in_force_and_its_role_submits_for_this_tenant() {
    assert_eq!(spoiled(|d| d.key.expires = NOW), SubmissionError::Expired);
    let role = |error| matches!(error, SubmissionError::Role { .. });
    assert!(role(spoiled(|d| d.key.role = Role::TenantUser("bank".parse().unwrap()))));
    assert!(role(spoiled(|d| d.key.role = Role::FederationAdmin)));
    assert!(role(spoiled(|d| d.key.role = Role::OperatorAdmin)));
}

#[test]
fn nothing_is_granted_otherwise_than_it_was_signed() {
    let submission = Draft::sound().sign();
    let changes: [(&str, Change); 10] = [
        ("job", |g| g.job = "city/other".parse().unwrap()),
        ("payload", |g| g.payload = Digest::of(b"other")),
        ("class", |g| g.class = "b200".parse().unwrap()),
        ("gpus", |g| g.gpus = 3),
        ("memory", |g| g.memory_mib = 40_959),
        ("units", |g| g.units = 0),
        ("group", |g| g.group = 3),
        ("group", |g| g.rank = 2),
        ("on_disconnect", |g| g.on_disconnect = OnDisconnect::RunToCompletion),
        ("time_limit", |g| g.time_limit_s = 3601),
    ];
    for (what, change) in changes {
        let mut grant = grant(&submission);
        change(&mut grant);
        assert_eq!(refusal(&submission, &grant), SubmissionError::Facts(what));
    }
    let mut exact = grant(&submission);
    exact.memory_mib = 40_960;
    assert_eq!(submission.check(&bundle(), &exact), Ok(()));
    let share = Share { device: Digest([3; 32]), with: Sharing::Any };
    let shared = Grant { share: Some(share), ..exact };
    assert_eq!(refusal(&submission, &shared), SubmissionError::Sharing, "nobody agreed to that");
    let other_life = spoiled(|d| d.incarnation = Incarnation(2));
    assert!(matches!(other_life, SubmissionError::Incarnation { .. }));
}

#[test]
fn rules_may_be_added_but_not_widened_or_left_out() {
    let submission = Draft::sound().sign();
    let wider: [Change; 5] = [
        |g| g.rules[0].rules = Rare::default(),
        |g| {
            g.rules[0].rules.areas.insert(Area::resolve("JP-27").unwrap());
        },
        |g| g.rules[0].rules.allow_run_to_completion = false,
        |g| g.rules[0].policy = Some(("own".parse().unwrap(), Revision(1))),
        |g| {
            g.rules.remove(0);
        },
    ];
    for (number, widen) in wider.iter().enumerate() {
        let mut grant = grant(&submission);
        widen(&mut grant);
        assert_eq!(refusal(&submission, &grant), SubmissionError::Rules, "case {number}");
    }
    let mut unbound = grant(&submission);
    unbound.rules.remove(1);
    assert_eq!(refusal(&submission, &unbound), SubmissionError::Policy);
    let mut more = grant(&submission);
    more.rules.insert(0, BoundRules { policy: None, rules: Rare::default() });
    assert_eq!(submission.check(&bundle(), &more), Ok(()), "all rule sets bind");
}

#[test]
fn bytes_are_bounded_and_of_one_form() {
    let mut draft = Draft::sound();
    let names = (0..RULE_ENTRIES_MAX).map(|n| format!("{n:a>63}").parse::<OperatorId>().unwrap());
    let rules = Rules {
        operators: names.clone().collect(),
        denied_operators: names.collect(),
        ..Rules::clone(&draft.facts.residency)
    };
    draft.facts.residency = rules.into();
    let largest = draft.sign().bytes().unwrap();
    assert!(largest.len() * 2 < SUBMISSION_MAX, "{} bytes", largest.len());
    Submission::parse(&largest).unwrap();
    let tail = [largest.as_slice(), &[0]].concat();
    assert!(matches!(Submission::parse(&tail), Err(SubmissionError::Malformed(_))));
    let long = vec![0; SUBMISSION_MAX + 1];
    assert_eq!(Submission::parse(&long), Err(SubmissionError::TooLarge(SUBMISSION_MAX + 1)));
}

/// Grants and payload tables refer to these bytes by digest: they never change for the same submission.
#[test]
fn golden_bytes() {
    let digest = Draft::sound().sign().digest().unwrap().to_string();
    assert_eq!(digest, "93c76598ad8f29c85f930cfa3293fa510769cd10e0f84deb6e9ceed27988e39c");
}

fn judged(bytes: &[u8], grant: &Grant) -> Result<Submission, SubmissionError> {
    let submission = Submission::parse(bytes)?;
    submission.check(&bundle(), grant)?;
    Ok(submission)
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused(
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        batch in prop::option::of(0u32..5),
    ) {
        let submission = Draft { batch, ..Draft::sound() }.sign();
        let grant = grant(&submission);
        let mut bytes = submission.bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(judged(&bytes, &grant).is_err());
        // Nor if k operators sign a grant of the flipped bytes. Only when it was is their word alone.
        let turned = Grant { submission: Digest::of(&bytes), ..grant };
        if let Ok(read) = judged(&bytes, &turned) {
            prop_assert_eq!(Submission { submitted_at: NOW, ..read }, submission);
        }
    }
}
