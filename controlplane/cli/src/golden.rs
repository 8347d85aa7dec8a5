//! Test-only: what the program says, whole: its entry, a real connection, fixed answers, both languages.
//!
//! The files under `golden/` are written anew with `SEKISHO_GOLDEN=write`; a difference is then read like any other change. They
//! name no version, time or path of a machine. A verb that stands neither in [`READS`] nor in [`NOT_SHOWN`] fails a test, which
//! says what to add.

mod answers;
mod beside;
mod charge;
mod pending;
mod scheduler;
mod server;

use crate::exit::Exit;
use crate::help;
use crate::program::{self, Surroundings};
use answers::{changing, empty, full, plans, refusing};
use sekisho_types::error_code::Language;
use server::{Answers, Server, Silent};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use unicode_width::UnicodeWidthStr as _;

/// Reads, each with arguments for which there is an answer.
const READS: &[&str] = &[
    "status",
    "site list",
    "site get ishikari-1",
    "node list",
    "node get ishikari-1/n-01",
    "tenant list",
    "tenant get sapporo",
    "policy list",
    "policy get hokkaido-only",
    "quota list",
    "quota get sapporo nvidia-h200",
    "quota status",
    "budget list",
    "budget get sapporo fy-2026",
    "offer list",
    "offer get ishikari-1 all",
    "reservation list",
    "reservation get sapporo night",
    "veto list",
    "escrow list",
    "escrow get ishikari-1 sapporo nvidia-h200",
    "key list",
    "key get hokuto/user/sapporo --public-key 0707070707070707070707070707070707070707070707070707070707070707",
    "approval list",
    "approval get 07070707070707070707070707070707",
    "break-glass list",
    "break-glass get 4713",
    "job list",
    "job status sapporo/train",
    "job explain sapporo/train",
    "member list",
    "member get 2",
    "operator get kanto",
    "operation list",
    "operation get drain.ishikari-1.n-01.4711",
    "landmark list",
    "landmark get hokuto/ishikari",
    "residency status",
    "audit show",
    "audit denials --start 7 --count 2",
    "audit forks",
    "error list",
    "error show QUOTA_NONE",
];

/// Verbs that are not shown here: they change something, read files of this machine, or say a time, a path or a version. The
/// tests beside them show what they say.
const NOT_SHOWN: &[&str] = &[
    "approval refuse",
    "approval sign",
    "audit export",
    "audit prove",
    "audit verify",
    "audit watch",
    "break-glass end",
    "break-glass open",
    "budget delete",
    "budget set",
    "completion",
    "context add",
    "context check",
    "context list",
    "context remove",
    "context show",
    "context use",
    "dev",
    "dev relay",
    "dev stop",
    "escrow set",
    "exit-codes",
    "job cancel",
    "job import kubernetes",
    "job import slurm",
    "job logs",
    "job plan",
    "job replace",
    "job reseal",
    "job submit",
    "key register",
    "key revoke",
    "landmark create",
    "landmark delete",
    "login",
    "logout",
    "man",
    "member add",
    "member address",
    "member demote",
    "member founder",
    "member package",
    "member prepare",
    "member promote",
    "member recover",
    "member remove",
    "member transfer",
    "node approve",
    "node cordon",
    "node decommission",
    "node drain",
    "node reject",
    "node release",
    "node revoke",
    "node token create",
    "node uncordon",
    "node undrain",
    "offer create",
    "offer lower",
    "offer update",
    "offer withdraw",
    "operation cancel",
    "operation wait",
    "operator add",
    "operator install",
    "operator list",
    "operator prepare",
    "operator remove",
    "operator rotate",
    "operator sign",
    "operator trust",
    "pki init",
    "pki registrar",
    "pki renew",
    "pki show",
    "pki sign-request",
    "policy create",
    "policy delete",
    "policy plan",
    "policy status",
    "policy update",
    "quota set",
    "reservation create",
    "reservation delete",
    "reservation update",
    "residency check",
    "residency coverage",
    "residency map",
    "residency prove",
    "residency verify",
    "scheduler replay",
    "scheduler snapshot",
    "site create",
    "site power-cap",
    "site revoke",
    "site update",
    "snapshot restore",
    "snapshot save",
    "snapshot inspect",
    "support-bundle",
    "tenant create",
    "tenant delete",
    "tenant plan",
    "tenant update",
    "version",
    "veto add",
    "veto lift",
    "watch",
];

/// A federation of one member with fixed answers.
pub(crate) struct Fixed {
    dir: tempfile::TempDir,
    _server: Server,
    contexts: PathBuf,
}

impl Fixed {
    pub(crate) fn new(answers: Answers) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::dev::test_federation(dir.path());
        let server = Server::start(&path, answers);
        let mut contexts = crate::context::Contexts::load(&path).unwrap();
        for context in contexts.context.values_mut() {
            context.endpoints.truncate(1);
            context.endpoints[0].address = server.addr.to_string();
        }
        contexts.save(&path).unwrap();
        Self { dir, _server: server, contexts: path }
    }

    pub(crate) fn full() -> Self {
        Self::new(full())
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn contexts(&self) -> &Path {
        &self.contexts
    }

    pub(crate) fn run(&self, line: &str, language: Language, width: u16) -> Said {
        said(Some(&self.contexts), line, language, width)
    }
}

