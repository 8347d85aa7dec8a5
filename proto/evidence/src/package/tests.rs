//! A chain of bundles that somebody else hands over.

use super::*;
use crate::terms::tests::{
    company_comes, genesis, member, member_comes, member_goes, op, root, rotation_begins,
    rotation_ends,
};

/// A member comes, a company comes, the first one replaces its issuer and root, a member goes.
fn package() -> TrustPackage {
    let genesis = genesis();
    let mut at = genesis.genesis.bundle.clone();
    let mut steps = Vec::new();
    let own = [(1, 1), (1, 21), (2, 2)];
    for step in [
        |held: &EndorserBundle| member_comes(held, 5, 2),
        |held: &EndorserBundle| company_comes(held, 4),
        |held: &EndorserBundle| member_goes(held, 3),
    ] {
        let agreement = step(&at);
        at = agreement.signed.bundle.clone();
        steps.push(Arc::new(agreement));
    }
    let begun = rotation_begins(&at, &own);
    at = begun.signed.bundle.clone();
    steps.push(Arc::new(begun));
    let finish = Rotation::Finish { accept_stranded: false };
    steps.push(Arc::new(rotation_ends(&at, finish, &[(1, 21), (2, 2)])));
    let members = vec![member(1, 1), member(2, 2), member(5, 2)];
    TrustPackage { genesis: Arc::new(genesis), steps, members }
}

fn bundle(package: &TrustPackage, version: usize) -> EndorserBundle {
    match version.checked_sub(2) {
        None => package.genesis.genesis.bundle.clone(),
        Some(step) => package.steps[step].signed.bundle.clone(),
    }
}

#[test]
fn it_leads_on_from_any_bundle_on_the_way() {
    let package = package();
    let read = TrustPackage::open(&package.bytes().unwrap()).unwrap();
    assert_eq!(read, package);
    for version in 1..=6 {
        let trust = read.walk(&bundle(&package, version)).unwrap();
        assert_eq!(trust.bundle, bundle(&package, 6));
        let mut roots = [9, 2, 3, 4].map(root).to_vec();
        roots[0].operator = op(1);
        assert_eq!(trust.roots, roots, "the old root of operator 1 counts no longer");
    }
    let mut early = package.clone();
    early.steps.truncate(4);
    let trust = early.walk(&bundle(&package, 1)).unwrap();
    assert_eq!(trust.roots.len(), 5, "both roots while one replaces the other");
    let older = early.walk(&bundle(&package, 6));
    assert_eq!(older, Err(PackageError::Older { ends: 5, held: 6 }));
}

#[test]
fn what_skips_reorders_forges_or_branches_leads_nowhere() {
    let whole = package();
    let first = bundle(&whole, 1);
    let refused = |alter: &dyn Fn(&mut TrustPackage)| {
        let mut package = whole.clone();
        alter(&mut package);
        package.walk(&first).unwrap_err()
    };
    let step = |error| matches!(error, PackageError::Step { .. });
    assert!(step(refused(&|p| drop(p.steps.remove(1)))));
    assert!(step(refused(&|p| p.steps.swap(0, 1))));
    assert!(step(refused(&|p| {
        let forged = Arc::make_mut(&mut p.steps[2]);
        forged.signed.signatures.truncate(1);
    })));
    assert!(matches!(refused(&|p| drop(p.members.pop())), PackageError::Parts("members")));
    assert!(matches!(refused(&|p| p.members[0].operator = op(2)), PackageError::Parts(_)));
    // Whom a certificate has to name is signed; where it is found is not.
    for at in [0, 2] {
        let elsewhere = refused(&|p| p.members[at].site = "nowhere-1".parse().unwrap());
        assert_eq!(elsewhere, PackageError::Parts("sites"));
    }
    let unsigned = refused(&|p| Arc::make_mut(&mut p.genesis).signatures.truncate(2));
    assert_eq!(unsigned, PackageError::Genesis(GenesisError::Unsigned(op(3))));

    // Signed well, but not what the holder holds.
    let branch = member_comes(&first, 6, 3).signed.bundle;
    assert_eq!(whole.walk(&branch), Err(PackageError::Branch(2)));
    let mut stranger = first;
    stranger.cluster.0[0] ^= 1;
    assert_eq!(whole.walk(&stranger), Err(PackageError::Branch(1)));
}

#[test]
fn no_changed_byte_passes_for_the_same_package() {
    let package = package();
    let (bytes, first) = (package.bytes().unwrap(), bundle(&package, 1));
    let good = package.walk(&first).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(read) = TrustPackage::open(&changed) else { continue };
        // An address or a signature beyond those needed may differ; whom it names may not.
        if let Ok(trust) = read.walk(&first) {
            assert_eq!((trust.bundle, trust.roots), (good.bundle.clone(), good.roots.clone()));
        }
    }
    assert_eq!(TrustPackage::open(b"{}"), Err(PackageError::Format));
    assert_eq!(TrustPackage::open(&vec![0; PACKAGE_MAX + 1]), Err(PackageError::TooLarge));
}
