//! Every refusal of a spec has its code, field and place; what is accepted means one thing.

use super::*;
use sekisho_types::job::Kind;
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{OnStaleProof, Tier};

const SPEC: &str = "\
name: train-01
tenant: sapporo
group: 2
resources:
  class: sim-h100
  gpus: 2
  memory_gib: 80
residency:
  areas: [北海道, '012351']
  country_tier: T1
time_limit: 1h30m
run:
  command: [sleep, \"60\"]
  env: {EPOCHS: \"3\"}
";

fn today() -> Date {
    Date::parse("2026-11-22").unwrap()
}

fn read(text: &str) -> Result<JobSpec, Failure> {
    parse(text, &Override::default(), today())
}

/// The failure of the good spec with one text replaced.
fn refused(from: &str, to: &str) -> Failure {
    assert!(SPEC.contains(from), "{from}");
    read(&SPEC.replace(from, to)).unwrap_err()
}

#[test]
fn a_spec_becomes_facts_and_a_payload_that_they_name() {
    let JobSpec { facts, payload, .. } = read(SPEC).unwrap();
    assert_eq!(facts.id.to_string(), "sapporo/train-01");
    assert_eq!((facts.group, facts.resources.gpus, facts.resources.memory_mib), (2, 2, 81_920));
    assert_eq!((facts.priority, facts.time_limit_s), (PRIORITY, 5400));
    assert_eq!(facts.residency.areas, [Area::Code(10_006), Area::Code(12_351)].into());
    assert_eq!(facts.residency.country_tier, Tier::Tagged);
    assert_eq!((facts.payload, facts.payload_len as usize), (Digest::of(&payload), payload.len()));
    let run: JobPayload = sekisho_evidence::canonical::decode(&payload).unwrap();
    assert_eq!(run.command, ["sleep", "60"]);
}

#[test]
fn a_share_is_agreed_to_by_name() {
    let shared = SPEC.replace("class: sim-h100", "class: sim-h100-shared");
    let shared = shared.replace("gpus: 2", "gpus: 1");
    let with = |line: &str| read(&shared.replace("  memory_gib: 80\n", line));
    let wanted = |line: &str| with(line).unwrap().facts.resources;
    assert_eq!(wanted("  sharing: tenant\n").sharing, Sharing::Tenant);
    assert_eq!(wanted("  sharing: any\n  units: 1\n").units, 1);
    assert_eq!(wanted("  sharing: any\n").sharing, Sharing::Any);
    for (line, want) in [
        ("", "line 5, column 10: resources.sharing: must be tenant or any"),
        ("  sharing: alone\n", "line 7, column 12: resources.sharing: must be tenant or any"),
        ("  sharing: anny\n", "value `anny` does not exist; did you mean `any`?"),
    ] {
        let failure = with(line).unwrap_err();
        assert!(failure.detail.contains(want), "{line}: {}", failure.detail);
    }
    let whole = refused("  memory_gib: 80", "  sharing: any");
    assert!(whole.detail.contains("line 7, column 12: resources.sharing: must be left out"));
    let two = shared.replace("gpus: 1", "gpus: 2\n  sharing: any");
    let failure = read(&two).unwrap_err();
    assert!(failure.detail.contains("line 6, column 9: resources.gpus: must be 1"), "{failure:?}");
}

#[test]
fn a_reservation_is_named_or_none_is() {
    assert_eq!(read(SPEC).unwrap().facts.reservation, None);
    let named = SPEC.replace("group: 2", "reservation: night");
    let name = read(&named).unwrap().facts.reservation.map(|name| name.to_string());
    assert_eq!(name.as_deref(), Some("night"));
    let failure = refused("group: 2", "reservation: Night");
    assert_eq!(failure.code, ErrorCode::InvalidArgument);
}

#[test]
fn json_is_read_as_well() {
    let json = r#"{"name":"j","tenant":"t","resources":{"class":"c","gpus":1},"time_limit":"1d","run":{"command":["true"]}}"#;
    assert_eq!(read(json).unwrap().facts.time_limit_s, 86_400);
}

#[test]
fn a_misspelt_field_names_the_nearest_one_and_its_place() {
    let failure = refused("  areas:", "  aeras:");
    assert_eq!(failure.code, ErrorCode::SpecUnknownField);
    assert_eq!(
        failure.detail,
        "line 9, column 3: field `aeras` does not exist; did you mean `areas`?"
    );
    let failure = refused("group: 2", "replicas: 2");
    assert!(
        failure
            .detail
            .starts_with("line 3, column 1: field `replicas` does not exist; known: name, ")
    );
}

#[test]
fn broken_yaml_tells_line_and_column() {
    let failure = refused("\"60\"]", "\"60\"");
    assert_eq!(failure.code, ErrorCode::SpecSyntax);
    assert!(failure.detail.starts_with("line "), "{}", failure.detail);
    assert!(failure.detail.contains(", column "), "{}", failure.detail);
    assert_eq!(refused("group: 2\n", "group: 2\ngroup: 3\n").code, ErrorCode::SpecSyntax);
    assert_eq!(read("").unwrap_err().exit(), crate::exit::Exit::Usage);
}

#[test]
fn a_value_of_the_wrong_kind_is_a_field_not_a_syntax_error() {
    for (from, to, want) in [
        ("gpus: 2", "gpus: many", "line 6, column 9: "),
        ("gpus: 2", "gpus: 17", "line 6, column 9: resources.gpus: must be 1 to 16"),
        ("group: 2", "group: 0", "line 3, column 8: group: must be 1 to 1024"),
        ("group: 2", "priority: 101", "line 3, column 11: priority: must be 0 to 100"),
        ("1h30m", "90", "line 11, column 13: time_limit: `90` is not a duration"),
        ("1h30m", "31d", "line 11, column 13: time_limit: must be 1 s to"),
        ("name: train-01", "name: Train", "line 1, column 7: name: "),
        ("tenant: sapporo\n", "", "tenant: is missing"),
        ("group: 2", "over_limit: rejekt", "value `rejekt` does not exist; did you mean `reject`?"),
        ("[sleep, \"60\"]", "[]", "run.command: "),
    ] {
        let failure = refused(from, to);
        assert_eq!(failure.code, ErrorCode::InvalidArgument, "{to}");
        assert!(failure.detail.contains(want), "{to}: {}", failure.detail);
    }
    assert!(refused("time_limit: 1h30m\n", "").detail.contains("field `time_limit` is missing"));
}

#[test]
fn areas_are_unknown_abroad_or_retired_each_with_its_code() {
    for (area, code, hint) in [
        ("Hokaido", ErrorCode::AreaUnknown, "did you mean `Hokkaido`?"),
        ("'000000'", ErrorCode::AreaUnknown, "residency.areas[0]"),
        ("府中市", ErrorCode::AreaAmbiguous, "東京都府中市 (132063), 広島県府中市 (342084)"),
        ("Osaka", ErrorCode::AreaAmbiguous, "大阪府 (270008), "),
        ("浜松市中区", ErrorCode::AreaRetired, "221384"),
        ("KR-26", ErrorCode::ResidencyOutsideJp, "lies outside Japan"),
        ("'221317'", ErrorCode::AreaRetired, "221384"),
    ] {
        let failure = refused("北海道", area);
        assert_eq!(failure.code, code, "{area}");
        assert!(failure.detail.contains(hint), "{area}: {}", failure.detail);
        assert!(
            failure.detail.starts_with("line 9, column 11: residency.areas[0]: "),
            "{}",
            failure.detail
        );
    }
    assert_eq!(refused("country_tier: T1", "country_tier: T0").code, ErrorCode::PolicyTier);
    assert_eq!(refused("country_tier: T1", "country_tier: T9").code, ErrorCode::InvalidArgument);
}

#[test]
fn what_is_asked_of_a_proof_is_read_and_refused_with_its_field() {
    let rules = |text: &str| {
        let with = format!("country_tier: T2\n  {text}");
        read(&SPEC.replace("country_tier: T1", &with)).map(|spec| spec.facts.residency)
    };
    let read = rules("proof_f: 2\n  max_proof_age: 10m\n  on_stale_proof: drain").unwrap();
    assert_eq!((read.proof_f, read.max_proof_age_s), (2, Some(600)));
    assert_eq!(read.on_stale_proof, OnStaleProof::Drain);
    let read = rules("proof_f: 0").unwrap();
    assert_eq!((read.proof_f, read.max_proof_age_s), (0, None));
    for (text, code, hint) in [
        ("proof_f: 16", ErrorCode::PolicyTier, "proof_f is at most 15"),
        ("max_proof_age: 1s", ErrorCode::PolicyTier, "180 to 3600 seconds"),
        ("max_proof_age: soon", ErrorCode::InvalidArgument, "residency.max_proof_age"),
        ("on_stale_proof: stop", ErrorCode::InvalidArgument, "neither keep nor drain"),
    ] {
        let failure = rules(text).unwrap_err();
        assert_eq!(failure.code, code, "{text}: {failure:?}");
        assert!(failure.detail.contains(hint), "{text}: {}", failure.detail);
    }
    let unasked = refused("country_tier: T1", "max_proof_age: 10m");
    assert_eq!(unasked.code, ErrorCode::PolicyTier);
    assert!(unasked.detail.starts_with("line 10, column "), "{}", unasked.detail);
}

#[test]
fn size_and_secrets_are_bounded_before_anything_is_sent() {
    let big = "x".repeat(PAYLOAD_MAX + 1);
    let large = refused("\"60\"", &big);
    assert_eq!(large.code, ErrorCode::TooLarge);
    assert!(large.detail.starts_with("line 13, column 3: run: has "), "{}", large.detail);
    assert_eq!(read(&" ".repeat(SPEC_MAX + 1)).unwrap_err().code, ErrorCode::TooLarge);
    // A secret waits for what it is sealed to, unless nobody seals it.
    let held = SPEC.replace("{EPOCHS: \"3\"}", "{API_TOKEN: abc}");
    let secret = read(&held).unwrap().secret.unwrap();
    assert!(secret.contains("API_TOKEN") && !secret.contains("abc"));
    let plain = read(&held.replace("run:", "payload: plain\nrun:")).unwrap_err();
    assert_eq!(plain.code, ErrorCode::SecretRefused);
    assert!(plain.detail.contains("API_TOKEN") && !plain.detail.contains("abc"));
}

#[test]
fn who_may_read_is_said_in_a_word_that_holds() {
    let with = |word: &str| read(&SPEC.replace("run:", &format!("payload: {word}\nrun:")));
    assert_eq!(read(SPEC).unwrap().sealing, Sealing::Auto);
    assert_eq!(with("sealed").unwrap().sealing, Sealing::Sealed);
    assert_eq!(with("plain").unwrap().sealing, Sealing::Plain);
    let apart = with("area-only").unwrap();
    assert_eq!((apart.sealing, apart.facts.area_only), (Sealing::AreaOnly, true));
    assert!(!with("sealed").unwrap().facts.area_only);
    assert_eq!(with("secret").unwrap_err().code, ErrorCode::InvalidArgument);
}

#[test]
fn the_command_line_fills_in_and_never_contradicts() {
    let over =
        |tenant: &str| Override { tenant: tenant.parse().ok(), name: Some("again".to_owned()) };
    let spec = parse(SPEC, &over("sapporo"), today()).unwrap();
    assert_eq!(spec.facts.id.to_string(), "sapporo/again");
    assert!(parse(SPEC, &over("naha"), today()).unwrap_err().detail.contains("--tenant says naha"));
    let without = SPEC.replace("tenant: sapporo\n", "");
    assert_eq!(parse(&without, &over("naha"), today()).unwrap().facts.id.tenant.as_str(), "naha");
}

#[test]
fn limits_and_restarts_of_a_run_are_read_exactly_and_refused_with_their_field() {
    let with = |more: &str| format!("{SPEC}{more}");
    let run = |more: &str| -> JobPayload {
        let spec = read(&with(more)).unwrap();
        sekisho_evidence::canonical::decode(&spec.payload).unwrap()
    };
    let none = run("");
    assert_eq!((none.memory_mib, none.cpu_milli, none.restart), (None, None, Restart::Never));
    let all = run(
        "  memory_gib: 3\n  cpus: 7.5\n  restart: {policy: on-failure, attempts: 5, delay: 1m}\n",
    );
    assert_eq!((all.memory_mib, all.cpu_milli), (Some(3072), Some(7500)));
    assert_eq!(all.restart, Restart::OnFailure { attempts: 5, delay_s: 60 });
    let defaults = run("  cpus: 2\n  restart: {policy: on-failure}\n");
    assert_eq!(defaults.cpu_milli, Some(2000));
    let usual = Restart::OnFailure { attempts: RESTART_ATTEMPTS, delay_s: RESTART_DELAY_S };
    assert_eq!(defaults.restart, usual);
    assert_eq!(run("  restart: {policy: never}\n").restart, Restart::Never);
    for (more, field) in [
        ("  memory_gib: 0\n", "run.memory_gib"),
        ("  memory_gib: 99999999\n", "run.memory_gib"),
        ("  memory_gib: 18446744073709551615\n", "run.memory_gib"),
        ("  cpus: 0.001\n", "run.cpus"),
        ("  cpus: -1\n", "run.cpus"),
        ("  cpus: 1.0005\n", "run.cpus"),
        ("  cpus: \"1.\"\n", "run.cpus"),
        ("  cpus: many\n", "run.cpus"),
        ("  restart: {policy: on-failure, attempts: 0}\n", "run.restart.attempts"),
        ("  restart: {policy: on-failure, attempts: 101}\n", "run.restart.attempts"),
        ("  restart: {policy: on-failure, delay: 2h}\n", "run.restart.delay"),
        ("  restart: {policy: on-failure, delay: 10}\n", "run.restart.delay"),
        ("  restart: {policy: never, attempts: 2}\n", "run.restart.attempts"),
    ] {
        let failure = read(&with(more)).unwrap_err();
        assert!(failure.detail.contains(field), "{more}: {}", failure.detail);
    }
    assert_eq!(
        read(&with("  restart: {policy: always}\n")).unwrap_err().code,
        ErrorCode::InvalidArgument
    );
}

#[test]
fn arrays_and_services_are_read_and_their_numbers_bounded() {
    let with = |kind: &str| read(&SPEC.replace("group: 2", kind));
    let kind = |text: &str| with(text).unwrap().facts.kind;
    assert_eq!(kind("group: 1"), Kind::Batch);
    assert_eq!(kind("array: {tasks: 9}"), Kind::Array { tasks: 9, at_most: 9 });
    assert_eq!(kind("array: {tasks: 9, at_most: 3}"), Kind::Array { tasks: 9, at_most: 3 });
    assert_eq!(kind("service: {replicas: 3}"), Kind::Service { replicas: 3, surge: 1 });
    for (text, why) in [
        ("array: {tasks: 0}", "line 3, column 16: array.tasks: must be 1 to 10000"),
        ("array: {tasks: 2, at_most: 3}", "line 3, column 28: array.at_most: must be 1 to 2"),
        ("service: {replicas: 0}", "line 3, column 21: service.replicas: must be 1 to 256"),
        ("service: {replicas: 2, surge: 3}", "line 3, column 31: service.surge: must be 1 to 2"),
        (
            "array: {tasks: 2}\nservice: {replicas: 2}",
            "line 4, column 10: service: must not stand beside `array`",
        ),
    ] {
        let failure = with(text).unwrap_err();
        assert!(failure.detail.contains(why), "{text}: {}", failure.detail);
    }
}

#[test]
fn a_topology_says_where_members_stand() {
    use sekisho_types::topology::{Over, Spread, Topology, Within};
    assert_eq!(*read(SPEC).unwrap().facts.topology, Topology::default());
    let with =
        |topology: &str| read(&SPEC.replace("residency:\n", &format!("{topology}residency:\n")));
    let whole = "\
topology:
  within: site
  spread: {over: rack, at_least: 2}
  apart: [web, db]
  marks: [train]
  near: tokyo-1
";
    let marks = |all: &[&str]| all.iter().map(|mark| mark.parse().unwrap()).collect();
    let asked = Topology {
        within: Some(Within::Site),
        spread: Some(Spread { over: Over::Rack, at_least: 2 }),
        apart: marks(&["web", "db"]),
        marks: marks(&["train"]),
        near: Some("tokyo-1".parse().unwrap()),
    };
    assert_eq!(*with(whole).unwrap().facts.topology, asked);
    for (from, to, code, want) in [
        ("within: site", "within: row", ErrorCode::InvalidArgument, "value `row` does not exist"),
        ("within: site", "whithin: site", ErrorCode::SpecUnknownField, "did you mean `within`?"),
        ("at_least: 2", "at_least: 3", ErrorCode::InvalidArgument, "topology.spread.at_least: "),
        ("within: site", "within: rack", ErrorCode::InvalidArgument, "topology.spread: "),
        ("over: rack", "over: site", ErrorCode::InvalidArgument, "topology.spread.over: "),
        ("[web, db]", "[web, web]", ErrorCode::InvalidArgument, "topology.apart[1]: "),
        ("[train]", "[Train]", ErrorCode::InvalidArgument, "topology.marks[0]: "),
        ("tokyo-1", "Tokyo", ErrorCode::InvalidArgument, "topology.near: "),
    ] {
        let failure = with(&whole.replace(from, to)).unwrap_err();
        assert_eq!(failure.code, code, "{to}");
        assert!(failure.detail.starts_with("line "), "{to}: {}", failure.detail);
        assert!(failure.detail.contains(want), "{to}: {}", failure.detail);
    }
}
