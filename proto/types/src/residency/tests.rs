//! What rules allow, and what may be a rule.
#![expect(clippy::arithmetic_side_effects, reason = "test values are small")]

use super::*;

fn day() -> Date {
    Date::parse("2026-11-22").unwrap()
}
fn now() -> Timestamp {
    Timestamp(1_795_305_600_000)
}
fn place(area: &str) -> Place {
    Place {
        operator: "hokuto".parse().unwrap(),
        area: Area::resolve(area).ok(),
        country_tier: Tier::Tagged,
        area_tier: Tier::Tagged,
        proof: None,
    }
}
fn within(area: &str) -> Rules {
    Rules { areas: BTreeSet::from([Area::resolve(area).unwrap()]), ..Rules::default() }
}

#[test]
fn the_country_binds_even_without_any_rule() {
    assert_eq!(verdict(&place("012351"), &[], now()), Ok(()));
    assert_eq!(verdict(&place("KR-26"), &[], now()), Err(Denial::OutsideJapan));
    let claimed = Place { country_tier: Tier::Claimed, ..place("012351") };
    assert!(matches!(verdict(&claimed, &[], now()), Err(Denial::CountryTier { .. })));
}

#[test]
fn every_rule_set_must_allow() {
    let (hokkaido, osaka) = (within("JP-01"), within("JP-27"));
    let ishikari = place("012351");
    assert_eq!(verdict(&ishikari, &[&hokkaido], now()), Ok(()));
    assert!(matches!(verdict(&ishikari, &[&osaka], now()), Err(Denial::AreaNotAllowed(_))));
    assert!(matches!(
        verdict(&ishikari, &[&hokkaido, &osaka], now()),
        Err(Denial::AreaNotAllowed(_))
    ));
    let denied = Rules { denied_areas: within("012351").areas, ..hokkaido };
    assert!(matches!(verdict(&ishikari, &[&denied], now()), Err(Denial::AreaDenied(..))));
    let others =
        Rules { operators: BTreeSet::from(["kanto".parse().unwrap()]), ..Rules::default() };
    assert!(matches!(verdict(&ishikari, &[&others], now()), Err(Denial::Operator(_))));
    let strict = Rules { area_tier: Tier::SiteProven, ..Rules::default() };
    assert!(matches!(verdict(&ishikari, &[&strict], now()), Err(Denial::AreaTier { .. })));
}

#[test]
fn rules_that_lower_the_baseline_or_name_a_retired_code_may_not_be_stored() {
    let low = Rules { country_tier: Tier::Claimed, ..Rules::default() };
    assert_eq!(low.check(day()), Err(RulesError::BelowBaseline(Tier::Claimed)));
    let high = Rules { area_tier: Tier::Attested, ..Rules::default() };
    assert_eq!(high.check(day()), Err(RulesError::Unreachable(Tier::Attested)));
    assert!(matches!(
        within("221317").check(day()),
        Err(RulesError::Area(AreaError::Retired { .. }))
    ));
    assert_eq!(within("221384").check(day()), Ok(()));
}

fn proven(f: u32, age_s: u64) -> Place {
    let oldest = Timestamp(now().0 - age_s * 1000);
    Place {
        country_tier: Tier::CountryProven,
        proof: Some(PlaceProof { f, oldest, prefecture: None }),
        ..place("012351")
    }
}
fn t2(proof_f: u32, max_proof_age_s: Option<u64>) -> Rules {
    let country_tier = Tier::CountryProven;
    Rules { country_tier, proof_f, max_proof_age_s, ..Rules::default() }
}

#[test]
fn a_proof_counts_at_its_f_and_age_and_only_where_one_is_asked_for() {
    let judge = |place: &Place, rules: Rules| verdict(place, &[&rules], now());
    assert!(matches!(judge(&place("012351"), t2(0, None)), Err(Denial::CountryTier { .. })));
    let unproven = Place { proof: None, ..proven(1, 0) };
    assert!(matches!(judge(&unproven, t2(0, None)), Err(Denial::CountryTier { .. })));
    assert_eq!(judge(&proven(1, 3000), t2(1, None)), Ok(()));
    assert_eq!(judge(&proven(0, 0), t2(0, None)), Ok(()));
    assert_eq!(judge(&proven(0, 0), t2(1, None)), Err(Denial::ProofF { have: 0, want: 1 }));
    assert_eq!(judge(&proven(1, 600), t2(1, Some(600))), Ok(()));
    let old = Err(Denial::ProofAge { have_s: 601, want_s: 600 });
    assert_eq!(judge(&proven(1, 601), t2(1, Some(600))), old);
    // T1 asks for no proof, whatever else its rules say.
    let tagged = Rules { country_tier: Tier::Tagged, ..t2(9, Some(180)) };
    assert_eq!(judge(&place("012351"), tagged), Ok(()));
}

