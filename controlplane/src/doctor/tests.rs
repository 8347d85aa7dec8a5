//! A member that is well, and the same one broken in each way that can be made here.

use super::*;
use sekisho_cli::pki::{CHECKPOINT_FILE, OperatorDir, Plan, SITE_TAG_FILE, genesis};
use sekisho_doctor::report::Format;
use sekisho_evidence::genesis::GenesisSite;
use sekisho_store::Store;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::file::REGISTRAR_KEY_FILE;
use sekisho_transport::probe::{Port, port};
use sekisho_transport::task::TaskGroup;
use sekisho_types::error_code::Language;
use sekisho_types::id::MemberId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{Role, TrustDomain};
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

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

const DAY_MS: i64 = 86_400_000;

/// A company with one controller, which was started once and does not run.
struct Site {
    dir: tempfile::TempDir,
    own: OperatorDir,
    port: u16,
}

/// One that nobody has, other for each process.
fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 5000).unwrap();
    let free = |at: &u16| matches!(port(SocketAddr::from(([127, 0, 0, 1], *at))), Port::Free);
    (first..).find(free).unwrap()
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = OperatorDir::new(dir.path().join("kanto"));
        let port = free_port();
        let plan = Plan {
            operator: "kanto".parse().unwrap(),
            trust_domain: TrustDomain::parse("kanto.example").unwrap(),
            site: GenesisSite {
                site: "tokyo-1".parse().unwrap(),
                operator: "kanto".parse().unwrap(),
                area: Area::resolve("131016").unwrap(),
                display_name: "tokyo-1".to_owned(),
            },
            members: vec![(MemberId(1), format!("127.0.0.1:{port}"))],
            admin: "admin".parse().unwrap(),
        };
        let now = SystemClock.wall();
        let card = own.init(&plan, &[], now).unwrap();
        let made = genesis::assemble(&[card], true, now).unwrap();
        let signed = genesis::sign(made, std::slice::from_ref(&own)).unwrap();
        fs::write(dir.path().join("genesis.bin"), genesis::bytes(&signed).unwrap()).unwrap();
        let site = Self { dir, own, port };
        site.settings(|text| text);
        let config = site.config();
        fs::create_dir(&config.data_dir).unwrap();
        fs::set_permissions(&config.data_dir, Permissions::from_mode(0o700)).unwrap();
        site
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("controller.toml")
    }

    fn config(&self) -> Config {
        Config::load(&self.path()).unwrap()
    }

    fn settings(&self, change: impl Fn(String) -> String) {
        let (dir, own) = (self.dir.path().display(), &self.own);
        let member = own.member(MemberId(1));
        let text = format!(
            "member = 1\noperator = 'kanto'\nsite = 'tokyo-1'\ndata_dir = '{dir}/data'\n\
             listen = '127.0.0.1:{}'\ngenesis = '{dir}/genesis.bin'\nidentity_dir = '{}'\n\
             issuer_dir = '{}'\nsite_tag_key = '{}'\ncheckpoint_key = '{}'\n",
            self.port,
            member.display(),
            own.site(&"tokyo-1".parse().unwrap()).display(),
            own.path().join(SITE_TAG_FILE).display(),
            member.join(CHECKPOINT_FILE).display(),
        );
        fs::write(self.path(), change(text)).unwrap();
    }

    /// Sets the directory up as a start does; the member runs while the store lives.
    fn store(&self) -> Store {
        let (config, clock) = (self.config(), Arc::new(SystemClock));
        let ground = Ground::read(&config).unwrap();
        Store::open(&ground.open_request(&config, Some(clock.wall().0), clock)).unwrap()
    }

    fn report(&self, moved: i64) -> Report {
        let config = self.path();
        let args = DoctorArgs { config, output: Format::Json, lang: None, offline: false };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(examine(&args, Arc::new(Moved(moved))))
    }

    fn codes(&self) -> BTreeSet<&'static str> {
        codes(&self.report(0))
    }

    fn has(&self, code: &str) {
        let codes = self.codes();
        assert!(codes.contains(code), "{code} is not in {codes:?}");
    }
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.findings().iter().map(|found| found.outcome.code).collect()
}

#[test]
fn a_member_is_told_whole_before_and_after_its_first_start_and_while_it_runs() {
    let site = Site::new();
    let first = site.report(0);
    let found = codes(&first);
    for code in [
        "SETTINGS_READ",
        "RUNNING_NO",
        "DATA_DIR_SOUND",
        "SYNC_FAST",
        "GROUND_SOUND",
        "DIRECTORY_NEW",
        "CERTIFICATE_SOUND",
        "CHAIN_SOUND",
        "ROOTS_SOUND",
        "CHECKPOINT_KEY_SOUND",
        "ISSUER_SOUND",
        "WALL_SOUND",
        "BOOT_RUNS",
        "LISTEN_FREE",
        "RESOLVER_NONE",
        "MAJORITY_SEEN",
        "MEMBERS_UNHEARD",
    ] {
        assert!(
            found.contains(code),
            "{code}: {}",
            first.shown(Format::Table, Language::En, 99, false)
        );
    }
    assert!(fs::read_dir(site.config().data_dir).unwrap().next().is_none(), "nothing was made");
    let runs = site.store();
    let running = site.codes();
    assert!(running.contains("RUNNING_YES") && running.contains("DIRECTORY_SOUND"), "{running:?}");
    // It holds its directory and does not listen.
    assert!(running.contains("LISTEN_SILENT"), "{running:?}");
    drop(runs);
    let stopped = site.codes();
    assert!(stopped.contains("RUNNING_NO") && stopped.contains("DIRECTORY_SOUND"), "{stopped:?}");
}

