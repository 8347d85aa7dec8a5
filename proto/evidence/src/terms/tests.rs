//! Each way in which a bundle can tell another change than the one that was agreed.

use super::*;
use crate::bundle::{Endorser, OperatorSignature};
use crate::genesis::{Genesis, SignedGenesis};
use crate::key::SigningKey;
use crate::operator::{BackupKey, BundleRoot, Keys};
use sekisho_types::id::ClusterId;
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::principal::{Principal, Role, TrustDomain, Workload};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;

pub(crate) fn op(n: u8) -> OperatorId {
    format!("op-{n}").parse().unwrap()
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32])
}

/// The issuer of operator n.
fn issuer(n: u8) -> SigningKey {
    key(n)
}

pub(crate) fn root(n: u8) -> BundleRoot {
    BundleRoot { operator: op(n), der: vec![n; 3] }
}

pub(crate) fn keys(n: u8) -> OperatorKeys {
    OperatorKeys {
        operator: op(n),
        trust_domain: TrustDomain::parse(&format!("op-{n}.example")).unwrap(),
        issuers: Keys::one(issuer(n).public()),
        site_tags: Keys::one(key(n.saturating_add(50)).public()),
        roots: Keys::one(root(n).hash()),
        backups: Keys::one(BackupKey([n.saturating_add(100); 32])),
    }
}

pub(crate) fn member(n: u8, operator: u8) -> GenesisMember {
    GenesisMember {
        member: MemberId(n.into()),
        operator: op(operator),
        site: format!("site-{operator}").parse().unwrap(),
        address: format!("127.0.0.1:70{n:02}"),
    }
}

fn endorser(n: u8, operator: u8) -> Endorser {
    let public_key = key(n.saturating_add(150)).public();
    Endorser { operator: op(operator), member: MemberId(n.into()), public_key }
}

fn site(operator: u8) -> GenesisSite {
    GenesisSite {
        site: format!("site-{operator}").parse().unwrap(),
        operator: op(operator),
        area: Area::Japan,
        display_name: String::new(),
    }
}

fn admin(operator: u8) -> KeyRecord {
    KeyRecord {
        principal: Principal {
            operator: op(operator),
            workload: Workload::User { name: "admin".parse().unwrap() },
        },
        role: Role::FederationAdmin,
        public_key: key(operator.saturating_add(200)).public(),
        expires: Timestamp(9),
    }
}

/// Three operators with a member each, signed by all.
pub(crate) fn genesis() -> SignedGenesis {
    let numbers = [1, 2, 3];
    let bundle = EndorserBundle {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        version: 1,
        terms: Digest([0; 32]),
        k: 2,
        endorsers: numbers.map(|n| endorser(n, n)).to_vec(),
        operators: numbers.map(keys).to_vec(),
    };
    let genesis = Genesis {
        bundle,
        created: Timestamp(1),
        table: table_hash(),
        sites: numbers.map(site).to_vec(),
        members: numbers.map(|n| member(n, n)).to_vec(),
        keys: numbers.map(admin).to_vec(),
        roots: numbers.map(root).to_vec(),
        dev: true,
    };
    let bytes = genesis.bytes().unwrap();
    let sign = |n| OperatorSignature {
        operator: op(n),
        signature: issuer(n).sign(Purpose::Genesis, &bytes),
    };
    SignedGenesis { signatures: numbers.map(sign).to_vec(), genesis }
}

/// Agreed on by these operators, each with the key of this number.
pub(crate) fn agree(terms: Terms, bundle: EndorserBundle, by: &[(u8, u8)]) -> Agreement {
    let bytes = encode(&bundle).unwrap();
    let sign = |(n, with): &(u8, u8)| OperatorSignature {
        operator: op(*n),
        signature: key(*with).sign(Purpose::Bundle, &bytes),
    };
    let signatures = by.iter().map(sign).collect();
    Agreement { terms, signed: SignedBundle { bundle, signatures } }
}

fn held() -> EndorserBundle {
    genesis().genesis.bundle
}

pub(crate) fn member_comes(held: &EndorserBundle, n: u8, operator: u8) -> Agreement {
    let terms = Terms::AddMember(member(n, operator));
    let bundle = held.with(endorser(n, operator), terms.digest());
    let by: BTreeSet<(u8, u8)> = [(1, 1), (2, 2), (operator, operator)].into();
    agree(terms, bundle, &by.into_iter().collect::<Vec<_>>())
}

