//! Joining: from a token to an enrolment on disk.
//!
//! Must hold: the first member is believed only under the root whose hash the token carries, its answer only as far
//! as it follows from the bundle whose hash the token carries; the keys are on disk before they are used, so that a
//! join whose answer was lost can be repeated with the same key; the ledger is there before the enrolment is.

use crate::calls::{call, endpoints};
use crate::config::{Config, read_text};
use crate::durable::{self, Magic};
use crate::enrolment::{Enrolment, Pinned, Secrets};
use crate::failure::Failure;
use crate::ledger::LedgerFile;
use crate::limit::{ENROLMENT_MAX, JOIN_WITHIN, TEXT_FILE_MAX};
use sekisho_agent_core::ledger::Ledger;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::join_token::JoinToken;
use sekisho_evidence::key::SigningKey;
use sekisho_proto::internal::v1::join_service_client::JoinServiceClient;
use sekisho_proto::internal::v1::{JoinRequest, JoinResponse};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::dial::{DialError, Dialer};
use sekisho_transport::pki::Key;
use sekisho_transport::verify::Expect;
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::time::Clock;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: Magic = *b"SKJOIN\0\x01";

/// Reads a token from a file, or from standard input if the path is `-`.
///
/// # Errors
/// `INVALID_ARGUMENT` for what is no token.
pub fn read_token(path: &Path) -> Result<JoinToken, Failure> {
    let invalid = |cause: String| {
        Failure::new(ErrorCode::InvalidArgument, cause)
            .remedy("Make one with `sekisho node token create`, and copy all of its line.")
    };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        let most = io::stdin().take(TEXT_FILE_MAX).read_to_string(&mut text);
        most.map_err(|error| invalid(format!("standard input: {error}")))?;
        text
    } else {
        read_text(path)?
    };
    JoinToken::parse(&text).map_err(|error| invalid(format!("{}: {error}", path.display())))
}

/// Joins, and leaves an enrolment and an empty ledger in the data directory.
///
/// # Errors
/// `ALREADY_EXISTS` on a host that has joined; the controller's refusal; what does not follow from the token.
pub async fn join(
    config: &Config,
    token: &JoinToken,
    clock: &Arc<dyn Clock>,
) -> Result<Enrolment, Failure> {
    check(config, token, clock)?;
    let secrets = secrets(&config.data_dir, &token.node)?;
    let answer = ask(config, token, &secrets, clock).await?;
    let (node, bundle) = (&token.node, token.bundle_hash);
    let pinned = Pinned { node, bundle, root_hash: token.root_hash };
    let enrolment = Enrolment::judge(pinned, secrets, &answer, clock)?;
    if enrolment.bundle.cluster != token.cluster {
        return Err(Failure::new(ErrorCode::WrongCluster, "the token names another cluster"));
    }
    // An old ledger of this very node keeps its fence floor; one of another node is refused.
    let file = LedgerFile::of(&config.data_dir);
    if file.find(&enrolment.node, &enrolment.bundle)?.is_none() {
        file.store(&Ledger::new(enrolment.node.clone(), enrolment.bundle.clone()))?;
    }
    enrolment.store(&config.data_dir)?;
    durable::remove(&secrets_path(&config.data_dir))
        .map_err(|error| Failure::host("cannot remove the join's leftovers", &error))?;
    let key = enrolment.fingerprint()?;
    tracing::info!(node = %enrolment.node, operator = %enrolment.operator, key, "joined");
    Ok(enrolment)
}

fn check(config: &Config, token: &JoinToken, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
    if let Some(enrolment) = Enrolment::load(&config.data_dir)? {
        let cause = format!("this host has joined as {}", enrolment.node);
        return Err(Failure::new(ErrorCode::AlreadyExists, cause)
            .remedy("Run it; or name another data_dir."));
    }
    if config.node.as_ref().is_some_and(|node| *node != token.node) {
        let cause = format!("the token is for {}", token.node);
        return Err(Failure::new(ErrorCode::InvalidArgument, cause));
    }
    if token.expires <= clock.wall() {
        let cause = format!("it was valid until {}", token.expires);
        return Err(Failure::new(ErrorCode::TokenExpired, cause));
    }
    Ok(())
}

