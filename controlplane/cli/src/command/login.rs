//! `sekisho login` and `sekisho logout`: a certificate and a registered key for half a day.
//!
//! Must hold: keys are made here and never leave; nothing is replaced before the new login stands whole, and then in one step,
//! by the contexts file; what a member or a file brings is taken only if it is for these keys, this operator and a person.
//! Each login has a folder of its own, named by its certificate's key, so that a repeated step finds what it began.

use super::instant;
use crate::app::{App, random};
use crate::client::{Client, identity};
use crate::context::{Context, Contexts};
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::pick;
use crate::output::{Column, Shown, column};
use crate::{ask, pki};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::voucher::{login_nonce, possession};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::login::{AcceptKey, Login};
use sekisho_proto::name::{KeyId, Resource as _};
use sekisho_proto::v1;
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::file::{self, CHAIN_FILE, KEY_FILE};
use sekisho_transport::pki::{Key, certificate_pem, signing};
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{Digest, OperatorId, Signature};
use sekisho_types::principal::{KeyRecord, Principal, Workload};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod device;
pub mod request;

/// Folder of logins, beside the contexts file.
const FOLDER: &str = "logins";

/// Logging in.
#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// Log in at this operator, in the context of one of its people
    #[arg(long)]
    operator: Option<OperatorId>,
    /// Make keys, and write a request that the operator's administrator signs: `sekisho pki sign-request`
    #[arg(long, value_name = "FILE", conflicts_with = "accept")]
    csr_out: Option<PathBuf>,
    /// Take the signed request, and register its key
    #[arg(long, value_name = "FILE")]
    accept: Option<PathBuf>,
}

/// Logging out.
#[derive(Debug, clap::Args)]
pub struct LogoutArgs {
    /// Log out at this operator
    #[arg(long)]
    operator: Option<OperatorId>,
    /// Only remove the files; the key stays registered until it ends by itself
    #[arg(long)]
    local: bool,
}

#[derive(Debug, Serialize)]
struct LoginView {
    principal: String,
    role: String,
    expires_ms: u64,
    context: String,
    identity: String,
}

impl Shown for LoginView {
    const COLUMNS: &'static [Column] = &[
        column("principal", "主体"),
        column("role", "役割"),
        column("until", "期限"),
        column("context", "コンテキスト"),
        column("identity", "証明書"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            self.principal.clone(),
            self.role.clone(),
            instant(self.expires_ms),
            self.context.clone(),
            self.identity.clone(),
        ]
    }
}

/// Whom a login is for, and where it is kept.
#[derive(Debug)]
struct Place {
    file: PathBuf,
    name: String,
    contexts: Contexts,
    context: Context,
}

impl Place {
    fn of(app: &mut App<'_>, operator: Option<&OperatorId>) -> Result<Self, Failure> {
        if let Some(operator) = operator {
            let name = named(app, operator)?;
            app.global.context = Some(name);
        }
        let (file, name, contexts) = app.contexts_to_change()?;
        let context = contexts.pick(Some(&name), app.output.language)?.1.clone();
        Ok(Self { file, name, contexts, context })
    }

    fn logins(&self) -> PathBuf {
        self.file.parent().unwrap_or_else(|| Path::new("/")).join(FOLDER)
    }

    /// The folder of the login with this certificate key.
    fn folder(&self, key: &Digest) -> PathBuf {
        let short: String = key.to_string().chars().take(16).collect();
        self.logins().join(format!("{}-{short}", self.name))
    }

    /// The folder of the present login; `None` for an identity that came another way.
    fn present(&self) -> Option<PathBuf> {
        let folder = self.context.identity.parent()?;
        (folder.parent() == Some(&self.logins())).then(|| folder.to_owned())
    }

    fn operator_of(&self, principal: &Principal) -> Result<(), Failure> {
        let person = matches!(principal.workload, Workload::User { .. });
        if person && principal.operator == self.context.operator {
            return Ok(());
        }
        let why = format!("it is for {principal}, not for a person of {}", self.context.operator);
        Err(Failure::invalid(why))
    }
}

/// The context of an operator: the one that is named or in use, if it is one, else the first.
fn named(app: &mut App<'_>, operator: &OperatorId) -> Result<String, Failure> {
    let (wanted, language) = (app.global.context.clone(), app.output.language);
    let contexts = app.contexts()?;
    let of = |name: &String| contexts.context.get(name).is_some_and(|c| c.operator == *operator);
    let all = || contexts.context.keys();
    let found = match &wanted {
        Some(name) => Some(name).filter(|name| of(name)),
        None => contexts.current.as_ref().filter(|name| of(name)).or_else(|| all().find(|n| of(n))),
    };
    found.cloned().ok_or_else(|| {
        let (en, ja) = (
            format!("no context of operator {operator}"),
            format!("事業者 {operator} のコンテキスト"),
        );
        Failure::new(ErrorCode::NotFound, pick(language, en, ja))
    })
}