/// What a run printed, and how it ended.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) exit: Exit,
}

pub(crate) fn said(contexts: Option<&Path>, line: &str, language: Language, width: u16) -> Said {
    let lang = crate::language::pick(language, "en", "ja");
    let mut words: Vec<OsString> = ["sekisho", "--lang", lang].map(OsString::from).to_vec();
    if let Some(contexts) = contexts {
        words.extend(["--config".into(), contexts.into(), "--context".into(), "kanto".into()]);
    }
    words.extend(line.split(' ').map(OsString::from));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let around = Surroundings {
        out: &mut out,
        err: &mut err,
        // Without colour, as for a file; with a width, as for a terminal.
        variable: &|name| (name == "TERM").then(|| "dumb".to_owned()),
        width: Some(width),
        messages_seen: false,
    };
    let exit = program::run(&words, around);
    Said { out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap(), exit }
}

/// A command line with everything that it said.
fn screen(text: &mut String, line: &str, width: u16, said: &Said) {
    writeln!(text, "$ sekisho {line}   [{width} columns, exit {}]", said.exit as u8).unwrap();
    text.push_str(&said.out);
    said.err.lines().for_each(|line| writeln!(text, "! {line}").unwrap());
    text.push('\n');
}

fn golden(name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(name);
    if std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(&path, said).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = kept.lines().zip(said.lines()).position(|(kept, said)| kept != said);
    let at = differ.unwrap_or_else(|| kept.lines().count().min(said.lines().count()));
    let (was, is) = (kept.lines().nth(at), said.lines().nth(at));
    assert!(
        kept == said,
        "src/golden/{name}, line {}:\n was {was:?}\n is  {is:?}\nIf that is meant: run this test with \
         SEKISHO_GOLDEN=write and read the difference.",
        at + 1
    );
}

#[test]
fn every_verb_is_shown_here_or_is_known_not_to_be() {
    let is_shown = |verb: &str| {
        let begins = |line: &&&str| **line == verb || line.starts_with(&format!("{verb} "));
        READS.iter().find(begins).is_some() || NOT_SHOWN.contains(&verb)
    };
    let verbs: Vec<String> = help::leaves();
    let open: Vec<&String> = verbs.iter().filter(|verb| !is_shown(verb)).collect();
    assert!(
        open.is_empty(),
        "in controlplane/cli/src/golden.rs add a line to READS, with its answer in golden/answers.rs, or the verb to NOT_SHOWN: \
         {open:#?}"
    );
    let gone: Vec<_> =
        NOT_SHOWN.iter().filter(|verb| !verbs.contains(&(**verb).to_owned())).collect();
    assert!(gone.is_empty(), "take out of NOT_SHOWN in golden.rs: {gone:?}");
}

#[test]
fn reads_say_what_they_said_in_both_languages_and_widths() {
    let federation = Fixed::full();
    for (language, name) in [(Language::En, "reads.en.txt"), (Language::Ja, "reads.ja.txt")] {
        let mut text = String::new();
        for line in READS {
            for width in [80, 120] {
                let said = federation.run(line, language, width);
                let over: Vec<&str> =
                    said.out.lines().filter(|line| line.width() > usize::from(width)).collect();
                assert!(over.is_empty(), "{line} at {width}: {over:#?}");
                assert_eq!(said.exit, Exit::Ok, "{line}: {}", said.err);
                screen(&mut text, line, width, &said);
            }
        }
        golden(name, &text);
    }
}

#[test]
fn data_is_the_same_in_either_language_and_form() {
    let federation = Fixed::full();
    let mut text = String::new();
    for line in READS {
        let json = federation.run(&format!("{line} -o json"), Language::En, 80);
        assert_eq!(
            json.out,
            federation.run(&format!("{line} -o json"), Language::Ja, 80).out,
            "{line}"
        );
        let yaml = federation.run(&format!("{line} -o yaml"), Language::Ja, 80).out;
        let of_json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
        let of_yaml: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(of_json, of_yaml, "{line}");
        screen(&mut text, &format!("{line} -o json"), 80, &json);
        let wide = federation.run(&format!("{line} -o wide"), Language::En, 80);
        screen(&mut text, &format!("{line} -o wide"), 80, &wide);
    }
    golden("data.txt", &text);
}