#[test]
fn a_directory_of_another_member_or_with_a_part_lost_fails() {
    let site = Site::new();
    drop(site.store());
    site.settings(|text| text.replace("member = 1", "member = 2"));
    let strange = site.codes();
    for code in ["DIRECTORY_FOREIGN", "GROUND_STRANGER", "CERTIFICATE_STRANGE"] {
        assert!(strange.contains(code), "{code} is not in {strange:?}");
    }
    site.settings(|text| text);
    let data = site.config().data_dir;
    fs::remove_file(data.join("log.mark")).unwrap();
    site.has("DIRECTORY_INCOMPLETE");
    fs::write(data.join("identity"), "rubbish").unwrap();
    site.has("DIRECTORY_FOREIGN");
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    site.has("DATA_DIR_SHOWN");
}

#[test]
fn keys_that_are_missing_shown_or_of_others_are_told() {
    let site = Site::new();
    let member = site.own.member(MemberId(1));
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&member.join("identity.key"), 0o644);
    site.has("KEY_SHOWN");
    mode(&member.join("identity.key"), 0o600);
    let (key, other) = (member.join(CHECKPOINT_FILE), site.own.path().join(SITE_TAG_FILE));
    let (own, tags) = (fs::read(&key).unwrap(), fs::read(&other).unwrap());
    fs::write(&key, &tags).unwrap();
    site.has("CHECKPOINT_KEY_OTHER");
    fs::write(&key, "rubbish").unwrap();
    site.has("CHECKPOINT_KEY_BAD");
    fs::remove_file(&key).unwrap();
    site.has("CHECKPOINT_KEY_NONE");
    fs::write(&other, &own).unwrap();
    site.has("ISSUER_BAD");
    fs::remove_file(&other).unwrap();
    site.has("ISSUER_NONE");
    fs::copy(site.own.path().join("root.pem"), member.join("identity.pem")).unwrap();
    site.has("CERTIFICATE_BAD");
    fs::write(site.dir.path().join("genesis.bin"), "rubbish").unwrap();
    let ground = site.codes();
    assert!(ground.contains("GROUND_BAD") && ground.contains("CHAIN_UNKNOWN"), "{ground:?}");
    fs::remove_file(site.dir.path().join("genesis.bin")).unwrap();
    site.has("PATH_MISSING");
    site.settings(|text| text.replace("site =", "sight ="));
    site.has("SETTINGS_REFUSED");
}

#[test]
fn a_registrar_that_ends_and_rules_that_give_too_much_are_told() {
    let site = Site::new();
    site.has("LOGIN_NONE");
    let (name, now) = ("registrar".parse().unwrap(), SystemClock.wall());
    let quarter = Duration::from_secs(90 * 86_400);
    let (dir, _) = site.own.registrar(name, &[Role::Monitor], quarter, now).unwrap();
    let login = |role: &str| {
        let (dir, root) = (dir.display(), site.own.path().join("root.pem").display().to_string());
        let table = format!(
            "[login]\nissuer = 'https://id.example'\nclient_id = 'sekisho'\nregistrar_dir = '{dir}'\n\
             jwks_url = 'https://192.0.2.1/keys'\nroots = '{root}'\n\
             rule = [{{ claim = 'groups', value = 'ops', role = '{role}' }}]\n"
        );
        site.settings(|text| text + &table);
    };
    login("monitor");
    site.has("LOGIN_SOUND");
    let later = |days: i64| codes(&site.report(days * DAY_MS));
    assert!(later(80).contains("LOGIN_ENDS"));
    assert!(later(91).contains("LOGIN_OVER"));
    login("tenant-user:sapporo");
    site.has("LOGIN_BAD");
    login("monitor");
    let key = dir.join(REGISTRAR_KEY_FILE);
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    site.has("KEY_SHOWN");
    fs::remove_file(key).unwrap();
    site.has("LOGIN_BAD");
}

#[test]
fn time_ends_certificates_issuers_and_roots() {
    let site = Site::new();
    let later = |days: i64| codes(&site.report(days * DAY_MS));
    let due = later(6);
    assert!(due.contains("CERTIFICATE_ENDS") && due.contains("CHAIN_SOUND"), "{due:?}");
    let over = later(8);
    assert!(over.contains("CERTIFICATE_OVER") && over.contains("CHAIN_REFUSED"), "{over:?}");
    assert!(later(330).contains("ISSUER_ENDS"));
    assert!(later(366).contains("ISSUER_OVER"));
    let decade = later(3640);
    assert!(decade.contains("ROOT_ENDS"), "{decade:?}");
    assert!(later(3660).contains("ROOT_OVER"));
    let before = later(-400);
    assert!(before.contains("WALL_BEHIND") && before.contains("CERTIFICATE_EARLY"), "{before:?}");
}

#[test]
fn a_port_of_somebody_else_fails() {
    let site = Site::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = site.config();
    let identity = Identity::load(&config.identity_dir).unwrap();
    let (trust, tasks) = (TrustBundles::new(Arc::new(SystemClock)), TaskGroup::new());
    let other = Listener::bind(config.listen, &identity, &trust, &tasks, Limits::default());
    let other = runtime.block_on(other).unwrap();
    site.has("LISTEN_TAKEN");
    drop((other, runtime));
    site.has("LISTEN_FREE");
    site.settings(|text| text.replace("listen = '127.0.0.1", "listen = '192.0.2.1"));
    site.has("LISTEN_REFUSED");
}
