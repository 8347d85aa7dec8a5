//! A host that is well, and the same host broken in each way that can be made here.

use super::*;
use crate::durable;
use crate::enrolment::tests::joined;
use sekisho_agent_core::ledger::Ledger;
use sekisho_doctor::check::Level;
use sekisho_doctor::report::Format;
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::Language;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// The real clock, moved.
#[derive(Debug)]
struct Moved(i64);

impl Clock for Moved {
    fn wall(&self) -> Timestamp {
        Timestamp(SystemClock.wall().0.saturating_add_signed(self.0))
    }
    fn boottime_ns(&self) -> u64 {
        SystemClock.boottime_ns()
    }
}

/// A joined host with simulated devices, on which nothing runs.
struct Host {
    dir: tempfile::TempDir,
}

const DAY_MS: i64 = 86_400_000;

impl Host {
    fn new() -> Self {
        let host = Self::empty();
        let enrolment = joined();
        let ledger = Ledger::new(enrolment.node.clone(), enrolment.bundle.clone());
        LedgerFile::of(&host.data()).store(&ledger).unwrap();
        enrolment.store(&host.data()).unwrap();
        host
    }

    /// One that has not joined.
    fn empty() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(host.data()).unwrap();
        fs::set_permissions(host.data(), Permissions::from_mode(0o711)).unwrap();
        host.settings("area = '012351'\n");
        host
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn settings(&self, first: &str) {
        let text = format!(
            "{first}data_dir = '{}'\n[devices]\nkind = 'simulated'\n\
             groups = [{{ class = 'l4', memory_mib = 1024, islands = 0, devices = 2 }}]",
            self.data().display()
        );
        fs::write(self.dir.path().join("agent.toml"), text).unwrap();
    }

    fn report(&self, moved: i64, offline: bool) -> Report {
        let config = self.dir.path().join("agent.toml");
        let args = DoctorArgs { config, output: Format::Json, lang: None, offline };
        let shim = ShimCommand { program: "/bin/true".into(), args: Vec::new() };
        let with = Examined { shim, clock: Arc::new(Moved(moved)) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(examine(&args, &with))
    }

    fn codes(&self) -> BTreeSet<&'static str> {
        codes(&self.report(0, true))
    }

    fn has(&self, code: &str) {
        let codes = self.codes();
        assert!(codes.contains(code), "{code} is not in {codes:?}");
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.data().join(name), Permissions::from_mode(mode)).unwrap();
    }
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.findings().iter().map(|found| found.outcome.code).collect()
}

/// Every file with its length and the time of its last change.
fn listing(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let data = entry.metadata().unwrap();
        found.insert(entry.path(), (data.len(), data.modified().unwrap()));
        if data.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found
}

#[test]
fn a_joined_host_is_told_whole_and_nothing_on_it_changes() {
    let host = Host::new();
    let before = listing(host.dir.path());
    let report = host.report(0, true);
    assert_eq!(listing(host.dir.path()), before);
    let codes = codes(&report);
    for code in [
        "SETTINGS_READ",
        "AREA_INSIDE",
        "RUNNING_NO",
        "DATA_DIR_SOUND",
        "SYNC_FAST",
        "RUNTIME_DIR_SOUND",
        "ENROLMENT_SOUND",
        "LEDGER_SOUND",
        "CERTIFICATE_SOUND",
        "CHAIN_SOUND",
        "ROOTS_SOUND",
        "TAG_SOUND",
        "WALL_SOUND",
        "BOOT_RUNS",
        "KERNEL_SOUND",
        "NAMESPACES_DIRECT",
        "DEVICES_SOUND",
        "TRACES_NONE",
        "OUTPUT_ENOUGH",
        "WATCHDOG_IDLE",
        "RESOLVER_NONE",
        "MEMBER_OFFLINE",
    ] {
        assert!(
            codes.contains(code),
            "{code}: {}",
            report.shown(Format::Table, Language::En, 99, false)
        );
    }
    let whose = |found: &&Finding| found.level() == Level::Failure;
    assert_eq!(report.findings().iter().find(whose), None);
}

#[test]
fn a_host_before_it_joins_is_told_what_to_do_next() {
    let host = Host::empty();
    let report = host.report(0, false);
    let codes = codes(&report);
    for code in ["ENROLMENT_NONE", "LEDGER_NONE", "CERTIFICATE_NONE", "TAG_NONE", "MEMBER_UNJOINED"]
    {
        assert!(codes.contains(code), "{code}");
    }
    assert!(!report.failed(), "{}", report.shown(Format::Table, Language::En, 80, false));
    host.settings("area = '012351'\ntoken = '/nonexistent/token'\n");
    host.has("PATH_MISSING");
    fs::remove_dir(host.data()).unwrap();
    host.has("DATA_DIR_MISSING");
    host.settings("area = 'KR-26'\n");
    host.has("AREA_ABROAD");
    host.settings("area = '012351'\nlisten = 'me'\n");
    let codes = host.codes();
    assert!(codes.contains("SETTINGS_REFUSED") && codes.contains("KERNEL_SOUND"), "{codes:?}");
    assert!(!codes.contains("DATA_DIR_SOUND"), "{codes:?}");
}

