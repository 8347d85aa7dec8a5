//! `sekisho login` with real controllers, and a real identity provider over TLS: in, a signed write, out; and who is turned away.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a broken set-up should fail loudly"
)]

use nix::sys::signal::Signal;
use sekisho_chaos::federation::{Answer, Federation};
use sekisho_chaos::work::{not_run, spec};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::voucher::{login_nonce, possession};
use sekisho_proto::convert::login::Login;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::login_service_client::LoginServiceClient;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::https::{Provider, Url};
use sekisho_transport::names::Names;
use sekisho_transport::pki::Key;
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tonic::transport::Channel;

const PORT_BASE: u16 = 27_720;
/// Where the provider listens.
const PROVIDER: u16 = 27_790;

/// The provider's process, and how it is asked.
struct Idp {
    child: Child,
    ask: Provider,
    roots: PathBuf,
}

impl Drop for Idp {
    fn drop(&mut self) {
        // Gone already is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn url(path: &str) -> Url {
    format!("https://127.0.0.1:{PROVIDER}{path}").parse().unwrap()
}

/// The interpreter that `bootstrap.sh` sets up with what the provider is written on.
fn python() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/sekisho"));
    let cache = std::env::var_os("SEKISHO_CACHE").map(PathBuf::from).or_else(home)?;
    Some(cache.join("tools/python/bin/python")).filter(|python| python.exists())
}

impl Idp {
    fn start(python: &Path, dir: &Path, federation: &Federation) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (roots, key) = (dir.join("provider.pem"), dir.join("provider.key"));
        fs::write(&roots, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/login/provider.py");
        let log = fs::File::create(dir.join("provider.log")).unwrap();
        let child = Command::new(python)
            .arg(script)
            .arg(PROVIDER.to_string())
            .args([&roots, &key])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let ask = Provider::new(&made.cert.pem(), Names::default()).unwrap();
        let idp = Self { child, ask, roots };
        let ready = || {
            let asked = ready(&idp.ask);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(asked))
        };
        federation.until("the identity provider to answer", ready).unwrap();
        idp
    }

    /// A token with these claims beside, or in place of, the usual ones.
    async fn sign(&self, user: &str, nonce: &str, other: Value) -> String {
        let mut claims = json!({ "user": user, "nonce": nonce });
        claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let answer =
            self.ask.post(&url("/sign"), &[("claims", &claims.to_string())]).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        answer["id_token"].as_str().unwrap().to_owned()
    }

    /// As the person at the browser.
    async fn confirm(&self, code: &str, user: &str, allow: &str) {
        let form = [("user_code", code), ("user", user), ("allow", allow)];
        assert_eq!(self.ask.post(&url("/confirm"), &form).await.unwrap().status, 200);
    }
}

async fn ready(ask: &Provider) -> anyhow::Result<()> {
    let answer = ask.get(&url("/keys")).await?;
    anyhow::ensure!(answer.status == 200, "{}", answer.status);
    Ok(())
}

/// The member of `kanto` takes logins from now on.
fn take_logins(federation: &mut Federation, idp: &Idp) {
    let operator = federation.dir().join("operators/kanto");
    let at = operator.to_string_lossy().into_owned();
    let made = ["pki", "registrar", &at, "--role", "tenant-user:sapporo"];
    federation.run("kanto", &made).unwrap().ok().unwrap();
    let login = operator.join("login");
    let issued: Value =
        serde_json::from_slice(&fs::read(login.join("registrar.json")).unwrap()).unwrap();
    let key = issued["record"]["public_key"].as_str().unwrap();
    let issuer = operator.join("issuer-ed25519.key");
    let register = [
        "key",
        "register",
        "kanto/user/registrar",
        "--role",
        "registrar:tenant-user:sapporo",
        "--public-key",
        key,
        "--issuer-key",
        &issuer.to_string_lossy(),
    ];
    federation.run("kanto", &register).unwrap().ok().unwrap();
    let config = federation.dir().join("controllers/1/controller.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("kanto"), "{text}");
    let (roots, registrar) = (idp.roots.display(), login.display());
    let settings = format!(
        "{text}\n[login]\nissuer = 'https://127.0.0.1:{PROVIDER}'\nclient_id = 'sekisho'\n\
         registrar_dir = '{registrar}'\njwks_url = 'https://127.0.0.1:{PROVIDER}/keys'\n\
         roots = '{roots}'\n\
         rule = [{{ claim = 'groups', value = 'gpu', role = 'tenant-user:sapporo' }}]\n"
    );
    fs::write(&config, settings).unwrap();
    federation.signal("controller-1", Signal::SIGKILL).unwrap();
    federation.revive(1).unwrap();
    federation.whole().unwrap();
}

/// Somebody of `kanto` with a contexts file of their own and no identity yet.
struct Person<'f> {
    federation: &'f Federation,
    contexts: PathBuf,
}

