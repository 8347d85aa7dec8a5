//! Logging in by a file, up to where a member is asked; and what of each file is refused.

use super::request::{SignedRequest, SigningRequest};
use super::*;
use crate::args::{Cli, Command as Line};
use crate::context::Root;
use crate::output::Output;
use crate::pki::login::Grant;
use crate::pki::{OperatorDir, Plan};
use clap::Parser as _;
use sekisho_evidence::genesis::GenesisSite;
use sekisho_evidence::voucher::Voucher;
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{LoginRole, Role, TrustDomain};
use sekisho_types::time::Timestamp;
use std::os::unix::fs::PermissionsExt as _;

struct Stage {
    dir: tempfile::TempDir,
}

fn plan(operator: &str) -> Plan {
    let operator: OperatorId = operator.parse().unwrap();
    Plan {
        trust_domain: TrustDomain::parse(&format!("{operator}.example")).unwrap(),
        site: GenesisSite {
            site: "tokyo-1".parse().unwrap(),
            operator: operator.clone(),
            area: Area::resolve("131016").unwrap(),
            display_name: String::new(),
        },
        operator,
        members: vec![],
        admin: "admin".parse().unwrap(),
    }
}

impl Stage {
    fn new() -> Self {
        let stage = Self { dir: tempfile::tempdir().unwrap() };
        for operator in ["kanto", "naniwa"] {
            stage.operator(operator).init(&plan(operator), &[], now()).unwrap();
        }
        let context = Context {
            cluster: sekisho_types::id::ClusterId([1; 16]),
            incarnation: sekisho_types::revision::Incarnation(1),
            bundle_version: 0,
            bundle: None,
            operator: "kanto".parse().unwrap(),
            identity: "none.pem".into(),
            identity_key: "none.key".into(),
            signing_key: None,
            dev: false,
            resolvers: Vec::new(),
            login: None,
            endpoints: Vec::new(),
            roots: vec![Root {
                operator: "kanto".parse().unwrap(),
                trust_domain: TrustDomain::parse("kanto.example").unwrap(),
                file: stage.operator("kanto").path().join("root.pem"),
            }],
        };
        let context = [("kanto".to_owned(), context)].into();
        Contexts { current: None, context }.save(&stage.path("contexts.toml")).unwrap();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn operator(&self, name: &str) -> OperatorDir {
        OperatorDir::new(self.path(name))
    }

    fn run(&self, words: &[&str]) -> Result<(), Failure> {
        let config = self.path("contexts.toml").display().to_string();
        let cli = Cli::try_parse_from([&["sekisho", "--config", &config], words].concat()).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut app = App::new(Output::new(&mut out, &mut err), cli.global);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Box::pin(crate::command::run(&mut app, cli.command))).map(|_exit| ())
    }

    fn request(&self) -> SigningRequest {
        let path = self.path("request.json");
        self.run(&["login", "--csr-out", &path.display().to_string()]).unwrap();
        SigningRequest::read(&path).unwrap()
    }

    /// What accepting this would say before a member is asked.
    fn judged(&self, signed: &SignedRequest) -> Result<(), Failure> {
        let path = self.path("signed.json");
        signed.write(&path).unwrap();
        self.run(&["login", "--accept", &path.display().to_string()])
    }
}

fn now() -> Timestamp {
    use sekisho_types::time::Clock as _;
    sekisho_transport::clock::SystemClock.wall()
}

fn robot() -> Grant {
    let role = Role::TenantUser("sapporo".parse().unwrap());
    Grant { name: "robot".parse().unwrap(), role, hours: 12 }
}

#[test]
fn a_request_becomes_a_record_that_the_issuer_vouches_for_and_keys_stay_where_they_are() {
    let stage = Stage::new();
    let request = stage.request();
    let text = std::fs::read_to_string(stage.path("request.json")).unwrap();
    assert!(!text.contains("PRIVATE"), "{text}");
    let folders: Vec<_> = std::fs::read_dir(stage.path(FOLDER)).unwrap().collect();
    assert_eq!(folders.len(), 1);
    let folder = folders[0].as_ref().unwrap().path();
    for name in [KEY_FILE, pki::SIGN_FILE] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let kanto = stage.operator("kanto");
    let signed = kanto.sign_request(&request, robot(), now()).unwrap();
    assert_eq!(signed.record.principal.to_string(), "kanto/user/robot");
    let keys = kanto.card().unwrap().keys;
    assert_eq!(Voucher::Issuer(signed.issuer).check(&keys, &signed.record), Ok(()));
    // All of it is in order: what is missing is a member to ask.
    let failure = stage.judged(&signed).unwrap_err();
    assert!(failure.detail.contains("endpoints"), "{failure:?}");
    let contexts = Contexts::load(&stage.path("contexts.toml")).unwrap();
    assert!(contexts.context["kanto"].identity.ends_with("none.pem"), "nothing was replaced");
}