#[test]
fn what_was_written_down_and_is_damaged_lost_or_shown_fails() {
    let host = Host::new();
    let ledger = host.data().join("ledger");
    let whole = fs::read(&ledger).unwrap();
    let mut flipped = whole.clone();
    flipped[60] ^= 1;
    fs::write(&ledger, flipped).unwrap();
    host.has("LEDGER_BAD");
    fs::remove_file(&ledger).unwrap();
    host.has("LEDGER_BAD");
    fs::write(&ledger, whole).unwrap();
    host.has("LEDGER_SOUND");
    host.mode("enrolment", 0o644);
    host.has("ENROLMENT_SHOWN");
    host.mode("enrolment", 0o600);
    host.mode("", 0o777);
    host.has("DATA_DIR_OPEN");
    host.mode("", 0o711);
    host.settings("node = 'ishikari-1/n-02'\narea = '012351'\n");
    host.has("ENROLMENT_STRANGE");
    durable::write(&host.data().join("enrolment"), *b"SKENRL\0\x01", b"rubbish").unwrap();
    host.has("ENROLMENT_DAMAGED");
}

#[test]
fn a_clock_that_was_set_back_or_forward_shows_in_all_that_counts_on_it() {
    let host = Host::new();
    let later = codes(&host.report(DAY_MS, true));
    for code in ["CERTIFICATE_OVER", "CHAIN_REFUSED", "TAG_REFUSED", "WALL_SOUND"] {
        assert!(later.contains(code), "{code} is not in {later:?}");
    }
    // Fifty minutes of the hour are over: both should have been renewed.
    let due = codes(&host.report(50 * 60_000, true));
    assert!(due.contains("CERTIFICATE_ENDS") && due.contains("TAG_ENDS"), "{due:?}");
    let earlier = codes(&host.report(-DAY_MS, true));
    for code in ["WALL_BEHIND", "CERTIFICATE_EARLY", "TAG_REFUSED"] {
        assert!(earlier.contains(code), "{code} is not in {earlier:?}");
    }
}

#[test]
fn certificate_and_tag_of_others_are_refused() {
    let host = Host::new();
    let (own, other) = (joined(), joined());
    let store = |enrolment: Enrolment| enrolment.store(&host.data()).unwrap();
    store(Enrolment { chain_pem: other.chain_pem.clone(), ..own.clone() });
    host.has("CERTIFICATE_BAD");
    store(Enrolment { roots: other.roots.clone(), ..own.clone() });
    host.has("CHAIN_REFUSED");
    store(Enrolment { tag: other.tag, ..own.clone() });
    host.has("TAG_REFUSED");
    store(Enrolment { roots: Vec::new(), ..own });
    host.has("ROOTS_BAD");
}

#[test]
fn a_running_agent_is_seen_by_its_lock_and_needs_a_watchdog() {
    let host = Host::new();
    let lock = File::create(host.data().join("lock")).unwrap();
    lock.lock().unwrap();
    let codes = host.codes();
    assert!(codes.contains("RUNNING_YES") && codes.contains("WATCHDOG_NONE"), "{codes:?}");
    let root = host.data().join("placements");
    let watchdog = Guard::Watchdog.take(&root).unwrap();
    host.has("WATCHDOG_RUNS");
    drop(watchdog);
    host.has("WATCHDOG_NONE");
    drop(lock);
    host.has("WATCHDOG_IDLE");
}

#[test]
fn members_that_do_not_answer_are_counted_against_k() {
    let host = Host::new();
    // Nobody listens on the first ports.
    let mut enrolment = joined();
    enrolment.members[0].address = "127.0.0.1:9".to_owned();
    enrolment.store(&host.data()).unwrap();
    let codes = codes(&host.report(0, false));
    for code in ["MEMBER_UNREACHABLE", "OPERATORS_FEW", "MEMBERS_UNHEARD"] {
        assert!(codes.contains(code), "{code} is not in {codes:?}");
    }
}

#[test]
fn a_directory_without_programs_is_told() {
    let room = |noexec| data::Room { free: 1, size: 1, inodes: None, noexec };
    let code = |noexec| judge_runtime_dir(Path::new("/d"), room(noexec)).outcome.code;
    assert_eq!((code(true), code(false)), ("RUNTIME_DIR_NOEXEC", "RUNTIME_DIR_SOUND"));
}
