//! Each single mutation of a sound set is refused under its own code.
#![expect(clippy::arithmetic_side_effects, reason = "test values are small")]

mod sealed;
mod sharing;

use super::*;
use crate::desired::Proved;
use crate::fixture::{
    Federation, History, NOW, PAYLOAD, devices, epoch, grant_bytes_abroad, located,
};
use proptest::prelude::*;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::grant::{SessionId, Share};
use sekisho_evidence::submission::Submission;
use sekisho_types::id::ClusterId;
use sekisho_types::residency::Tier;
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::sharing::Sharing;

/// Everything that a verdict depends on.
struct Case {
    federation: Federation,
    history: History,
    ledger: Ledger,
    standing: Standing,
    devices: Vec<Device>,
    location: Location,
    now: Timestamp,
    set: SignedSet,
}

impl Case {
    /// A ledger whose head is inside the history, and a set of two grants at revision 10 above it.
    fn sound() -> Self {
        Self::with(|_| {})
    }

    /// As [`Case::sound`], with the first grant changed before it was logged.
    fn with(change: impl Fn(&mut Grant)) -> Self {
        let federation = Federation::new();
        let mut history = federation.history();
        let mut ledger = federation.ledger();
        ledger.accept(empty(history.head(), 5));
        let mut grants = [federation.grant(10, 0), federation.grant(10, 1)];
        change(&mut grants[0]);
        let set = history.desire(10, &grants);
        let set = history.signed(&set, 10, ledger.head().size);
        let standing = federation.standing("012351");
        let (devices, location) = (devices(4), located());
        Self { federation, history, ledger, standing, devices, location, now: NOW, set }
    }

    fn check(&self) -> Result<Accepted, Box<RejectedSet>> {
        let (standing, location, devices) = (&self.standing, &self.location, &self.devices);
        let host = Host { standing, location, devices, now: self.now };
        check_set(host, &self.ledger, &self.set)
    }

    /// Replaces the set by one that the federation signed at revision 11.
    fn next_set(&mut self, desired: NodeDesired, records: Vec<Vec<u8>>) {
        let set = self.history.desire_record(desired, records);
        self.set = self.history.signed(&set, 11, self.ledger.head().size);
    }
}

fn ids(ordinals: &[u32]) -> BTreeSet<PlacementId> {
    ordinals.iter().map(|ordinal| PlacementId { epoch: epoch(10), ordinal: *ordinal }).collect()
}

#[test]
fn a_sound_set_is_accepted_whole() {
    let case = Case::sound();
    let accepted = case.check().unwrap();
    assert_eq!(accepted.head, case.history.head());
    assert_eq!(accepted.floor, epoch(10));
    assert_eq!((accepted.desired, accepted.adopt.len()), (ids(&[0, 1]), 2));
    assert!(accepted.refused.is_empty());
}

#[test]
fn any_two_operators_suffice_and_a_third_does_no_harm() {
    let mut case = Case::sound();
    for members in [&[1, 3][..], &[2, 3], &[3, 2, 1]] {
        case.set.lines = case.history.sign(10, members).1;
        assert!(case.check().is_ok(), "{members:?}");
    }
}

