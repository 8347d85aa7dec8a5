//! D1 of places that have to be proven: the auditor verifies every transcript again.

use super::*;
use crate::verify::fixes::Reached;
use sekisho_evidence::location::transcript::Transcript;
use sekisho_fsm::testing::location::{IN_TOKYO, NEAR_NS};
use sekisho_types::residency::{Rules, Tier};

/// A job under a policy of T2 on a node that a fix of two operators proves.
fn proven() -> Federation {
    let mut f = Federation::furnished();
    f.landmarks();
    let rules = Rules { country_tier: Tier::CountryProven, ..Rules::default() };
    let policy = f.policy("proven", rules);
    f.prove("tokyo-1/n-01", 1);
    let mut facts = job("at-home", 1, 1, &[]);
    facts.policy = Some(policy);
    let id = f.submit(facts);
    f.place(&id, &["tokyo-1/n-01"]);
    assert_eq!(f.placements(&id).len(), 1);
    tick(&mut f, 2);
    f
}

/// A job under a policy of T3 on a node that the beacon of its site proves.
fn site_proven() -> Federation {
    let mut f = Federation::furnished();
    f.beacon();
    let site = Tier::SiteProven;
    let rules = Rules { country_tier: site, area_tier: site, proof_f: 0, ..Rules::default() };
    let policy = f.policy("site", rules);
    f.prove_site("ishikari-1/n-01", 1, NEAR_NS);
    let mut facts = job("at-its-site", 1, 1, &[]);
    facts.policy = Some(policy);
    let id = f.submit(facts);
    f.place(&id, &["ishikari-1/n-01"]);
    assert_eq!(f.placements(&id).len(), 1);
    tick(&mut f, 2);
    f
}

/// The records with each entry changed, or left out.
fn changed(change: impl Fn(&mut Entry) -> bool) -> Report {
    of(&proven(), change)
}

fn of(f: &Federation, change: impl Fn(&mut Entry) -> bool) -> Report {
    let records = records(f);
    let keep = |bytes: &Vec<u8>| {
        let mut record = Record::parse(bytes).unwrap();
        if let Body::Entry { entry, .. } = &mut record.body {
            let mut read: Entry = decode(entry).unwrap();
            if !change(&mut read) {
                return None;
            }
            *entry = encode(&read).unwrap();
        }
        Some(record.bytes().unwrap())
    };
    let records: Vec<Vec<u8>> = records.iter().filter_map(keep).collect();
    verify(&signed(&records, &[1, 2, 3]), None)
}

#[test]
fn a_placement_that_a_fix_bears_passes_and_one_without_it_is_found() {
    let honest = changed(|_| true);
    assert!(honest.is_good(), "{:#?}", honest.steps);
    let [fix] = honest.fixes.as_slice() else { panic!("{:?}", honest.fixes) };
    assert_eq!((fix.node.to_string().as_str(), fix.landmarks), ("tokyo-1/n-01", 2));
    assert!(
        matches!(&fix.outcome, Ok(Reached::Proven { f: 1, prefecture: None, excluding }) if excluding.len() == 2)
    );
    let none = changed(|entry| !matches!(entry.command, Command::SubmitFix { .. }));
    let found = findings(&none, Step::Residency);
    assert!(found.contains("the country is established at T1, the policy wants T2"), "{found}");
    // One operator left out: f = 0.
    let alone = changed(|entry| {
        if let Command::SubmitFix { transcripts, .. } = &mut entry.command {
            transcripts.truncate(1);
        }
        true
    });
    let found = findings(&alone, Step::Residency);
    assert!(found.contains("proven with f=0, the policy wants f=1"), "{found}");
}

#[test]
fn a_transcript_that_was_changed_or_whose_landmark_went_bears_nothing() {
    let shorter = changed(|entry| {
        if let Command::SubmitFix { transcripts, .. } = &mut entry.command {
            transcripts.iter_mut().for_each(|signed| signed.transcript.rtt_min_ns -= 1);
        }
        true
    });
    let found = findings(&shorter, Step::Residency);
    assert!(found.contains("no transcript counts"), "{found}");
    let [fix] = shorter.fixes.as_slice() else { panic!("{:?}", shorter.fixes) };
    assert!(fix.outcome.as_ref().unwrap_err().contains("no transcript counts"));
    let unknown = changed(|entry| {
        let Command::RegisterLandmark { landmark, .. } = &entry.command else { return true };
        landmark.id.to_string() != IN_TOKYO[0]
    });
    let found = findings(&unknown, Step::Residency);
    assert!(found.contains("judged by another table of landmarks"), "{found}");
}

#[test]
fn whom_two_operators_landmarks_contradict_bears_nothing_from_then_on() {
    let mut f = Federation::furnished();
    f.landmarks();
    let out = [IN_TOKYO[0], IN_TOKYO[1]].map(|by| f.range(by, "hokuto/fukuoka", 1)).to_vec();
    f.submit_range(out).outcome.unwrap();
    f.prove("tokyo-1/n-01", 1);
    let id = f.submit(job("later", 1, 1, &[]));
    f.place(&id, &["tokyo-1/n-01"]);
    assert_eq!(f.placements(&id).len(), 1);
    tick(&mut f, 2);
    let honest = of(&f, |_| true);
    assert!(honest.is_good(), "{:#?}", honest.steps);
    // Grants name the table without it.
    let kept = of(&f, |entry| !matches!(entry.command, Command::SubmitRange { .. }));
    let found = findings(&kept, Step::Residency);
    assert!(found.contains("judged by another table of landmarks"), "{found}");
    let forged = of(&f, |entry| {
        if let Command::SubmitRange { transcripts } = &mut entry.command {
            transcripts.iter_mut().for_each(|signed| signed.transcript.rtt_min_ns += 1);
        }
        true
    });
    assert!(findings(&forged, Step::Residency).contains("none of its ranges counts"));
}

/// The auditor asks the same of a beacon as apply: its own name, place and delay.
#[test]
fn a_placement_that_a_beacon_bears_passes_and_one_of_a_longer_way_is_found() {
    let federation = site_proven();
    let honest = of(&federation, |_| true);
    assert!(honest.is_good(), "{:#?}", honest.steps);
    let longer = |ns: u64| {
        of(&federation, |entry| {
            if let Command::SubmitFix { node, transcripts, .. } = &mut entry.command {
                for one in transcripts.iter_mut() {
                    let said = one.transcript.clone();
                    let said = Transcript { rtt_min_ns: ns, ..said };
                    *one = sekisho_fsm::testing::location::signed(node, said);
                }
            }
            true
        })
    };
    let found = findings(&longer(1_500_000), Step::Residency);
    assert!(found.contains("the country is established at T2, the policy wants T3"), "{found}");
    // Another delay that proves it too is found by the record's hash alone.
    let found = findings(&longer(NEAR_NS + 1), Step::Residency);
    assert!(!found.contains("established at"), "{found}");
}