#[test]
fn errors_and_empty_lists_are_explained_in_both_languages() {
    let (none, refuses) = (Fixed::new(empty()), Fixed::new(refusing()));
    for (language, name) in [(Language::En, "errors.en.txt"), (Language::Ja, "errors.ja.txt")] {
        let mut text = String::new();
        for line in ["site list", "job list", "quota list -o json"] {
            screen(&mut text, line, 80, &none.run(line, language, 80));
        }
        let lines = [
            ("job status sapporo/gone", Exit::NotFound),
            ("site list", Exit::Auth),
            ("member transfer 2", Exit::Conflict),
            ("job explain sapporo/train", Exit::Precondition),
            ("quota list", Exit::Error),
            ("site revoke tokyo-1", Exit::Usage),
            ("jab list", Exit::Usage),
            ("job list --tenent x", Exit::Usage),
            ("job list -o csv", Exit::Usage),
        ];
        for (line, exit) in lines {
            let said = refuses.run(line, language, 80);
            assert_eq!(said.exit, exit, "{line}: {}", said.err);
            screen(&mut text, line, 80, &said);
        }
        golden(name, &text);
        // How often was tried depends on the machine.
        let said = refuses.run("node list --timeout 1s", language, 80);
        assert_eq!(said.exit, Exit::NoLeader, "{}", said.err);
        assert!(said.err.contains("NO_LEADER"), "{}", said.err);
    }
}

#[test]
fn a_plan_ends_as_the_job_would() {
    let federation = Fixed::new(plans());
    let line = format!("job plan {}", federation.contexts().with_file_name("job.yaml").display());
    for (exit, next) in [
        (Exit::Ok, Some("--if-plan placed-now@4711")),
        (Exit::WouldWait, Some("--if-plan would-wait@4711")),
        (Exit::Never, None),
    ] {
        let said = federation.run(&line, Language::En, 80);
        assert_eq!(said.exit, exit, "{}", said.err);
        match next {
            Some(next) => assert!(said.err.contains(next), "{}", said.err),
            None => assert!(!said.err.contains("--if-plan"), "{}", said.err),
        }
    }
}

#[test]
fn a_watch_tells_each_change_once() {
    let federation = Fixed::new(changing());
    let said = federation.run("job list --watch -o json", Language::En, 80);
    assert_eq!(said.exit, Exit::Auth, "{}", said.err);
    let lines: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = lines.iter().map(|line| {
        let (change, item) = (line["change"].as_str().unwrap(), &line["item"]);
        format!("{change} {} {}", item["name"].as_str().unwrap(), item["phase"].as_str().unwrap())
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "is tenants/sapporo/jobs/train running",
            "new tenants/sapporo/jobs/next queued",
            "changed tenants/sapporo/jobs/train succeeded",
        ]
    );
}

#[test]
fn sites_that_nobody_answers_at_are_said_to_be_so() {
    let dir = tempfile::tempdir().unwrap();
    let contexts = crate::dev::test_federation(dir.path());
    for language in [Language::En, Language::Ja] {
        let said = said(Some(&contexts), "site list --timeout 1s", language, 80);
        assert!(matches!(said.exit, Exit::NoLeader | Exit::Timeout), "{}", said.err);
        assert!(said.out.is_empty() && said.err.contains("127.0.0.1:"), "{}", said.err);
    }
}

#[test]
fn help_says_what_it_said_in_both_languages_and_widths() {
    for (language, name) in [(Language::En, "help.en.txt"), (Language::Ja, "help.ja.txt")] {
        let mut text = String::new();
        for verb in std::iter::once(String::new()).chain(help::leaves()) {
            let line = format!("{verb} --help").trim_start().to_owned();
            let said = said(None, &line, language, 80);
            assert_eq!((said.exit, said.err.as_str()), (Exit::Ok, ""), "{line}");
            // What is the same for every verb stands here once.
            let common = crate::language::pick(language, "\nGlobal options:", "\n共通オプション:");
            let cut = if verb.is_empty() { None } else { said.out.find(common) };
            let out = said.out.get(..cut.unwrap_or(said.out.len())).unwrap().to_owned();
            screen(&mut text, &line, 80, &Said { out, ..said });
        }
        for line in ["--help", "job submit --help", "help exit-codes"] {
            screen(&mut text, line, 120, &said(None, line, language, 120));
        }
        golden(name, &text);
    }
}

/// A reader that has had enough.
struct Gone;

impl std::io::Write for Gone {
    fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_ends_the_program_in_silence() {
    let federation = Fixed::full();
    let config = federation.contexts().display().to_string();
    for line in [format!("--config {config} job list"), "--help".to_owned(), "version".to_owned()] {
        let words = format!("sekisho {line}");
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        let mut err = Vec::new();
        let around = Surroundings {
            out: &mut Gone,
            err: &mut err,
            variable: &|_| None,
            width: None,
            messages_seen: false,
        };
        assert_eq!(program::run(&words, around), Exit::Ok, "{line}");
        assert_eq!(String::from_utf8(err).unwrap(), "", "{line}");
    }
}

#[test]
fn an_answer_that_does_not_come_ends_with_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::dev::test_federation(dir.path());
    let silent = Silent::start(&path);
    let mut contexts = crate::context::Contexts::load(&path).unwrap();
    let context = contexts.context.get_mut("kanto").unwrap();
    context.endpoints.truncate(1);
    context.endpoints[0].address = silent.addr.to_string();
    contexts.save(&path).unwrap();
    assert_eq!(said(Some(&path), "site list --timeout 1s", Language::En, 80).exit, Exit::Timeout);
}
