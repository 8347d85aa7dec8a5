//! To whom a payload is sealed, and who is not believed.

use super::*;
use sekisho_evidence::package::TrustPackage;
use sekisho_fsm::testing::sealed::{site_key, site_key_record};
use sekisho_fsm::testing::{Federation, genesis, key};
use std::collections::BTreeSet;

fn shown(site: &str, key: Option<&SignedSiteKey>) -> v1::Site {
    let record = site_key_record(site, 1);
    v1::Site {
        name: format!("sites/{site}"),
        operator: record.operator.to_string(),
        area: record.area.to_string(),
        sealing_key: key.map(|key| key.bytes().unwrap()).unwrap_or_default().into(),
        ..v1::Site::default()
    }
}

fn rules(areas: &[&str]) -> Rules {
    let areas: BTreeSet<Area> = areas.iter().map(|area| Area::resolve(area).unwrap()).collect();
    Rules { areas, ..Rules::default() }
}

fn sites(shown: &[v1::Site]) -> Sites {
    let bundle = genesis().genesis.bundle;
    let told = shown.iter().map(|site| told(site, Some(&bundle)).unwrap()).collect();
    Sites { told, members: genesis().genesis.members }
}

/// Names of the sites that rules allow: with a key, and without one.
fn allowed(sites: &Sites, rules: &[Rules]) -> (Vec<String>, Vec<String>) {
    let (with, without) = sites.allowed(rules);
    (with.iter().map(|record| record.key.site.to_string()).collect(), without)
}

#[test]
fn a_key_counts_under_its_operators_signature_alone() {
    let bundle = genesis().genesis.bundle;
    let counts = |signed: &SignedSiteKey| {
        told(&shown("tokyo-1", Some(signed)), Some(&bundle)).unwrap().key.is_some()
    };
    assert!(counts(&site_key("tokyo-1", 1)));
    // A member's own key in the place of the site's, by whatever key it has.
    for by in ["issuer/kanto", "site-tag/hokuto", "checkpoint/2"] {
        let (purpose, of) = by.split_once('/').unwrap();
        let forged = site_key_record("tokyo-1", 1).sign(&key(purpose, of)).unwrap();
        assert!(!counts(&forged), "{by}");
    }
    let mut moved = site_key("tokyo-1", 1);
    moved.record.area = Area::resolve("012351").unwrap();
    assert!(!counts(&moved));
    // Another site's key, good in itself.
    assert!(!counts(&site_key("sakai-1", 1)));
    let unpinned = told(&shown("tokyo-1", Some(&site_key("tokyo-1", 1))), None).unwrap();
    assert!(unpinned.key.is_none());
}

#[test]
fn recipients_are_the_sites_that_every_rule_allows() {
    let all = ["ishikari-1", "tokyo-1", "sakai-1"];
    let known = sites(&all.map(|site| shown(site, Some(&site_key(site, 1)))));
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(allowed(&known, &[Rules::default()]), (named(&all), vec![]));
    assert_eq!(allowed(&known, &[rules(&["JP-01"])]).0, named(&["ishikari-1"]));
    assert_eq!(allowed(&known, &[rules(&["JP-01"]), rules(&["JP-13"])]).0, named(&[]));
    let denied = Rules { denied_areas: rules(&["JP-27"]).areas, ..Rules::default() };
    assert_eq!(allowed(&known, &[denied]).0, named(&["ishikari-1", "tokyo-1"]));
    let own = Rules { operators: ["naniwa".parse().unwrap()].into(), ..Rules::default() };
    assert_eq!(allowed(&known, &[own]).0, named(&["sakai-1"]));
    let without = Rules { denied_operators: ["kanto".parse().unwrap()].into(), ..Rules::default() };
    assert_eq!(allowed(&known, &[without]).0, named(&["ishikari-1", "sakai-1"]));
    let keyless = sites(&[shown("tokyo-1", None)]);
    assert_eq!(allowed(&keyless, &[rules(&["JP-13"])]), (vec![], named(&["tokyo-1"])));
    assert_eq!(allowed(&keyless, &[rules(&["JP-01"])]), (vec![], vec![]));
}

/// What a member says of a site's place does not make it a recipient: its operator's signature says where it stands.
#[test]
fn a_member_cannot_move_a_site_into_an_allowed_area() {
    let mut lie = shown("sakai-1", Some(&site_key("sakai-1", 1)));
    lie.area = "012351".to_owned();
    lie.operator = "hokuto".to_owned();
    assert_eq!(allowed(&sites(&[lie]), &[rules(&["JP-01"])]), (vec![], vec![]));
}

/// Who keeps what stays in its area stands wholly inside it, at a site that can read it, and is who the site's operator says.
#[test]
fn keepers_stand_wholly_inside_by_signed_word() {
    let all = ["ishikari-1", "tokyo-1", "sakai-1"];
    let known = sites(&all.map(|site| shown(site, Some(&site_key(site, 1)))));
    let keepers = |known: &Sites, rules: &[Rules]| {
        let (with, _) = known.allowed(rules);
        let keepers = known.keepers(&with, rules, sekisho_fsm::testing::BEGIN);
        keepers.iter().map(|member| member.member.0).collect::<Vec<_>>()
    };
    assert_eq!(keepers(&known, &[Rules::default()]), [1, 2, 3]);
    assert_eq!(keepers(&known, &[rules(&["JP-01"])]), [1]);
    assert_eq!(keepers(&known, &[rules(&["JP-01", "JP-27"]), rules(&["JP-27"])]), [3]);
    assert_eq!(keepers(&known, &[rules(&["JP-47"])]), [0; 0]);
    // A site of which only a part is allowed can run it, and keeps nothing of it.
    let mut broad = sites(&[shown("ishikari-1", Some(&site_key("ishikari-1", 1)))]);
    let key = broad.told[0].key.as_mut().unwrap();
    key.area = Area::resolve("JP-01").unwrap();
    assert_eq!(broad.allowed(&[rules(&["012351"])]).0.len(), 1);
    assert_eq!(keepers(&broad, &[rules(&["012351"])]), [0; 0]);
    // A member of another operator at a site's name is none of that site.
    let mut other = known;
    other.members[0].operator = "naniwa".parse().unwrap();
    assert_eq!(keepers(&other, &[rules(&["JP-01"])]), [0; 0]);
    // Who has no key that counts is no recipient, so keeps nothing.
    let unsigned = sites(&[shown("ishikari-1", None)]);
    assert_eq!(keepers(&unsigned, &[rules(&["JP-01"])]), [0; 0]);
}

#[test]
fn the_bundle_is_walked_from_the_pinned_one() {
    let federation = Federation::new();
    let package: TrustPackage = federation.state.federation().unwrap().package();
    let bundle = genesis().genesis.bundle;
    let pinned = bundle.hash().unwrap();
    assert_eq!(walked(&package, &pinned).unwrap().bundle, bundle);
    let refused = walked(&package, &Digest([7; 32])).unwrap_err();
    assert_eq!(refused.code, ErrorCode::BundleMismatch);
}
