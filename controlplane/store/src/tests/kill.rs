//! A process killed in the middle of its writes has every entry that it acknowledged (R1).

use super::{entry, open};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

const CHILD: &str = "SEKISHO_STORE_TEST_CHILD_DIR";
const NAME: &str = "tests::kill::a_killed_process_keeps_every_acknowledged_entry";

/// Appends for ever and prints the index of each durable entry.
fn child(dir: &str) {
    let store = open(dir.as_ref()).unwrap();
    let start = store.log().last_index().map_or(0, |last| last + 1);
    for index in start.. {
        let tell = Box::new(move |outcome: Result<(), _>| {
            outcome.unwrap();
            let mut out = std::io::stdout();
            out.write_all(format!("\nacked {index}\n").as_bytes()).unwrap();
            out.flush().unwrap();
        });
        store.log().append(vec![entry(index, 500)], tell).unwrap();
    }
}

#[test]
fn a_killed_process_keeps_every_acknowledged_entry() {
    if let Ok(dir) = std::env::var(CHILD) {
        return child(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acked = None;
    for round in 0..4_u64 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let mut index_of =
            |line: std::io::Result<String>| line.ok()?.strip_prefix("acked ")?.parse::<u64>().ok();
        while seen < 50 + 100 * round {
            let index = index_of(lines.next().expect("the child ended by itself"));
            acked = index.or(acked);
            seen += u64::from(index.is_some());
        }
        process.kill().unwrap();
        // What was printed before the kill took effect counts too.
        acked = lines.filter_map(&mut index_of).last().or(acked);
        process.wait().unwrap();

        let store = open(dir.path()).unwrap();
        let acked = acked.unwrap();
        let read = store.log().read(0..acked + 1, usize::MAX).unwrap();
        assert_eq!(read.len(), usize::try_from(acked + 1).unwrap());
        assert!(read.iter().all(|(i, bytes)| **bytes == *entry(*i, 500).1));
        assert!(store.identity().durable_log_index >= Some(acked));
    }
}
