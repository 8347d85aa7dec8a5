//! What is taken out leaves nothing behind, and whoever says that it did is found out.

use super::*;
use sekisho_fsm::testing::user_key;

/// A job of `sapporo` under policy `hokkaido`, running; then a site is renamed.
fn running() -> (Federation, PlacementId) {
    let mut f = Federation::furnished();
    let policy = f.policy("hokkaido", rules(&["JP-01"]));
    let mut facts = job("train", 1, 4, &[]);
    facts.policy = Some(policy);
    let id = f.submit(facts);
    f.place(&id, &["ishikari-1/n-01"]);
    let placement = f.placements(&id)[0];
    report(&mut f, "ishikari-1/n-01", vec![(placement, Phase::Running)]);
    let site = "tokyo-1".parse().unwrap();
    let expected = f.state.site(&site).unwrap().revision;
    let display_name = "東京第一".to_owned();
    f.accept(admin("kanto"), Command::UpdateSite { site, display_name, expected });
    (f, placement)
}

fn delete_policy(f: &Federation) -> Command {
    let policy = "hokkaido".parse().unwrap();
    let expected = f.state.policy(&policy).unwrap().revision;
    Command::DeletePolicy { policy, expected }
}

fn delete_tenant(f: &Federation) -> Command {
    let tenant = "sapporo".parse().unwrap();
    let expected = f.state.tenant(&tenant).unwrap().revision;
    Command::DeleteTenant { tenant, expected }
}

#[test]
fn a_log_with_deletions_verifies() {
    let (mut f, placement) = running();
    report(&mut f, "ishikari-1/n-01", vec![(placement, Phase::Ended(Ending::Exited(0)))]);
    let delete = delete_policy(&f);
    f.accept(admin("kanto"), delete);
    let who = user("kanto", "sapporo");
    let key = user_key(&who).public();
    f.accept(admin("kanto"), Command::RevokeKey { principal: who, key });
    let delete = delete_tenant(&f);
    f.accept(admin("kanto"), delete);
    let checked = verify(&signed(&records(&f), &[1, 2, 3]), Some(&genesis()));
    assert!(checked.is_good(), "{:#?}", checked.steps);
}

/// The entry that renamed a site, said to be another one.
fn forged_as(f: &Federation, command: &Command) -> Report {
    let forge = |bytes: &Vec<u8>| {
        let mut record = Record::parse(bytes).unwrap();
        if let Body::Entry { entry, .. } = &mut record.body {
            let mut read: Entry = decode(entry).unwrap();
            if matches!(read.command, Command::UpdateSite { .. }) {
                read.command = command.clone();
                *entry = encode(&read).unwrap();
            }
        }
        record.bytes().unwrap()
    };
    let changed: Vec<Vec<u8>> = records(f).iter().map(forge).collect();
    verify(&signed(&changed, &[1, 2, 3]), None)
}

#[test]
fn what_is_taken_out_while_it_binds_or_holds_is_found() {
    let (f, _) = running();
    let told = forged_as(&f, &delete_policy(&f));
    assert!(findings(&told, Step::Residency).contains("policy hokkaido is taken out"), "{told:#?}");
    let told = forged_as(&f, &delete_tenant(&f));
    assert!(findings(&told, Step::Quota).contains("tenant sapporo is taken out"), "{told:#?}");
}