pub(crate) fn member_goes(held: &EndorserBundle, n: u8) -> Agreement {
    let terms = Terms::RemoveMember(MemberId(n.into()));
    let bundle = held.without(MemberId(n.into()), terms.digest());
    agree(terms, bundle, &[(1, 1), (2, 2)])
}

pub(crate) fn company_comes(held: &EndorserBundle, n: u8) -> Agreement {
    let record = admin(n);
    let by = issuer(n).sign(Purpose::KeyRecord, &encode(&record).unwrap());
    let terms = Terms::AddOperator(Box::new(Newcomer {
        operator: op(n),
        sites: vec![site(n)],
        admins: vec![IssuedKey { record, issuer: by }],
        root: root(n).der,
    }));
    let bundle = held.joined_by(keys(n), terms.digest());
    agree(terms, bundle, &[(1, 1), (2, 2), (n, n)])
}

fn rotate(operator: u8, rotation: Rotation) -> Terms {
    Terms::RotateOperator { operator: op(operator), rotation }
}

/// Operator 1 gets issuer 21 and root 9.
pub(crate) fn rotation_begins(held: &EndorserBundle, by: &[(u8, u8)]) -> Agreement {
    let mut own = keys(1);
    own.issuers = Keys { current: key(21).public(), other: Some(own.issuers.current) };
    own.roots = Keys { current: root(9).hash(), other: Some(own.roots.current) };
    let terms = rotate(1, Rotation::Begin { root: Some(root(9).der) });
    let bundle = held.replacing(own, terms.digest());
    agree(terms, bundle, by)
}

pub(crate) fn rotation_ends(
    held: &EndorserBundle,
    rotation: Rotation,
    by: &[(u8, u8)],
) -> Agreement {
    let own = held.keys(&op(1)).unwrap().settled(!matches!(rotation, Rotation::Abort));
    let terms = rotate(1, rotation);
    let bundle = held.replacing(own, terms.digest());
    agree(terms, bundle, by)
}

const UNRELATED: Result<(), BundleError> = Err(BundleError::Unrelated);

#[test]
fn a_member_comes_or_goes_and_nothing_else_changes() {
    let held = held();
    assert_eq!(member_comes(&held, 4, 2).follows(&held), Ok(()));
    assert_eq!(member_goes(&held, 3).follows(&held), Ok(()));
    // The right bundle under other terms.
    let mut other = member_comes(&held, 4, 2);
    other.terms =
        Terms::AddMember(GenesisMember { address: "127.0.0.1:1".to_owned(), ..member(4, 2) });
    assert_eq!(other.follows(&held), UNRELATED);
    let mut other = member_comes(&held, 4, 2);
    other.terms = Terms::RemoveMember(MemberId(3));
    assert_eq!(other.follows(&held), UNRELATED);
    // A key replaced in the shape of a newcomer, a foreign operator's member, a second change beside the first.
    let again = Terms::AddMember(member(2, 2));
    let replaced = held.without(MemberId(2), again.digest());
    let mut replaced = EndorserBundle { version: 1, ..replaced }
        .with(Endorser { member: MemberId(2), ..endorser(4, 2) }, again.digest());
    replaced.k = 2;
    assert_eq!(agree(again, replaced, &[(1, 1), (2, 2)]).follows(&held), UNRELATED);
    let terms = Terms::AddMember(member(4, 2));
    let foreign =
        agree(terms.clone(), held.with(endorser(4, 1), terms.digest()), &[(1, 1), (2, 2)]);
    assert_eq!(foreign.follows(&held), UNRELATED);
    let mut swapped = held.with(endorser(4, 2), terms.digest());
    swapped.operators[0].issuers = Keys::one(key(99).public());
    let swapped = agree(terms.clone(), swapped, &[(1, 1), (2, 2)]);
    assert_eq!(swapped.follows(&held), UNRELATED);
    let mut dropped = held.with(endorser(4, 2), terms.digest());
    dropped.endorsers.remove(0);
    assert_eq!(agree(terms.clone(), dropped, &[(1, 1), (2, 2)]).follows(&held), UNRELATED);
    let one = agree(terms.clone(), held.with(endorser(4, 2), terms.digest()), &[(2, 2)]);
    assert_eq!(one.follows(&held), Err(BundleError::Signatures { have: 1, need: 2 }));
    // Two others may not say which key speaks for a company.
    let terms = Terms::AddMember(member(4, 3));
    let behind_its_back =
        agree(terms.clone(), held.with(endorser(4, 3), terms.digest()), &[(1, 1), (2, 2)]);
    assert_eq!(behind_its_back.follows(&held), Err(BundleError::Party(op(3))));
    let mut flood = member_comes(&held, 4, 2);
    flood.signed.signatures = vec![flood.signed.signatures[0].clone(); BUNDLE_SIGNATURES_MAX + 1];
    assert!(matches!(flood.follows(&held), Err(BundleError::Malformed(_))));
}