type Mutation = (&'static str, ErrorCode, fn(&mut Case));

/// In the order of the check list.
const OF_THE_SET: &[Mutation] = &[
    ("text with another line", ErrorCode::GrantMalformed, |c| c.set.text.push_str("more\n")),
    ("set's record with a tail", ErrorCode::GrantMalformed, |c| {
        c.set.delivery.desired.record.push(0);
    }),
    ("grant's record with a tail", ErrorCode::GrantMalformed, |c| {
        c.set.delivery.grants[1].record.push(0);
    }),
    ("a grant in place of the set", ErrorCode::GrantMalformed, |c| {
        c.set.delivery.desired = c.set.delivery.grants[0].clone();
    }),
    ("the set in place of a grant", ErrorCode::GrantMalformed, |c| {
        c.set.delivery.grants[0] = c.set.delivery.desired.clone();
    }),
    ("too many grants", ErrorCode::GrantMalformed, |c| {
        let grant = c.set.delivery.grants[0].clone();
        c.set.delivery.grants = vec![grant; DESIRED_MAX + 1];
    }),
    ("another cluster pinned", ErrorCode::WrongCluster, |c| {
        let bundle = EndorserBundle { cluster: ClusterId([2; 16]), ..c.federation.bundle() };
        c.ledger = Ledger::new(c.ledger.node().clone(), bundle);
    }),
    ("another incarnation pinned", ErrorCode::WrongCluster, |c| {
        let bundle = EndorserBundle { incarnation: Incarnation(2), ..c.federation.bundle() };
        c.ledger = Ledger::new(c.ledger.node().clone(), bundle);
    }),
    ("one operator", ErrorCode::GrantSigners, |c| {
        c.set.lines.truncate(1);
    }),
    ("nobody", ErrorCode::GrantSigners, |c| c.set.lines.clear()),
    ("one operator twice", ErrorCode::GrantSigners, |c| {
        c.set.lines[1] = c.set.lines[0].clone();
    }),
    ("a signature under another text", ErrorCode::GrantSigners, |c| {
        c.set.lines = c.history.sign(9, &[1, 2]).1;
    }),
    ("another time under the signatures", ErrorCode::GrantSigners, |c| {
        let later = Checkpoint { time: Timestamp(NOW.0 + 1), ..c.history.checkpoint(10) };
        c.set.text = later.text().unwrap();
    }),
    ("a path hash of the set", ErrorCode::GrantInclusion, |c| {
        c.set.delivery.desired.path[0] = Digest([9; 32]);
    }),
    ("a path hash of a grant", ErrorCode::GrantInclusion, |c| {
        c.set.delivery.grants[1].path[0] = Digest([9; 32]);
    }),
    ("an index", ErrorCode::GrantInclusion, |c| c.set.delivery.grants[0].index += 1),
    ("a grant that was never logged", ErrorCode::GrantInclusion, |c| {
        let grant = Grant { gpus: 2, ..c.federation.grant(10, 0) };
        let body = Body::Grant(Box::new(grant));
        let record = Record { revision: Revision(10), time: NOW, body };
        c.set.delivery.grants[0].record = record.bytes().unwrap();
    }),
    ("no consistency proof", ErrorCode::GrantRollback, |c| c.set.consistency = None),
    ("a proof from another size", ErrorCode::GrantRollback, |c| {
        c.set.consistency = Some(c.history.consistency(4));
    }),
    ("a proof hash", ErrorCode::GrantRollback, |c| {
        c.set.consistency.as_mut().unwrap().proof[0] = Digest([9; 32]);
    }),
    ("a stored head of another history", ErrorCode::GrantRollback, |c| {
        let head = Head { root: Digest([9; 32]), ..c.ledger.head() };
        let mut ledger = c.federation.ledger();
        ledger.accept(empty(head, 5));
        c.ledger = ledger;
    }),
    ("a larger stored head", ErrorCode::GrantRollback, |c| {
        let head = Head { size: c.history.head().size + 1, root: Digest([9; 32]) };
        c.ledger.accept(empty(head, 5));
    }),
    ("the same size with another root", ErrorCode::GrantRollback, |c| {
        let head = Head { root: Digest([9; 32]), ..c.history.head() };
        c.ledger.accept(empty(head, 5));
    }),
    ("a grant left out", ErrorCode::GrantSet, |c| {
        c.set.delivery.grants.pop();
    }),
    ("a grant twice", ErrorCode::GrantSet, |c| {
        c.set.delivery.grants[1] = c.set.delivery.grants[0].clone();
    }),
    ("another order", ErrorCode::GrantSet, |c| c.set.delivery.grants.reverse()),
    ("sets of two moments", ErrorCode::GrantSet, |c| {
        let old = c.set.delivery.grants.clone();
        let new = c.history.desire(11, &[c.federation.grant(11, 0)]);
        c.set = c.history.signed(&new, 11, c.ledger.head().size);
        let reproved = c.history.desire(12, &[c.federation.grant(10, 0)]);
        c.set.delivery.grants = vec![Proved {
            record: old[0].record.clone(),
            ..c.history.deliver(&reproved).grants[0].clone()
        }];
        let (text, lines) = c.history.sign(12, &[1, 2]);
        let desired = c.history.deliver(&new).desired;
        let consistency = Some(c.history.consistency(c.ledger.head().size));
        let delivery = crate::desired::Delivery { desired, ..c.set.delivery.clone() };
        c.set = SignedSet { text, lines, delivery, consistency };
    }),
    ("a grant from after the set", ErrorCode::GrantSet, |c| {
        let set = c.history.desire(9, &[c.federation.grant(10, 0)]);
        c.set = c.history.signed(&set, 11, c.ledger.head().size);
    }),
    ("another node's set", ErrorCode::GrantNotMine, |c| {
        let node = "ishikari-1/n-02".parse().unwrap();
        let desired = NodeDesired {
            cluster: c.federation.cluster,
            node,
            epoch: epoch(11),
            count: 0,
            hash: set_hash([]),
        };
        c.next_set(desired, vec![]);
    }),
    ("a set below the floor", ErrorCode::EpochFenced, |c| {
        let head = c.ledger.head();
        c.ledger.accept(empty(head, 11));
    }),
];

fn empty(head: Head, floor: u64) -> Accepted {
    Accepted {
        head,
        floor: epoch(floor),
        desired: BTreeSet::new(),
        named: BTreeSet::new(),
        adopt: vec![],
        refused: BTreeMap::new(),
    }
}

#[test]
fn every_mutation_of_a_set_rejects_it_whole_under_its_code() {
    for (what, code, mutate) in OF_THE_SET {
        let mut case = Case::sound();
        mutate(&mut case);
        let before = case.ledger.clone();
        let rejected = case.check().expect_err(what);
        assert_eq!(rejected.reason.code, *code, "{what}: {}", rejected.reason);
        assert_eq!(case.ledger, before);
    }
}

#[test]
fn a_rejected_set_names_what_gets_a_receipt() {
    let mut case = Case::sound();
    case.set.lines.clear();
    let digest = |ordinal| case.federation.grant(10, ordinal).digest().unwrap();
    let rejected = case.check().unwrap_err();
    let expected: BTreeMap<_, _> = ids(&[0, 1]).into_iter().zip([digest(0), digest(1)]).collect();
    assert_eq!(rejected.named, expected);
    case.set.delivery.grants[0].record.push(0);
    let named = case.check().unwrap_err().named;
    assert_eq!(named[&PlacementId { epoch: epoch(10), ordinal: 0 }], Digest::of(&[]), "unparsed");
}

type GrantMutation = (&'static str, ErrorCode, fn(&mut Grant));

/// Logged and signed like this by k operators, and still not for here.
const OF_A_GRANT: &[GrantMutation] = &[
    ("another node", ErrorCode::GrantNotMine, |g| g.node = "ishikari-1/n-02".parse().unwrap()),
    ("another key", ErrorCode::GrantNotMine, |g| g.node_key = Digest([8; 32])),
    ("another session", ErrorCode::GrantNotMine, |g| g.session = SessionId([6; 16])),
    ("an epoch at the floor", ErrorCode::EpochFenced, |g| g.placement.epoch = epoch(5)),
    ("another table", ErrorCode::TableMismatch, |g| g.table = Digest([8; 32])),
    ("another area", ErrorCode::ResidencyArea, |g| {
        g.rules[0].rules.areas = ["271403".to_owned().try_into().unwrap()].into();
    }),
    ("a denied area", ErrorCode::ResidencyArea, |g| {
        g.rules[0].rules.denied_areas = ["010006".to_owned().try_into().unwrap()].into();
    }),
    ("a retired area", ErrorCode::ResidencyArea, |g| {
        g.rules[0].rules.areas = ["221317".to_owned().try_into().unwrap()].into();
    }),
    ("other operators", ErrorCode::ResidencyOperator, |g| {
        g.rules[0].rules.operators = ["kanto".parse().unwrap()].into();
    }),
    ("a proof by landmarks that are not known here", ErrorCode::TableMismatch, |g| {
        g.rules[0].rules.country_tier = Tier::CountryProven;
    }),
    ("another class", ErrorCode::NoDevice, |g| g.class = "b200".parse().unwrap()),
    ("another island", ErrorCode::NoDevice, |g| g.island = 7),
    ("other units", ErrorCode::NoDevice, |g| g.units = 7),
    ("a share of what is not shared", ErrorCode::NoDevice, |g| {
        g.share = Some(Share { device: Digest::of(b"GPU-0"), with: Sharing::Any });
    }),
];

#[test]
fn every_mutation_of_a_grant_refuses_it_alone_under_its_code() {
    for (what, code, mutate) in OF_A_GRANT {
        let case = Case::with(mutate);
        let accepted = case.check().unwrap_or_else(|rejected| panic!("{what}: {rejected:?}"));
        let refused: Vec<_> = accepted.refused.values().map(|r| r.reason.code).collect();
        assert_eq!(refused, [*code], "{what}");
        assert_eq!((accepted.desired, accepted.adopt.len()), (ids(&[1]), 1), "{what}");
    }
}

#[test]
fn a_node_abroad_refuses_grants_that_k_operators_signed_for_it() {
    let mut case = Case::sound();
    case.standing = case.federation.standing("KR-26");
    let accepted = case.check().unwrap();
    assert!(accepted.adopt.is_empty());
    let reasons: Vec<_> = accepted.refused.values().map(|r| r.reason.to_string()).collect();
    assert_eq!(reasons, ["RESIDENCY_OUTSIDE_JP: this node's site tag names KR-26"; 2]);
}

#[test]
fn an_area_abroad_in_a_grant_that_k_operators_signed_is_refused_as_that() {
    let mut case = Case::sound();
    let good = Body::Grant(Box::new(case.federation.grant(11, 0)));
    let good = Record { revision: Revision(11), time: NOW, body: good }.bytes().unwrap();
    let abroad = grant_bytes_abroad(&case.federation.grant(11, 1), "KR-26");
    let records = vec![good, abroad];
    let hash = set_hash(records.iter().map(|record| read(record).unwrap().digest));
    let set = case.history.desire_raw(11, records, hash);
    case.set = case.history.signed(&set, 11, case.ledger.head().size);
    let accepted = case.check().unwrap();
    assert_eq!(accepted.adopt.len(), 1);
    let reasons: Vec<_> = accepted.refused.values().map(|r| r.reason.to_string()).collect();
    assert_eq!(reasons, ["RESIDENCY_OUTSIDE_JP: the grant names KR-26"]);
}

#[test]
fn an_expired_tag_establishes_nothing() {
    let mut case = Case::sound();
    case.now = case.standing.tag().expires;
    let refused = case.check().unwrap().refused;
    assert!(refused.values().all(|r| r.reason.code == ErrorCode::TagExpired) && refused.len() == 2);
}

#[test]
fn an_open_entry_may_be_fenced_and_of_an_older_session_but_not_another_grant() {
    let mut case = Case::sound();
    let accepted = case.check().unwrap();
    case.ledger.accept(accepted);
    case.ledger.session_opened(SessionId([6; 16]));
    let mut kept = vec![case.federation.grant(10, 0), case.federation.grant(10, 1)];
    let size = case.ledger.head().size;
    let set = case.history.desire(12, &kept);
    case.set = case.history.signed(&set, 12, size);
    let again = case.check().unwrap();
    assert_eq!((again.desired, again.adopt.len()), (ids(&[0, 1]), 0));
    kept[0].gpus = 2;
    let set = case.history.desire(13, &kept);
    case.set = case.history.signed(&set, 13, size);
    let forked = case.check().unwrap();
    assert_eq!((forked.desired, forked.refused.len()), (ids(&[1]), 0), "stopped by its absence");
}

#[test]
fn a_fenced_grant_is_refused_for_ever_without_an_open_entry() {
    let mut case = Case::sound();
    let accepted = case.check().unwrap();
    case.ledger.accept(accepted);
    let mut forgetful = case.federation.ledger();
    forgetful.accept(empty(case.ledger.head(), 10));
    case.ledger = forgetful;
    let codes: Vec<_> =
        case.check().unwrap().refused.into_values().map(|r| r.reason.code).collect();
    assert_eq!(codes, [ErrorCode::EpochFenced; 2]);
}

#[test]
fn what_was_refused_once_stays_refused() {
    let mut case = Case::with(|grant| grant.island = 7);
    let accepted = case.check().unwrap();
    case.ledger.accept(accepted);
    case.devices[3].island = 7;
    let again = case.check().unwrap();
    assert_eq!((again.desired, again.refused.len()), (ids(&[1]), 0));
}

#[test]
fn a_full_ledger_takes_no_set() {
    let mut case = Case::sound();
    let adopt: Vec<Grant> =
        (0..ENTRIES_MAX).map(|n| case.federation.grant(4, u32::try_from(n).unwrap())).collect();
    case.ledger.accept(Accepted { adopt, ..empty(case.ledger.head(), 5) });
    assert_eq!(case.check().unwrap_err().reason.code, ErrorCode::Overloaded);
}

#[test]
fn before_its_start_a_grant_is_judged_again_with_its_payload() {
    let federation = Federation::new();
    let (standing, devices) = (federation.standing("012351"), devices(1));
    let grant = federation.grant(10, 0);
    let location = &located();
    let host = Host { standing: &standing, location, devices: &devices, now: NOW };
    let (bundle, mut fetched) = (federation.bundle(), federation.fetched(&grant));
    assert_eq!(check_start(host, &bundle, &grant, &fetched), Ok(PAYLOAD.to_vec()));
    // Each fault is added to the ones before it, and comes before them in the list.
    fetched.payload = b"other".to_vec();
    let code = |host, grant: &Grant, fetched: &Fetched| {
        check_start(host, &bundle, grant, fetched).unwrap_err().code
    };
    assert_eq!(code(host, &grant, &fetched), ErrorCode::PayloadMismatch);
    fetched.submission.push(0);
    assert_eq!(code(host, &grant, &fetched), ErrorCode::GrantSubmission);
    let abroad = federation.standing("KR");
    let host = Host { standing: &abroad, ..host };
    assert_eq!(code(host, &grant, &fetched), ErrorCode::ResidencyOutsideJp);
    let late = Host { now: standing.tag().expires, ..host };
    assert_eq!(code(late, &grant, &fetched), ErrorCode::TagExpired);
    let table = Grant { table: Digest([8; 32]), ..grant };
    assert_eq!(code(late, &table, &fetched), ErrorCode::TableMismatch);
}

#[test]
fn a_grant_that_k_operators_signed_starts_nothing_that_its_submitter_did_not_sign() {
    let federation = Federation::new();
    let (standing, devices, bundle) =
        (federation.standing("012351"), devices(4), federation.bundle());
    let location = &located();
    let host = Host { standing: &standing, location, devices: &devices, now: NOW };
    let signed = federation.grant(10, 0);
    let fetched = federation.fetched(&signed);
    let changes: [fn(&mut Grant); 5] = [
        |g| g.gpus = 2,
        |g| g.time_limit_s = 3601,
        |g| g.submitter = "naniwa/user/mallory".parse().unwrap(),
        |g| g.rules[0].rules.denied_operators = ["kanto".parse().unwrap()].into(),
        |g| g.submission = Digest([9; 32]),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut grant = signed.clone();
        change(&mut grant);
        let refused = check_start(host, &bundle, &grant, &fetched).unwrap_err();
        assert_eq!(refused.code, ErrorCode::GrantSubmission, "case {number}");
    }
    let mut other = bundle;
    other.operators[2].issuers = other.operators[1].issuers.clone();
    let refused = check_start(host, &other, &signed, &fetched).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "GRANT_SUBMISSION: operator naniwa does not vouch for the submitter's key"
    );
}

/// A3, D4: the signature is under the whole batch, and stands for each of its commands at its own place alone.
#[test]
fn a_job_of_a_batch_starts_by_its_place_and_another_by_none() {
    let federation = Federation::new();
    let (standing, devices, bundle) =
        (federation.standing("012351"), devices(1), federation.bundle());
    let location = &located();
    let host = Host { standing: &standing, location, devices: &devices, now: NOW };
    let check = |submission: &Submission| {
        let grant = Grant { submission: submission.digest().unwrap(), ..federation.grant(10, 0) };
        let fetched =
            Fetched { submission: submission.bytes().unwrap(), ..federation.fetched(&grant) };
        check_start(host, &bundle, &grant, &fetched)
    };
    let alone = federation.grant(10, 0);
    for (index, size) in [(0, 1), (0, 2), (1, 3), (127, 128)] {
        let signed = federation.of_batch(&alone, index, size);
        assert_eq!(check(&signed), Ok(PAYLOAD.to_vec()), "{index} of {size}");
        // What was signed is for another job of the batch, for none of it, or for this job outside of any batch.
        let mut swapped = signed.clone();
        swapped.place = federation.of_batch(&alone, index + 1, size + 1).place;
        let mut shifted = signed.clone();
        if let Some(place) = &mut shifted.place {
            place.index += 1;
        }
        let mut greedy = signed.clone();
        greedy.facts.priority = 100;
        let lone = Submission { place: None, ..signed };
        for (case, bad) in [swapped, shifted, greedy, lone].iter().enumerate() {
            let refused = check(bad).unwrap_err();
            assert_eq!(refused.code, ErrorCode::GrantSubmission, "{index} of {size}, case {case}");
        }
    }
    let beyond = check(&federation.of_batch(&alone, 0, 129)).unwrap_err();
    assert_eq!(
        beyond.to_string(),
        "GRANT_SUBMISSION: the submission is not in the batch that it names"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// No flipped bit in any record lets a grant in that was not logged.
    #[test]
    fn a_flipped_bit_never_adds_a_grant(which in 0usize..3, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut case = Case::sound();
        let delivery = &mut case.set.delivery;
        let record = match which {
            0 => &mut delivery.desired.record,
            n => &mut delivery.grants[n - 1].record,
        };
        let at = at.index(record.len());
        record[at] ^= 1 << bit;
        prop_assert!(case.check().is_err());
    }
}
