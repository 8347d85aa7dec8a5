//! The federation that the cases are played to, and what must not change about it.

use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_cli::context::Contexts;
use sekisho_types::error_code::ErrorCode;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Everything that a request could change, as an administrator and an auditor see it.
const NOUNS: [&str; 7] = ["job", "node", "site", "policy", "tenant", "quota", "key"];
/// Hosts of the federation, all of which are proven soon.
const HOSTS: usize = 4;
/// What members and hosts write by themselves as time goes by; refusals lead to the second.
const OWN: [&str; 5] = ["Tick", "RecordJournal", "Countersign", "SubmitRange", "SubmitFix"];
/// Records that one look asks for: far more than ticks between two looks.
const RECORDS: &str = "1000";

pub(crate) struct Stage {
    pub(crate) federation: Federation,
    pub(crate) port: u16,
    seen: Vec<Value>,
    /// The first audit record that was not looked at.
    next: u64,
    dir: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn start(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let federation = Federation::start(&dir.path().join("dev"), port).unwrap();
        Self { federation, port, seen: Vec::new(), next: 0, dir }
    }

    /// A folder of a case's own, outside the federation's.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder("files").join(name);
        std::fs::write(&path, content).unwrap();
        path.to_string_lossy().into_owned()
    }

    pub(crate) fn contexts(&self) -> Contexts {
        Contexts::load(&self.federation.dir().join("contexts.toml")).unwrap()
    }

    /// Saves contexts that a case bent, and gives the arguments that use them.
    pub(crate) fn bent(&self, name: &str, contexts: &Contexts) -> [String; 2] {
        let path = self.folder("contexts").join(format!("{name}.toml"));
        contexts.save(&path).unwrap();
        ["--config".to_owned(), path.to_string_lossy().into_owned()]
    }

    pub(crate) fn operator(&self, operator: &str) -> PathBuf {
        self.federation.dir().join("operators").join(operator)
    }

    /// Takes in how things are, before the first case.
    pub(crate) fn look(&mut self) {
        self.federation.proven(HOSTS).unwrap();
        self.seen = self.state();
        let records = self.records();
        self.next = self.next.saturating_add(u64::try_from(records.len()).unwrap());
    }

    fn state(&self) -> Vec<Value> {
        let read = |noun: &&str| self.federation.read("kanto", &[noun, "list"]).unwrap();
        NOUNS.iter().map(|noun| read(noun)["items"].clone()).collect()
    }

    fn records(&self) -> Vec<Value> {
        let start = self.next.to_string();
        let args = ["audit", "show", "--start", &start, "--count", RECORDS];
        rows(&self.federation.read("kanto", &args).unwrap(), "items")
    }

    /// Nothing is other than it was, and no record says that anything was done; the codes of what was rejected.
    pub(crate) fn unchanged(&mut self, what: &str) -> Vec<String> {
        let now = self.state();
        for ((noun, before), after) in NOUNS.iter().zip(&self.seen).zip(&now) {
            assert_eq!(before, after, "{what} changed {noun}s");
        }
        let records = self.records();
        assert!(self.next > 0, "looked before the first case");
        self.next = self.next.saturating_add(u64::try_from(records.len()).unwrap());
        let done = |r: &&Value| !OWN.iter().any(|own| r["subject"] == *own);
        let (rejected, accepted): (Vec<&Value>, Vec<&Value>) =
            records.iter().filter(done).partition(|record| record["rejected"].is_string());
        assert_eq!(accepted, Vec::<&Value>::new(), "{what} was recorded as done");
        rejected.iter().filter_map(|r| r["rejected"].as_str()).map(str::to_owned).collect()
    }

    /// The answer has this code, exit and words; nothing has changed, and nothing came into the log.
    pub(crate) fn refused(
        &mut self,
        what: &str,
        answer: &Answer,
        (code, exit): (ErrorCode, i32),
        words: &[&str],
    ) {
        says(what, answer, (code, exit), words);
        assert_eq!(self.unchanged(what), Vec::<String>::new(), "{what}");
    }

    /// The same for what only apply can judge: it leaves one record of its rejection (A2).
    pub(crate) fn rejected(
        &mut self,
        what: &str,
        answer: &Answer,
        (code, exit): (ErrorCode, i32),
        words: &[&str],
    ) {
        says(what, answer, (code, exit), words);
        assert_eq!(self.unchanged(what), [code.as_str()], "{what}");
    }
}

fn says(what: &str, answer: &Answer, (code, exit): (ErrorCode, i32), words: &[&str]) {
    assert_eq!(answer.code, exit, "{what}: {answer:?}");
    assert_eq!(answer.stdout, "", "{what}");
    for word in [code.as_str()].iter().chain(words) {
        assert!(answer.stderr.contains(word), "{what}: no `{word}` in {}", answer.stderr);
    }
}

/// Runs a program that is not the command line.
pub(crate) fn run(program: &Path, args: &[&str]) -> Answer {
    let output = std::process::Command::new(program).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