/// Keys that were made here.
#[derive(Debug)]
struct Fresh {
    key: Key,
    sign: SigningKey,
}

impl Fresh {
    fn make() -> Result<Self, Failure> {
        let key = Key::generate().map_err(internal)?;
        Ok(Self { key, sign: SigningKey::from_seed(&random()?) })
    }

    /// As [`Fresh::write`] left them.
    fn read(folder: &Path) -> Result<Self, Failure> {
        let unreadable = |error: &dyn std::fmt::Display| {
            let fix = "Accept it where the request was made: `sekisho login --csr-out FILE`.";
            Failure::new(ErrorCode::NotFound, format!("the keys of the request: {error}"))
                .remedy(fix)
        };
        let pem = file::read(&folder.join(KEY_FILE)).map_err(|error| unreadable(&error))?;
        let key = Key::from_pem(&pem).map_err(internal)?;
        let path = folder.join(pki::SIGN_FILE);
        let sign = signing::read(&path).map_err(|error| of_file(&path, &error))?;
        Ok(Self { key, sign })
    }

    fn write(&self, folder: &Path) -> Result<(), Failure> {
        pki::private_dir(folder)?;
        let path = folder.join(KEY_FILE);
        file::write(&path, self.key.pem().expose())
            .map_err(|error| Failure::invalid(error.to_string()))?;
        let path = folder.join(pki::SIGN_FILE);
        signing::write(&path, &self.sign).map_err(|error| of_file(&path, &error))
    }

    fn possession(&self) -> Signature {
        possession(&self.sign, &self.key.spki_sha256())
    }
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::Internal, error.to_string())
}

pub(super) async fn run(app: &mut App<'_>, args: LoginArgs) -> Result<Exit, Failure> {
    let place = Place::of(app, args.operator.as_ref())?;
    match (args.csr_out, args.accept) {
        (Some(path), _) => ask_for(app, &place, &path)?,
        (None, Some(path)) => accept(app, place, &path).await?,
        (None, None) => by_provider(app, place).await?,
    }
    Ok(Exit::Ok)
}

/// The device flow, and then a member of the operator.
async fn by_provider(app: &mut App<'_>, place: Place) -> Result<(), Failure> {
    let fresh = Fresh::make()?;
    let csr = fresh.key.csr().map_err(internal)?;
    let nonce = login_nonce(&fresh.key.spki_sha256(), &fresh.sign.public());
    let id_token = device::token(app, &place.context, &nonce).await?;
    let (public_key, possession) = (fresh.sign.public(), fresh.possession());
    let login = Login { id_token, csr, public_key, possession };
    let client = Client::anonymous(&place.context, Duration::from_secs(app.global.timeout))?;
    let answer = let_in(&client, &login).await?;
    let record = answer.key.as_ref().ok_or_else(|| internal("the answer names no key"))?;
    let record = KeyRecord::try_from(record).map_err(internal)?;
    let chain = answer.certificate_chain.iter().map(|der| certificate_pem(&der.to_vec().into()));
    let chain: String = chain.collect();
    let identity = checked(&place, &fresh, &record, &chain)?;
    let folder = place.folder(&identity.key());
    fresh.write(&folder)?;
    install(app, place, &folder, &record, &chain)
}

/// Each member of the operator once: not every one of them has login settings.
async fn let_in(client: &Client, login: &Login) -> Result<v1::LoginResponse, Failure> {
    let mut left = client.members();
    loop {
        left = left.saturating_sub(1);
        let answer = ask!(client, login_service_client::LoginServiceClient, login, login.request());
        match answer {
            Err(failure) if failure.code == ErrorCode::LoginNotHere && left > 0 => client.leave(),
            answer => return answer,
        }
    }
}

/// What was brought is for these keys, for a person of this operator, and says one thing.
fn checked(
    place: &Place,
    fresh: &Fresh,
    record: &KeyRecord,
    chain: &str,
) -> Result<Identity, Failure> {
    let identity = Identity::from_pem(chain, fresh.key.pem().expose())
        .map_err(|error| Failure::invalid(format!("the certificate: {error}")))?;
    let operator = place.context.operator.clone();
    let principal = Principal { operator, workload: identity.workload() };
    place.operator_of(&record.principal)?;
    let own = identity.key() == fresh.key.spki_sha256() && record.public_key == fresh.sign.public();
    let root = place.context.roots.iter().find(|root| root.operator == place.context.operator);
    let home = root.is_none_or(|root| root.trust_domain == identity.trust_domain());
    if !own || !home || record.principal != principal {
        let why =
            "certificate and key record are not for one person and the keys that were made here";
        return Err(Failure::invalid(why));
    }
    Ok(identity)
}