#[test]
fn a_rule_of_the_area_asks_for_a_proof_of_the_site_and_its_age_and_not_for_f() {
    let judge = |place: &Place, rules: Rules| verdict(place, &[&rules], now());
    let of_area =
        |area_tier, max_proof_age_s| Rules { area_tier, max_proof_age_s, ..Rules::default() };
    let site = |f, age_s| Place {
        country_tier: Tier::SiteProven,
        area_tier: Tier::SiteProven,
        ..proven(f, age_s)
    };
    for tier in [Tier::CountryProven, Tier::SiteProven] {
        let want = of_area(tier, Some(600));
        assert_eq!(want.check(day()), Ok(()));
        assert!(want.wants_site() && want.wants_proof() && want.enough_f(0));
        assert_eq!(judge(&site(0, 600), want.clone()), Ok(()));
        let old = Err(Denial::ProofAge { have_s: 601, want_s: 600 });
        assert_eq!(judge(&site(0, 601), want.clone()), old);
        let country = Err(Denial::AreaTier { have: Tier::Tagged, want: tier });
        assert_eq!(judge(&proven(1, 0), want.clone()), country);
        // A tier without a proof proves nothing.
        let bare = Place { proof: None, ..site(1, 0) };
        let none = Err(Denial::AreaTier { have: Tier::BASELINE, want: tier });
        assert_eq!(judge(&bare, want), none);
    }
    let both = Rules { country_tier: Tier::SiteProven, ..Rules::default() };
    assert!(both.wants_site() && !both.enough_f(0) && both.enough_f(1));
    assert_eq!(judge(&site(0, 0), both.clone()), Err(Denial::ProofF { have: 0, want: 1 }));
    assert_eq!(judge(&site(1, 0), both), Ok(()));
    assert!(!t2(0, None).wants_site());
}

#[test]
fn rules_about_proofs_that_bind_nothing_or_nobody_may_not_be_stored() {
    let check = |rules: Rules| rules.check(day());
    assert_eq!(check(t2(0, Some(180))), Ok(()));
    assert_eq!(check(t2(16, None)), Err(RulesError::ProofF(16)));
    assert_eq!(check(t2(1, Some(179))), Err(RulesError::ProofAge(179)));
    assert_eq!(check(t2(1, Some(3601))), Err(RulesError::ProofAge(3601)));
    let aged = Rules { max_proof_age_s: Some(600), ..Rules::default() };
    assert_eq!(check(aged), Err(RulesError::ProofUnasked));
    let drain = Rules { on_stale_proof: OnStaleProof::Drain, ..Rules::default() };
    assert_eq!(check(drain.clone()), Err(RulesError::ProofUnasked));
    assert_eq!(check(Rules { country_tier: Tier::CountryProven, ..drain }), Ok(()));
    for mode in [OnStaleProof::Keep, OnStaleProof::Drain] {
        assert_eq!(OnStaleProof::parse(&mode.to_string()), Some(mode));
    }
    assert_eq!(OnStaleProof::parse("stop"), None);
}

proptest::proptest! {
    /// D2: the effective policy is never wider than any part of it.
    #[test]
    fn all_rule_sets_together_allow_nothing_that_one_of_them_denies(
        f in 0u32..4,
        age_s in 0u64..4000,
        is_proven: bool,
        parts in proptest::collection::vec(
            (0u32..4, proptest::option::of(180u64..3600), proptest::bool::ANY),
            1..5,
        ),
    ) {
        let place = if is_proven { proven(f, age_s) } else { place("012351") };
        let rules: Vec<Rules> = parts
            .into_iter()
            .map(|(f, age_s, asked)| Rules {
                country_tier: if asked { Tier::CountryProven } else { Tier::Tagged },
                ..t2(f, age_s)
            })
            .collect();
        let all: Vec<&Rules> = rules.iter().collect();
        let each = all.iter().all(|one| verdict(&place, &[one], now()).is_ok());
        proptest::prop_assert_eq!(verdict(&place, &all, now()).is_ok(), each);
    }
}