impl<'f> Person<'f> {
    fn new(federation: &'f Federation, idp: &Idp, name: &str) -> Self {
        let dir = federation.dir();
        let mut all: toml::Table =
            fs::read_to_string(dir.join("contexts.toml")).unwrap().parse().unwrap();
        let mut kanto = all["context"]["kanto"].as_table().unwrap().clone();
        for root in kanto["roots"].as_array_mut().unwrap() {
            let file = dir.join(root["file"].as_str().unwrap()).to_string_lossy().into_owned();
            root.as_table_mut().unwrap().insert("file".into(), file.into());
        }
        for path in ["identity", "identity_key"] {
            kanto.insert(path.into(), "none".into());
        }
        kanto.remove("signing_key");
        let login = toml::toml! { client_id = "sekisho" };
        let mut login = login;
        login.insert("issuer".into(), format!("https://127.0.0.1:{PROVIDER}").into());
        login.insert("roots".into(), idp.roots.to_string_lossy().into_owned().into());
        kanto.insert("login".into(), login.into());
        all.insert(
            "context".into(),
            toml::Table::from_iter([("kanto".to_owned(), kanto.into())]).into(),
        );
        let home = dir.join("people").join(name);
        fs::create_dir_all(&home).unwrap();
        let contexts = home.join("contexts.toml");
        fs::write(&contexts, toml::to_string(&all).unwrap()).unwrap();
        Self { federation, contexts }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.federation.program("sekisho"));
        command.env("SEKISHO_CONFIG", &self.contexts).env("LC_ALL", "C.UTF-8").args(args);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Answer {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Answer { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Logs in; the code that is shown is confirmed as `user`.
    async fn login(&self, idp: &Idp, user: &str, allow: &str) -> Answer {
        let mut command = self.command(&["login", "--operator", "kanto", "-o", "json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("open https://127.0.0.1:{PROVIDER}/device")), "{line}");
        idp.confirm(line.split_whitespace().last().unwrap(), user, allow).await;
        said.read_to_string(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Answer { code: output.status.code().unwrap_or(-1), stdout, stderr: line }
    }

    fn logins(&self) -> usize {
        fs::read_dir(self.contexts.with_file_name("logins")).map_or(0, Iterator::count)
    }

    /// A job by whoever is logged in, until it runs: its agent believed the chain from the issuer to the person.
    fn work(&self, name: &str) {
        // Where the policy of the tenant allows it.
        let spec = spec(name, 1, 1, "JP-01", "exec sleep 300");
        let file = self.federation.file(&format!("{name}.yaml"), &spec).unwrap();
        let submitted = self.run(&["job", "submit", &file]).ok().unwrap();
        assert!(submitted.stdout.contains(name), "{}", submitted.stdout);
        self.federation.await_job(&format!("sapporo/{name}"), &["running"]).unwrap();
    }
}

/// A call as anybody makes it who has no certificate.
fn stranger(federation: &Federation) -> LoginServiceClient<Channel> {
    let pem = fs::read_to_string(federation.dir().join("operators/kanto/root.pem")).unwrap();
    let trust = TrustBundles::new(Arc::new(SystemClock));
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let bundle = Bundle::from_pem("kanto".parse().unwrap(), &pem).unwrap();
    trust.replace(&BTreeMap::from([(domain, bundle)])).unwrap();
    let address = format!("127.0.0.1:{PORT_BASE}").parse().unwrap();
    let dialer = Dialer::new(None, trust);
    let route = dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default()).unwrap();
    LoginServiceClient::new(route.channel())
}

/// Keys of somebody who logs in, and the nonce that is theirs.
fn keys(seed: u8) -> (Login, String) {
    let (key, sign) = (Key::generate().unwrap(), SigningKey::from_seed(&[seed; 32]));
    let spki = key.spki_sha256();
    let login = Login {
        id_token: String::new(),
        csr: key.csr().unwrap(),
        public_key: sign.public(),
        possession: possession(&sign, &spki),
    };
    (login, login_nonce(&spki, &sign.public()).to_string())
}

/// Who shows this is told why not.
async fn turned_away(federation: &Federation, login: &Login, token: String) -> ErrorCode {
    let login = Login { id_token: token, ..login.clone() };
    let refused = stranger(federation).login(login.request()).await.unwrap_err();
    ApiError::from_status(&refused).code
}

async fn refusals(federation: &Federation, idp: &Idp) {
    let ((login, nonce), (thief, _)) = (keys(1), keys(2));
    let now = SystemClock.wall().0 / 1000;
    let token = ErrorCode::LoginTokenInvalid;
    for (other, why) in [
        (json!({ "aud": "other" }), "audience"),
        (json!({ "iss": "https://other.example" }), "issuer"),
        (json!({ "nonce": "0".repeat(64) }), "nonce"),
        (json!({ "exp": now - 300, "iat": now - 400 }), "over"),
        (json!({ "iat": now + 3600, "exp": now + 7200 }), "future"),
    ] {
        let nonce = other["nonce"].as_str().unwrap_or(&nonce).to_owned();
        let signed = idp.sign("alice", &nonce, other).await;
        assert_eq!(turned_away(federation, &login, signed).await, token, "{why}");
    }
    let unknown = idp.sign("mallory", &nonce, json!({})).await;
    assert_eq!(turned_away(federation, &login, unknown).await, ErrorCode::LoginNoRole);
    // A name that the issuer gave is no provider's to give.
    let admin = idp.sign("admin", &nonce, json!({})).await;
    assert_eq!(turned_away(federation, &login, admin).await, ErrorCode::PermissionDenied);
    // Stolen on its way, and shown with the thief's keys, or with one of them.
    let good = idp.sign("alice", &nonce, json!({})).await;
    assert_eq!(turned_away(federation, &thief, good.clone()).await, token);
    let half = Login { public_key: thief.public_key, ..login.clone() };
    assert_eq!(turned_away(federation, &half, good.clone()).await, ErrorCode::SignatureInvalid);
    // The control: the same token with the keys that it is for.
    let login = Login { id_token: good, ..login };
    stranger(federation).login(login.request()).await.unwrap();
}

/// A pipeline without an identity provider: request, signature, in, out for good.
fn by_file(federation: &Federation, idp: &Idp) {
    let robot = Person::new(federation, idp, "robot");
    let path = |name: &str| robot.contexts.with_file_name(name).to_string_lossy().into_owned();
    let (request, signed) = (path("request.json"), path("signed.json"));
    robot.run(&["login", "--csr-out", &request]).ok().unwrap();
    let operator = federation.dir().join("operators/kanto").to_string_lossy().into_owned();
    let role = "tenant-user:sapporo";
    let sign = ["pki", "sign-request", &operator, &request, "--name", "robot", "--role", role];
    federation.run("kanto", &[&sign[..], &["--out", &signed]].concat()).unwrap().ok().unwrap();
    let told = robot.run(&["login", "--accept", &signed, "-o", "json"]).json().unwrap();
    assert_eq!(told["principal"], "kanto/user/robot");
    let spec = spec("by-robot", 1, 1, "JP-47", "true");
    let file = federation.file("by-robot.yaml", &spec).unwrap();
    robot.run(&["job", "submit", &file]).ok().unwrap();
    robot.run(&["logout"]).ok().unwrap();
    assert_eq!((robot.run(&["job", "list"]).code, robot.logins()), (4, 0));
    let again = robot.run(&["login", "--accept", &signed]);
    assert_eq!(again.code, 3, "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_in_for_half_a_day_and_nobody_else_does() {
    let Some(python) = python() else {
        not_run("login: no Python with Authlib (deploy/scripts/bootstrap.sh test)").unwrap();
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let idp = Idp::start(&python, dir.path(), &federation);
    take_logins(&mut federation, &idp);
    let alice = Person::new(&federation, &idp, "alice");
    let told = alice.login(&idp, "alice", "yes").await.json().unwrap();
    assert_eq!(
        (&told["principal"], &told["role"]),
        (&json!("kanto/user/alice"), &json!("tenant-user:sapporo"))
    );
    let hours = told["expires_ms"].as_u64().unwrap() - SystemClock.wall().0;
    assert!((11 * 3_600_000..=12 * 3_600_000).contains(&hours), "{hours}");
    alice.work("by-alice");
    let no = alice.login(&idp, "alice", "no").await;
    assert!(no.code == 4 && no.stderr.contains("LOGIN_REFUSED"), "{}", no.stderr);
    assert_eq!(alice.logins(), 1, "the login before stands");
    refusals(&federation, &idp).await;
    by_file(&federation, &idp);
    alice.run(&["logout"]).ok().unwrap();
    assert_eq!((alice.run(&["job", "list"]).code, alice.logins()), (4, 0));
}
