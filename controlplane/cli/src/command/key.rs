//! `sekisho key`: registered signing keys, which say who may do what.

use super::list::{ListArgs, beside, pages};
use super::{approval, instant};
use crate::app::{App, PAGE};
use crate::ask;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::Text;
use crate::output::{Column, Shown, column, wide};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::key::{RegisterKey, parse_role};
use sekisho_proto::name::{KeyId, Resource as _};
use sekisho_proto::v1;
use sekisho_transport::pki::signing;
use sekisho_types::error_code::Language;
use sekisho_types::id::PublicKey;
use sekisho_types::joint::Joint;
use sekisho_types::principal::{KeyRecord, Principal, Role};
use serde::Serialize;
use std::path::PathBuf;

/// Longest life of a key that is registered without saying: a working year; certificates are renewed far more often.
const LIFETIME: &str = "365d";

/// Verbs of a key.
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// List registered keys
    List(ListArgs),
    /// Show one key
    Get {
        /// OPERATOR/user/NAME
        principal: Principal,
        /// The public key
        #[arg(long)]
        public_key: PublicKey,
    },
    /// Bind a key and a role to a person; the issuer key of the person's operator vouches
    Register {
        /// OPERATOR/user/NAME
        principal: Principal,
        /// federation-admin, operator-admin, tenant-admin:T, tenant-user:T, auditor, monitor, archivist:SITE or registrar:ROLE+ROLE
        #[arg(long, value_parser = role)]
        role: Role,
        /// The public key, 64 hexadecimal digits: `sekisho pki show`
        #[arg(long)]
        public_key: PublicKey,
        /// PEM file of the operator's issuer key
        #[arg(long, value_name = "FILE")]
        issuer_key: PathBuf,
        /// How long it is good
        #[arg(long, value_name = "TIME", default_value = LIFETIME, value_parser = crate::duration::seconds)]
        lifetime: u64,
    },
    /// Take a key back
    Revoke {
        /// OPERATOR/user/NAME
        principal: Principal,
        /// The public key
        #[arg(long)]
        public_key: PublicKey,
    },
}

pub(super) fn role(text: &str) -> Result<Role, String> {
    let known = "federation-admin, operator-admin, tenant-admin:T, tenant-user:T, auditor, monitor, \
                 archivist:SITE, registrar:ROLE+ROLE";
    parse_role(text).ok_or_else(|| format!("must be one of {known}"))
}

#[derive(Debug, Serialize)]
pub(super) struct KeyView {
    name: String,
    principal: String,
    role: String,
    public_key: String,
    expires_ms: u64,
}

impl From<v1::Key> for KeyView {
    fn from(key: v1::Key) -> Self {
        let public_key = PublicKey::try_from(&key.public_key[..]).map(|key| key.to_string());
        Self {
            name: key.name,
            principal: key.principal,
            role: key.role,
            public_key: public_key.unwrap_or_default(),
            expires_ms: key.expires_ms,
        }
    }
}

impl Shown for KeyView {
    const COLUMNS: &'static [Column] = &[
        column("principal", "主体"),
        column("role", "役割"),
        column("expires", "期限"),
        wide("public key", "公開鍵"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            self.principal.clone(),
            self.role.clone(),
            instant(self.expires_ms),
            self.public_key.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: KeyCommand) -> Result<Exit, Failure> {
    match command {
        KeyCommand::List(args) => list(app, args).await?,
        KeyCommand::Get { principal, public_key } => {
            let session = app.session()?;
            let name = KeyId { principal, key: public_key }.name();
            let request = v1::GetKeyRequest { name, read: app.read() };
            let found =
                ask!(session.client, key_service_client::KeyServiceClient, get_key, request)?;
            app.output.one(&KeyView::from(found))?;
        }
        KeyCommand::Register { principal, role, public_key, issuer_key, lifetime } => {
            let issuer =
                signing::read(&issuer_key).map_err(|error| of_file(&issuer_key, &error))?;
            let expires = app.now().plus_ms(lifetime.saturating_mul(1000));
            register(app, KeyRecord { principal, role, public_key, expires }, &issuer).await?;
        }
        KeyCommand::Revoke { principal, public_key } => {
            let session = app.signing_session().await?;
            let command = Command::RevokeKey { principal: principal.clone(), key: public_key };
            let prepared = app.prepare(&session, &command)?;
            let name = KeyId { principal: principal.clone(), key: public_key }.name();
            let request = v1::RevokeKeyRequest { name, intent: Some(prepared.intent) };
            let written =
                ask!(session.client, key_service_client::KeyServiceClient, revoke_key, request)
                    .map_err(|failure| failure.of_request(prepared.request))?;
            let name = principal.to_string();
            app.changed(
                &name,
                prepared.request,
                written.revision,
                Text::new("revoked", "の鍵を失効しました"),
                None,
            )?;
        }
    }
    Ok(Exit::Ok)
}

async fn list(app: &mut App<'_>, ListArgs { filter, sort }: ListArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let (keys, page) = pages!(keys, |page_token| {
        let request = v1::ListKeysRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, key_service_client::KeyServiceClient, list_keys, request)
    });
    let items: Vec<KeyView> = keys.into_iter().map(KeyView::from).collect();
    app.output.list(&items, &beside!(page))
}

/// Binds a key, vouched for by the operator's issuer key.
pub(crate) async fn register(
    app: &mut App<'_>,
    record: KeyRecord,
    issuer: &SigningKey,
) -> Result<(), Failure> {
    let bytes = encode(&record).map_err(|error| Failure::invalid(error.to_string()))?;
    let issuer = issuer.sign(Purpose::KeyRecord, &bytes);
    let session = app.signing_session().await?;
    let name = record.principal.to_string();
    let prepared = if record.role == Role::FederationAdmin {
        let joint = Joint::RegisterKey { record: record.clone(), issuer };
        approval::prepare(app, &session, joint, &name).await?
    } else {
        let command = Command::RegisterKey { record: record.clone(), issuer };
        Some(app.prepare(&session, &command)?)
    };
    let Some(prepared) = prepared else { return Ok(()) };
    let request = RegisterKey { record, issuer }.request(prepared.intent);
    let written = ask!(session.client, key_service_client::KeyServiceClient, register_key, request)
        .map_err(|failure| failure.of_request(prepared.request))?;
    app.changed(
        &name,
        prepared.request,
        written.revision,
        Text::new("registered", "の鍵を登録しました"),
        Some("sekisho key list".to_owned()),
    )
}