/// The chain, then the contexts file, then the login before goes.
fn install(
    app: &mut App<'_>,
    place: Place,
    folder: &Path,
    record: &KeyRecord,
    chain: &str,
) -> Result<(), Failure> {
    let path = folder.join(CHAIN_FILE);
    file::write(&path, chain).map_err(|error| Failure::invalid(error.to_string()))?;
    let before = place.present().filter(|before| before != folder);
    let Place { file, name, mut contexts, .. } = place;
    if let Some(context) = contexts.context.get_mut(&name) {
        context.identity = path.clone();
        context.identity_key = folder.join(KEY_FILE);
        context.signing_key = Some(folder.join(pki::SIGN_FILE));
    }
    contexts.save(&file)?;
    if let Some(before) = before {
        remove(&before)?;
    }
    app.output.one(&LoginView {
        principal: record.principal.to_string(),
        role: record.role.to_string(),
        expires_ms: record.expires.0,
        context: name,
        identity: path.display().to_string(),
    })?;
    app.output.next("sekisho status")
}

/// The three files of a login, and its folder if nothing else lies there.
fn remove(folder: &Path) -> Result<(), Failure> {
    for name in [CHAIN_FILE, pki::SIGN_FILE, KEY_FILE] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(of_file(&path, &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    match std::fs::remove_dir(folder) {
        // What somebody else put there is theirs.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Keys, and a request for the administrator.
fn ask_for(app: &mut App<'_>, place: &Place, path: &Path) -> Result<(), Failure> {
    let fresh = Fresh::make()?;
    let request = request::SigningRequest {
        operator: place.context.operator.clone(),
        csr: fresh.key.csr_pem().map_err(internal)?,
        public_key: fresh.sign.public(),
        possession: fresh.possession(),
    };
    fresh.write(&place.folder(&fresh.key.spki_sha256()))?;
    let written = request.write(path)?;
    let request = path.display();
    let next = format!(
        "sekisho pki sign-request OPERATOR-DIR {request} --name NAME --role ROLE --out FILE"
    );
    app.output.written(path, written, &next)
}

/// The administrator's answer.
async fn accept(app: &mut App<'_>, place: Place, path: &Path) -> Result<(), Failure> {
    let signed = request::SignedRequest::read(path)?;
    let request::SignedRequest { record, issuer, certificate_chain: chain } = &signed;
    let folder = place.folder(&request::leaf_key(path, chain)?);
    let fresh = Fresh::read(&folder)?;
    checked(&place, &fresh, record, chain)?;
    if record.expires <= app.now() {
        let why = format!("{}: it ended at {}", path.display(), record.expires);
        return Err(Failure::invalid(why).remedy("Have it signed anew, or make another request."));
    }
    let path = folder.join(CHAIN_FILE);
    file::write(&path, chain).map_err(|error| Failure::invalid(error.to_string()))?;
    let context = Context {
        identity: path,
        identity_key: folder.join(KEY_FILE),
        signing_key: Some(folder.join(pki::SIGN_FILE)),
        ..place.context.clone()
    };
    let (client, _) = Client::open(&context, Duration::from_secs(app.global.timeout))?;
    let own = AcceptKey { record: record.clone(), issuer: *issuer, possession: fresh.possession() };
    ask!(client, key_service_client::KeyServiceClient, accept_key, own.request())?;
    install(app, place, &folder, record, chain)
}

/// Takes the key back and removes the files.
pub(super) async fn out(app: &mut App<'_>, args: LogoutArgs) -> Result<Exit, Failure> {
    let place = Place::of(app, args.operator.as_ref())?;
    let folder = place.present().ok_or_else(|| {
        let why = format!("context `{}` did not come by `sekisho login`", place.name);
        Failure::invalid(why).remedy("To take another key back: `sekisho key revoke`.")
    })?;
    if !args.local {
        take_back(app, &place).await?;
    }
    remove(&folder)?;
    let name = &place.name;
    let line = app.output.pick(
        format!("{name}: logged out; the keys are removed"),
        format!("{name}: ログアウトし、鍵を削除しました"),
    );
    app.output.line(&line)?;
    app.output.next("sekisho login")?;
    Ok(Exit::Ok)
}

/// A key that has ended, or that nobody knows, needs no taking back.
async fn take_back(app: &mut App<'_>, place: &Place) -> Result<(), Failure> {
    let own = identity(&place.context)?;
    if own.validity().1 <= app.now() {
        return Ok(());
    }
    let path = place.folder(&own.key()).join(pki::SIGN_FILE);
    let key = signing::read(&path).map_err(|error| of_file(&path, &error))?.public();
    let session = app.session()?;
    let operator = place.context.operator.clone();
    let principal = Principal { operator, workload: own.workload() };
    let prepared =
        app.prepare(&session, &Command::RevokeKey { principal: principal.clone(), key })?;
    let name = KeyId { principal, key }.name();
    let request = v1::RevokeKeyRequest { name, intent: Some(prepared.intent) };
    match ask!(session.client, key_service_client::KeyServiceClient, revoke_key, request) {
        Err(failure) if failure.code != ErrorCode::NotFound => {
            Err(failure.of_request(prepared.request))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
