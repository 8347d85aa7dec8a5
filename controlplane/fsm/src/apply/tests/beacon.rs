//! What the beacon of a site proves, what ends it, and what a policy makes of it.

use super::*;
use crate::eviction::Stay;
use crate::testing::location::NEAR_NS;
use sekisho_evidence::location::fix::FIX_AGE_MAX_MS;
use sekisho_evidence::tag::TagArea;
use sekisho_types::job::JobFacts;
use sekisho_types::limit::STALE_PROOF_GRACE;
use sekisho_types::residency::OnStaleProof;

const NODE: &str = "ishikari-1/n-01";

/// A delay that bounds a host to 226 km: not abroad, and perhaps in Aomori.
const FAR_NS: u64 = 1_500_000;

fn furnished() -> Federation {
    let mut f = Federation::furnished();
    f.beacon();
    f
}

fn node() -> NodeId {
    NODE.parse().unwrap()
}

fn tiers(f: &Federation) -> [Tier; 2] {
    invariant::check(&f.state).unwrap();
    let place = f.state.node(&node()).unwrap().place(f.state.clock());
    [place.country_tier, place.area_tier]
}

const T1: [Tier; 2] = [Tier::Tagged, Tier::Tagged];
const T2: [Tier; 2] = [Tier::CountryProven, Tier::Tagged];
const T3: [Tier; 2] = [Tier::SiteProven, Tier::SiteProven];

fn of_country(proof_f: u32) -> Rules {
    Rules { country_tier: Tier::SiteProven, proof_f, ..Rules::default() }
}

fn of_area(area_tier: Tier) -> Rules {
    let areas = [Area::resolve("JP-01").unwrap()].into();
    Rules { areas, area_tier, ..Rules::default() }
}

/// Places a job under these rules on the node; the code of its rejection.
fn placed(f: &mut Federation, name: &str, rules: Rules) -> Option<ErrorCode> {
    let id = f.submit(JobFacts { residency: rules.into(), ..job(name, 1, 1, &[]) });
    let Reply::Placed { rejected, .. } = f.place(&id, &[NODE]).outcome.unwrap() else {
        panic!("a plan was committed")
    };
    rejected.first().map(|(_, code)| *code)
}

fn wait(f: &mut Federation, ms: u64) {
    let until = f.now.plus_ms(ms);
    while f.now < until {
        f.now = until.min(f.now.plus_ms(10_000));
        f.accept(member("kanto"), Command::Tick);
    }
}

#[test]
fn its_operators_own_beacon_proves_the_site_and_no_f() {
    let mut f = furnished();
    let tier = Some(ErrorCode::ResidencyTier);
    assert_eq!(placed(&mut f, "before", of_country(0)), tier);
    f.prove_site(NODE, 1, NEAR_NS);
    assert_eq!(tiers(&f), T3);
    let proof = f.state.node(&node()).unwrap().proof.unwrap().proof;
    assert_eq!((proof.f, proof.prefecture), (0, Area::resolve("JP-01").ok()));
    assert_eq!(placed(&mut f, "alone", of_country(0)), None);
    assert_eq!(placed(&mut f, "two", of_country(1)), tier, "f is what T2 says");
    for area_tier in [Tier::CountryProven, Tier::SiteProven] {
        assert_eq!(
            placed(&mut f, &format!("area-{area_tier}").to_lowercase(), of_area(area_tier)),
            None
        );
    }
    // Another node of the site is not proven by it.
    let other: NodeId = "ishikari-1/n-02".parse().unwrap();
    assert_eq!(f.state.node(&other).unwrap().place(f.state.clock()).area_tier, Tier::Tagged);
    let aged = Rules { max_proof_age_s: Some(180), ..of_area(Tier::SiteProven) };
    assert_eq!(placed(&mut f, "young", aged.clone()), None);
    wait(&mut f, 240_000);
    assert_eq!(placed(&mut f, "old", aged), tier);
    wait(&mut f, FIX_AGE_MAX_MS - 240_000);
    assert_eq!(tiers(&f), T1);
    assert_eq!(placed(&mut f, "over", of_area(Tier::SiteProven)), tier);
}

#[test]
fn a_long_way_or_a_landmark_elsewhere_proves_the_country_alone() {
    let mut f = furnished();
    f.prove_site(NODE, 1, FAR_NS);
    assert_eq!(tiers(&f), T2);
    assert_eq!(placed(&mut f, "country", of_country(0)), Some(ErrorCode::ResidencyTier));
    assert_eq!(
        placed(&mut f, "area", of_area(Tier::CountryProven)),
        Some(ErrorCode::ResidencyTier)
    );
    wait(&mut f, 10_000);
    f.prove_site(NODE, 2, NEAR_NS);
    assert_eq!(tiers(&f), T3);
    // The landmarks of Tokyo bear other names than the site.
    f.landmarks();
    let node = f.prove("tokyo-1/n-01", 1);
    let place = f.state.node(&node).unwrap().place(f.state.clock());
    assert_eq!([place.country_tier, place.area_tier], T2);
}

#[test]
fn it_ends_with_its_session_with_the_beacon_and_with_another_area_on_the_tag() {
    let mut f = furnished();
    f.prove_site(NODE, 1, NEAR_NS);
    let removal = f.removal("hokuto/ishikari-1");
    f.accept(admin("hokuto"), removal);
    assert_eq!(tiers(&f), T1);
    let mut f = furnished();
    f.prove_site(NODE, 1, NEAR_NS);
    let held = f.state.node(&node()).unwrap().session.as_ref().unwrap().id;
    f.open(&node(), 4, Some(held));
    assert_eq!(tiers(&f), T1);
    let mut f = furnished();
    f.prove_site(NODE, 1, NEAR_NS);
    for (area, due) in [("022012", T2), ("JP", T2), ("011002", T3)] {
        let mut retagged = f.state.node(&node()).unwrap().clone();
        retagged.tag.area = TagArea::resolve(area).unwrap();
        let place = retagged.place(f.state.clock());
        assert_eq!([place.country_tier, place.area_tier], due, "{area}");
    }
}

#[test]
fn what_drains_leaves_some_time_after_only_the_country_is_proven() {
    let mut f = furnished();
    f.prove_site(NODE, 1, NEAR_NS);
    let drain = |on_stale_proof| Rules { on_stale_proof, ..of_area(Tier::SiteProven) };
    for (name, mode) in [("drains", OnStaleProof::Drain), ("keeps", OnStaleProof::Keep)] {
        assert_eq!(placed(&mut f, name, drain(mode)), None);
    }
    let stay = |f: &Federation, name: &str| {
        let id = format!("sapporo/{name}").parse().unwrap();
        f.state.residence(&f.placements(&id)[0]).unwrap().stay
    };
    assert_eq!(stay(&f, "drains"), Stay::Allowed);
    wait(&mut f, 60_000);
    f.prove_site(NODE, 2, FAR_NS);
    let grace = u64::try_from(STALE_PROOF_GRACE.as_millis()).unwrap();
    let due = Some(f.state.clock().plus_ms(grace));
    assert!(matches!(stay(&f, "drains"), Stay::Stale(_, until) if until == due));
    assert!(matches!(stay(&f, "keeps"), Stay::Stale(_, None)));
    wait(&mut f, grace);
    assert!(matches!(stay(&f, "drains"), Stay::Leaves(_)));
    assert!(matches!(stay(&f, "keeps"), Stay::Stale(_, None)));
    f.prove_site(NODE, 3, NEAR_NS);
    assert_eq!(stay(&f, "drains"), Stay::Allowed);
}