#[test]
fn a_company_comes_with_its_own_signature_and_goes_when_it_has_no_member() {
    let first = held();
    let comes = company_comes(&first, 4);
    assert_eq!(comes.follows(&first), Ok(()));
    let held = &comes.signed.bundle;
    assert_eq!((held.k, held.operators.len()), (2, 4));
    let mut unasked = comes.clone();
    unasked.signed.signatures.retain(|s| s.operator != op(4));
    assert_eq!(unasked.follows(&first), Err(BundleError::Party(op(4))));
    // The newcomer's own word does not count for those who take it in.
    let mut alone = comes.clone();
    alone.signed.signatures.remove(0);
    assert_eq!(alone.follows(&first), Err(BundleError::Signatures { have: 1, need: 2 }));
    let Terms::AddOperator(mut newcomer) = comes.terms.clone() else { panic!() };
    newcomer.root = root(5).der;
    let terms = Terms::AddOperator(newcomer);
    let other = first.joined_by(keys(4), terms.digest());
    assert_eq!(agree(terms, other, &[(1, 1), (2, 2), (4, 4)]).follows(&first), UNRELATED);

    let goes = |n: u8| {
        let terms = Terms::RemoveOperator(op(n));
        let bundle = held.left_by(&op(n), terms.digest());
        agree(terms, bundle, &[(1, 1), (2, 2)])
    };
    assert_eq!(goes(4).follows(held), Ok(()));
    assert!(goes(3).follows(held).is_err(), "its member still signs");
    assert_eq!(goes(5).follows(held), UNRELATED);
}

#[test]
fn keys_are_replaced_with_an_overlap_by_their_owner_or_by_all_others() {
    let first = held();
    let own = [(1, 1), (1, 21), (2, 2)];
    let begun = rotation_begins(&first, &own);
    assert_eq!(begun.follows(&first), Ok(()));
    let without = |by: &[(u8, u8)]| rotation_begins(&first, by).follows(&first);
    assert_eq!(without(&[(1, 1), (2, 2)]), Err(BundleError::Party(op(1))), "not by the new issuer");
    assert_eq!(without(&[(1, 21), (2, 2)]), Err(BundleError::Signatures { have: 1, need: 2 }));
    assert_eq!(
        without(&[(1, 21), (2, 2), (3, 3)]),
        Ok(()),
        "the old issuer is lost, all others agree"
    );
    let mut four = company_comes(&first, 4).signed.bundle;
    four.version = 1;
    let of_four = |by: &[(u8, u8)]| rotation_begins(&four, by).follows(&four);
    assert_eq!(of_four(&[(1, 21), (2, 2), (3, 3)]), Err(BundleError::Party(op(1))));
    assert_eq!(of_four(&[(1, 21), (2, 2), (3, 3), (4, 4)]), Ok(()));

    let held = &begun.signed.bundle;
    let finish = Rotation::Finish { accept_stranded: false };
    let ended = |rotation: &Rotation, by: &[(u8, u8)]| {
        let agreement = rotation_ends(held, rotation.clone(), by);
        (agreement.follows(held), agreement.signed.bundle.keys(&op(1)).unwrap().issuers.current)
    };
    assert_eq!(ended(&finish, &[(1, 21), (2, 2)]), (Ok(()), key(21).public()));
    assert_eq!(ended(&Rotation::Abort, &[(1, 1), (3, 3)]), (Ok(()), key(1).public()));
    assert_eq!(ended(&finish, &[(2, 2), (3, 3)]).0, Ok(()));
    let again = rotation_begins(held, &own);
    assert_eq!(again.follows(held), UNRELATED, "one rotation at a time");
    let finished = rotation_ends(held, finish.clone(), &[(1, 21), (2, 2)]).signed.bundle;
    let twice = rotation_ends(&finished, finish, &[(1, 21), (2, 2)]);
    assert_eq!(twice.follows(&finished), UNRELATED);
    // A root that the terms do not carry, or one that they carry for nothing.
    let Terms::RotateOperator { .. } = &begun.terms else { panic!() };
    for root in [None, Some(root(8).der)] {
        let terms = rotate(1, Rotation::Begin { root });
        let bundle = first.replacing(held.keys(&op(1)).unwrap().clone(), terms.digest());
        assert_eq!(agree(terms, bundle, &own).follows(&first), UNRELATED);
    }
}