fn secrets_path(data_dir: &Path) -> PathBuf {
    data_dir.join("joining")
}

/// The node's keys: those of an attempt before, or new ones, on disk in any case.
fn secrets(data_dir: &Path, node: &NodeId) -> Result<Secrets, Failure> {
    let path = secrets_path(data_dir);
    let failed = |error: &dyn std::error::Error| {
        Failure::new(ErrorCode::StorageFailed, explain(error)).remedy("Correct data_dir.")
    };
    durable::make_dir(data_dir).map_err(|error| failed(&error))?;
    let before = durable::read(&path, MAGIC, ENROLMENT_MAX).map_err(|error| failed(&error))?;
    if let Some(bytes) = before
        && let Ok((of, secrets)) = decode::<(NodeId, Secrets)>(&bytes)
        && of == *node
    {
        return Ok(secrets);
    }
    let key = Key::generate().map_err(|error| failed(&error))?;
    let secrets = Secrets { key_pem: key.pem().expose().to_owned(), receipt_seed: rand::random() };
    let bytes = encode(&(node, &secrets)).map_err(|error| failed(&error))?;
    durable::write(&path, MAGIC, &bytes).map_err(|error| failed(&error))?;
    Ok(secrets)
}

/// Fails at once if somebody answers, and nobody under the pinned root: no retry will change that.
async fn refuse_impostors(
    dialer: &Dialer,
    expect: &Expect,
    addresses: &[String],
) -> Result<(), Failure> {
    let mut impostor = None;
    for address in addresses.iter().filter_map(|text| text.parse::<Address>().ok()) {
        let Err(error) = dialer.connect(&address, expect).await else { return Ok(()) };
        // The TLS library's own refusals are of this kind; a connection that broke off is of another.
        let judged = if let DialError::Handshake(_, cause) = &error {
            cause.kind() == io::ErrorKind::InvalidData
        } else {
            matches!(error, DialError::Settle(..))
        };
        if judged {
            impostor = Some(explain(&error));
        } else {
            tracing::warn!(%address, cause = explain(&error), "no answer");
        }
    }
    impostor.map_or(Ok(()), |cause| Err(Failure::new(ErrorCode::BundleMismatch, cause)))
}

async fn ask(
    config: &Config,
    token: &JoinToken,
    secrets: &Secrets,
    clock: &Arc<dyn Clock>,
) -> Result<JoinResponse, Failure> {
    let unusable = |error: &dyn std::error::Error| Failure::host("the node's key", error);
    let key = Key::from_pem(&secrets.key_pem).map_err(|error| unusable(&error))?;
    let request = JoinRequest {
        secret: token.secret.to_vec().into(),
        site: token.node.site.to_string(),
        node: token.node.name.to_string(),
        area: config.area.to_string(),
        csr: key.csr().map_err(|error| unusable(&error))?.into(),
        receipt_key: SigningKey::from_seed(&secrets.receipt_seed).public().0.to_vec().into(),
    };
    let dialer = Dialer::new(None, TrustBundles::new(Arc::clone(clock))).asking(config.names()?);
    let expect = Expect::CaHash(token.root_hash);
    refuse_impostors(&dialer, &expect, &token.endpoints).await?;
    let endpoints = endpoints(dialer, &token.endpoints, expect)?;
    let ask = |channel| {
        let request = request.clone();
        async move { JoinServiceClient::new(channel).join(request).await }
    };
    let answer = call(&endpoints, JOIN_WITHIN, ask).await;
    answer.map_err(|error| {
        // What the connection said names the cause where the status only says "unavailable".
        let dialled = endpoints.current().1.last_error().filter(|_| !error.explained);
        match dialled {
            Some(cause) => Failure::new(error.code, format!("no member answered: {cause}")),
            None => error.into(),
        }
    })
}
