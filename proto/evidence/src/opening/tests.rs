//! Who may open an incarnation, and how those who were away come to it.

use super::*;
use crate::bundle::Endorser;
use crate::key::SigningKey;
use crate::package::{PackageError, TrustPackage, begun};
use crate::terms::tests::{agree, genesis, member, member_comes, member_goes, op};
use crate::terms::{Agreement, Terms};
use sekisho_types::id::MemberId;
use std::sync::Arc;

fn founder(number: u64, operator: u8) -> GenesisMember {
    GenesisMember { member: MemberId(number), ..member(1, operator) }
}

fn endorser(founder: &GenesisMember, seed: u8) -> Endorser {
    let public_key = SigningKey::from_seed(&[seed; 32]).public();
    Endorser { operator: founder.operator.clone(), member: founder.member, public_key }
}

fn opening(founders: Vec<GenesisMember>) -> Opening {
    let last = LastLog { term: 3, leader: MemberId(1), index: 9 };
    let head = Head { size: 4, root: Digest([4; 32]) };
    Opening {
        cause: Cause::Restored,
        opened: Timestamp(5),
        restored: Restored { revision: Revision(9), last, head, image: Digest([7; 32]) },
        highest: None,
        founders,
        withdrawn: Withdrawn::default(),
        keys: Vec::new(),
        accept_quorum_in_one_hand: false,
    }
}

/// A founder of each of operators 1 and 2, signed by these.
pub(crate) fn opens(held: &EndorserBundle, by: &[(u8, u8)]) -> Agreement {
    let mut numbers = held.incarnation.0.saturating_mul(1000).saturating_add(1)..;
    let founders = [1, 2].map(|operator| founder(numbers.next().unwrap(), operator));
    let opening = opening(founders.to_vec());
    let seeds = u8::try_from(held.incarnation.0).unwrap().saturating_mul(10).saturating_add(200)..;
    let endorsers = opening.founders.iter().zip(seeds).map(|(f, seed)| endorser(f, seed)).collect();
    let terms = Terms::Open(Box::new(opening));
    let bundle = held.opened(endorsers, terms.digest());
    agree(terms, bundle, by)
}

fn altered(held: &EndorserBundle, how: impl FnOnce(&mut Opening)) -> Agreement {
    let by = [(1, 1), (2, 2), (3, 3)];
    let Agreement { terms, signed } = opens(held, &by);
    let Terms::Open(mut opening) = terms else { panic!() };
    how(&mut opening);
    let numbered: Vec<_> =
        opening.founders.iter().zip(240..).map(|(f, n)| endorser(f, n)).collect();
    drop(signed);
    let terms = Terms::Open(opening);
    let bundle = held.opened(numbered, terms.digest());
    agree(terms, bundle, &by)
}

#[test]
fn it_is_opened_by_every_company_with_a_founder_and_changes_nothing_else() {
    let held = genesis().genesis.bundle;
    let both = [(1, 1), (2, 2)];
    let opened = opens(&held, &both);
    assert_eq!(opened.follows(&held), Ok(()));
    let bundle = &opened.signed.bundle;
    assert_eq!((bundle.incarnation, bundle.version, bundle.k), (Incarnation(2), 2, 2));
    assert_eq!(bundle.operators, held.operators);
    // Two of three others agree, but not who has a founder in it.
    let party = opens(&held, &[(1, 1), (3, 3)]).follows(&held);
    assert_eq!(party, Err(BundleError::Party(op(2))));
    let one = opens(&held, &[(1, 1)]).follows(&held);
    assert_eq!(one, Err(BundleError::Signatures { have: 1, need: 2 }));
    let mut other = opened.clone();
    let Terms::Open(told) = &mut other.terms else { panic!() };
    told.restored.image = Digest([8; 32]);
    assert_eq!(other.follows(&held), Err(BundleError::Unrelated));
    let mut keys = opened.clone();
    keys.signed.bundle.operators[2].issuers = held.operators[1].issuers.clone();
    assert_eq!(keys.follows(&held), Err(BundleError::Malformed("a key or root stands twice")));
    let mut skipped = opened;
    skipped.signed.bundle.incarnation = Incarnation(3);
    assert_eq!(skipped.follows(&held), Err(BundleError::WrongCluster));
}

#[test]
fn a_founder_has_a_new_number_and_a_new_key() {
    let held = genesis().genesis.bundle;
    let refused = |how: &dyn Fn(&mut Opening)| altered(&held, how).follows(&held);
    assert_eq!(refused(&|_| ()), Ok(()));
    let malformed = |result| matches!(result, Err(BundleError::Malformed(_)));
    assert!(malformed(refused(&|o| o.founders[0].member = MemberId(7))));
    assert!(malformed(refused(&|o| o.founders[1].member = MemberId(2000))));
    assert!(refused(&|o| o.founders.clear()).is_err());
    assert!(refused(&|o| o.founders.swap(0, 1)).is_err());
    // One company alone is fewer than k.
    assert_eq!(refused(&|o| drop(o.founders.pop())), Err(BundleError::Threshold(2)));
    let old = {
        let opened = opens(&held, &[(1, 1), (2, 2)]);
        let mut endorsers = opened.signed.bundle.endorsers.clone();
        endorsers[0].public_key = held.endorsers[0].public_key;
        agree(
            opened.terms.clone(),
            held.opened(endorsers, opened.terms.digest()),
            &[(1, 1), (2, 2)],
        )
    };
    assert_eq!(old.follows(&held), Err(BundleError::Unrelated), "the key signed in the old life");
}

/// A member comes, the federation is opened anew twice, a member comes and goes.
#[test]
fn who_was_away_is_led_over_openings_and_a_rival_one_is_a_branch() {
    let genesis = genesis();
    let both = [(1, 1), (2, 2)];
    let mut bundles = vec![genesis.genesis.bundle.clone()];
    let mut steps: Vec<Agreement> = Vec::new();
    let mut step = |of: &dyn Fn(&EndorserBundle) -> Agreement| {
        let agreement = of(bundles.last().unwrap());
        bundles.push(agreement.signed.bundle.clone());
        steps.push(agreement);
    };
    step(&|held| member_comes(held, 5, 2));
    step(&|held| opens(held, &both));
    step(&|held| member_goes(held, 9));
    step(&|held| opens(held, &both));
    let members = vec![founder(2001, 1), founder(2002, 2)];
    let package = |steps: &[Agreement]| TrustPackage {
        genesis: Arc::new(genesis.clone()),
        steps: steps.iter().cloned().map(Arc::new).collect(),
        members: members.clone(),
    };
    let whole = package(&steps);
    for held in &bundles {
        let trust = whole.walk(held).unwrap();
        assert_eq!((trust.bundle.incarnation, trust.bundle.version), (Incarnation(3), 5));
        assert_eq!(trust.opened.as_deref(), steps.last());
        assert_eq!(trust.begun(&genesis), trust.bundle.hash().unwrap());
        assert_ne!(trust.begun(&genesis), begun(&genesis, Some(&steps[1])));
    }
    let older = package(&steps[..1]).walk(&bundles[2]);
    assert_eq!(older, Err(PackageError::Older { ends: 2, held: 3 }));
    // The same incarnation, opened from another backup.
    let rival = altered(&bundles[1], |o| o.restored.image = Digest([9; 32]));
    assert_eq!(rival.follows(&bundles[1]), Ok(()));
    assert_eq!(whole.walk(&rival.signed.bundle), Err(PackageError::Branch(3)));
}
