//! Test-only: a scheduler snapshot taken from a member, and what a replay of it says, in both languages.

use super::server::Answers;
use super::{Fixed, golden, said, screen};
use crate::exit::Exit;
use sekisho_fsm::planning::SchedulerSnapshot;
use sekisho_fsm::testing::{Federation, job};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use std::os::unix::fs::PermissionsExt as _;
use unicode_width::UnicodeWidthStr as _;

/// What is asked of the file `FILE`.
const LINES: [&str; 4] = [
    "scheduler replay FILE",
    "scheduler replay FILE -o wide",
    "scheduler replay FILE --job sapporo/large",
    "scheduler replay FILE --job sapporo/okinawa",
];

/// One job runs, one is next, one waits for quota and one for a place that nobody has.
fn federation() -> Federation {
    let mut federation = Federation::furnished();
    let runs = federation.submit(job("runs", 1, 4, &["JP-13"]));
    federation.place(&runs, &["tokyo-1/n-01"]);
    federation.submit(job("pair", 2, 1, &["JP-27"]));
    federation.submit(job("large", 2, 4, &[]));
    federation.submit(job("okinawa", 1, 1, &["JP-47"]));
    federation
}

fn file() -> Vec<u8> {
    SchedulerSnapshot::of(&federation().state).unwrap().bytes().unwrap()
}

#[test]
fn a_replay_says_what_it_said_in_both_languages_and_widths() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("planner.snapshot");
    std::fs::write(&path, file()).unwrap();
    let run = |line: &str, language, width| {
        let line = line.replace("FILE", &path.display().to_string());
        said(None, &line, language, width)
    };
    for (language, name) in [(Language::En, "scheduler.en.txt"), (Language::Ja, "scheduler.ja.txt")]
    {
        let mut text = String::new();
        for line in LINES {
            for width in [80, 120] {
                let said = run(line, language, width);
                assert_eq!(said.exit, Exit::Ok, "{line}: {}", said.err);
                let over = said.out.lines().find(|line| line.width() > usize::from(width));
                assert!(line.ends_with("wide") || over.is_none(), "{line} at {width}: {over:?}");
                screen(&mut text, line, width, &said);
            }
        }
        for line in
            ["scheduler replay FILE -o json", "scheduler replay FILE --job sapporo/large -o json"]
        {
            let said = run(line, language, 80);
            assert_eq!(said.out, run(line, Language::En, 80).out, "{line}");
            let yaml = run(&line.replace("json", "yaml"), Language::Ja, 80).out;
            let of_json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            let of_yaml: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
            assert_eq!(of_json, of_yaml, "{line}");
            screen(&mut text, line, 80, &said);
        }
        let gone = run("scheduler replay FILE --job sapporo/gone", language, 80);
        assert_eq!(gone.exit, Exit::NotFound, "{}", gone.err);
        screen(&mut text, "scheduler replay FILE --job sapporo/gone", 80, &gone);
        golden(name, &text);
    }
}

#[test]
fn a_file_that_is_damaged_or_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("planner.snapshot");
    let line = format!("scheduler replay {}", path.display());
    let mut damaged = file();
    damaged[200] ^= 1;
    let other = b"sekisho-support-1".repeat(9);
    for (bytes, en, ja) in [
        (damaged, "the scheduler snapshot is damaged", "破損"),
        (other, "no scheduler snapshot that this program can read", "読める"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        for (language, words) in [(Language::En, en), (Language::Ja, ja)] {
            let said = said(None, &line, language, 80);
            assert_eq!((said.exit, said.out.as_str()), (Exit::Usage, ""), "{}", said.err);
            assert!(said.err.contains(words), "{}", said.err);
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(said(None, &line, Language::En, 80).exit, Exit::Usage);
}

#[test]
fn a_snapshot_is_written_whole_for_its_owner_alone_or_not_at_all() {
    let answer = |bytes: &[u8]| {
        let chunk = v1::GetSnapshotResponse { chunk: bytes.to_vec().into() };
        Fixed::new(Answers::default().with("SchedulerService/GetSnapshot", &chunk))
    };
    let bytes = file();
    let cut = answer(&bytes[..bytes.len() - 1]);
    let path = cut.dir().join("planner.snapshot");
    let line = format!("scheduler snapshot {}", path.display());
    let said = cut.run(&line, Language::En, 80);
    assert_eq!(said.exit, Exit::Error, "{}", said.err);
    assert!(!path.exists() && !path.with_extension("snapshot.part").exists());

    let federation = answer(&bytes);
    let path = federation.dir().join("planner.snapshot");
    let line = format!("scheduler snapshot {}", path.display());
    let said = federation.run(&line, Language::En, 80);
    assert_eq!(said.exit, Exit::Ok, "{}", said.err);
    assert!(said.err.contains("sekisho scheduler replay "), "{}", said.err);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there is not written over.
    let again = federation.run(&line, Language::En, 80);
    assert_eq!(again.exit, Exit::Conflict, "{}", again.err);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