#[test]
fn requests_that_prove_nothing_or_go_to_another_are_not_signed() {
    let stage = Stage::new();
    let (kanto, request) = (stage.operator("kanto"), stage.request());
    let code = |request: &SigningRequest, grant: Grant| {
        kanto.sign_request(request, grant, now()).unwrap_err().code
    };
    let other = stage.request();
    let mixed = SigningRequest { csr: other.csr.clone(), ..request.clone() };
    assert_eq!(code(&mixed, robot()), ErrorCode::SignatureInvalid);
    let stolen = SigningRequest { public_key: other.public_key, ..request.clone() };
    assert_eq!(code(&stolen, robot()), ErrorCode::SignatureInvalid);
    let broken = SigningRequest { csr: "nonsense".into(), ..request.clone() };
    assert_eq!(code(&broken, robot()), ErrorCode::SignatureInvalid);
    let elsewhere = SigningRequest { operator: "naniwa".parse().unwrap(), ..request.clone() };
    assert_eq!(code(&elsewhere, robot()), ErrorCode::InvalidArgument);
    for role in [Role::FederationAdmin, Role::Registrar(vec![LoginRole::Monitor])] {
        assert_eq!(code(&request, Grant { role, ..robot() }), ErrorCode::InvalidArgument);
    }
    for hours in [0, 13, u64::MAX] {
        assert_eq!(code(&request, Grant { hours, ..robot() }), ErrorCode::InvalidArgument);
    }
}

#[test]
fn an_answer_that_is_not_for_these_keys_is_not_taken() {
    let stage = Stage::new();
    let (kanto, request) = (stage.operator("kanto"), stage.request());
    let good = kanto.sign_request(&request, robot(), now()).unwrap();
    let says = |signed: &SignedRequest, words: &str| {
        let failure = stage.judged(signed).unwrap_err();
        assert!(failure.detail.contains(words), "{words}: {failure:?}");
    };
    // Of a request that was made elsewhere.
    let elsewhere = Stage::new().request();
    let foreign = kanto.sign_request(&elsewhere, robot(), now()).unwrap();
    assert_eq!(stage.judged(&foreign).unwrap_err().code, ErrorCode::NotFound);
    // Certificate and record of two people, or of two requests.
    let bob = Grant { name: "bob".parse().unwrap(), ..robot() };
    let bob = kanto.sign_request(&request, bob, now()).unwrap();
    says(&SignedRequest { record: bob.record, ..good.clone() }, "one person");
    says(&SignedRequest { record: foreign.record, ..good.clone() }, "one person");
    // Of another company, over.
    let principal = "naniwa/user/robot".parse().unwrap();
    let record = KeyRecord { principal, ..good.record.clone() };
    says(&SignedRequest { record, ..good.clone() }, "naniwa");
    let record = KeyRecord { expires: Timestamp(1), ..good.record.clone() };
    says(&SignedRequest { record, ..good.clone() }, "ended");
    says(&SignedRequest { certificate_chain: "none".into(), ..good }, "chain");
    let path = stage.path("signed.json");
    for text in ["", "{}", "[]", r#"{"record":1}"#] {
        std::fs::write(&path, text).unwrap();
        let failure = stage.run(&["login", "--accept", &path.display().to_string()]).unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidArgument, "{text}");
    }
}

#[test]
fn a_registrar_is_made_once_and_issues_for_people_alone() {
    let stage = Stage::new();
    let kanto = stage.operator("kanto");
    let make = || {
        let roles = &[Role::Monitor];
        kanto.registrar("registrar".parse().unwrap(), roles, Duration::from_secs(86_400), now())
    };
    let (dir, issued) = make().unwrap();
    assert_eq!(issued.record.role.to_string(), "registrar:monitor");
    let again = make().unwrap().1;
    assert_eq!(again.record.public_key, issued.record.public_key, "the key stays");
    let people = sekisho_transport::pki::Issuer::load(&dir).unwrap();
    let validity =
        sekisho_transport::pki::Validity { now: now(), lifetime: Duration::from_secs(3600) };
    people.issue_user(&"alice".parse().unwrap(), validity).unwrap();
    people.issue_member(&"tokyo-1".parse().unwrap(), 1, &[], None, validity).unwrap_err();
    let wide = &[Role::FederationAdmin];
    let refused = kanto.registrar("r".parse().unwrap(), wide, Duration::from_secs(1), now());
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
}

#[test]
fn what_is_no_login_is_not_logged_out_and_a_context_must_be_the_operators() {
    let stage = Stage::new();
    let failure = stage.run(&["logout"]).unwrap_err();
    assert_eq!(failure.code, ErrorCode::InvalidArgument);
    let failure = stage.run(&["login", "--operator", "naniwa"]).unwrap_err();
    assert_eq!(failure.code, ErrorCode::NotFound);
    let failure = stage.run(&["login", "--operator", "kanto"]).unwrap_err();
    assert!(failure.remedy.unwrap().contains("--csr-out"));
    let both = ["sekisho", "login", "--csr-out", "a", "--accept", "b"];
    Cli::try_parse_from(both).unwrap_err();
    let line = Cli::try_parse_from(["sekisho", "logout", "--local"]).unwrap();
    assert!(matches!(line.command, Line::Logout(LogoutArgs { local: true, .. })));
}
