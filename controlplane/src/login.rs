//! Letting people in: what a controller needs for `sekisho login`, put together from its settings.
//!
//! Must hold: what it signs with is a registrar's key and an issuer for people alone, never the operator's issuer key; at its
//! start it refuses rules that give more than the registrar may, keys that do not belong together, and another operator's.
//! Nothing is asked of the identity provider but its public keys, and those only where settings say so (D3).

use crate::config::{Config, LoginConfig};
use anyhow::{Context as _, Result, bail, ensure};
use keys::ProviderKeys;
use sekisho_api::issuer::IssueError;
use sekisho_api::login::{LoginError, Logins, Person};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::terms::IssuedKey;
use sekisho_evidence::voucher::{Registered, Voucher};
use sekisho_transport::pki::file::{self, REGISTRAR_FILE, REGISTRAR_KEY_FILE};
use sekisho_transport::pki::{self, Validity, signing};
use sekisho_types::id::{Digest, OperatorId};
use sekisho_types::limit::LOGIN_LIFETIME_MAX;
use sekisho_types::name::Name;
use sekisho_types::principal::{KeyRecord, Principal};
use sekisho_types::time::{Clock, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use token::{Expected, claims};

mod keys;
mod rule;
mod token;

pub use rule::Rule;

/// Takes logins.
#[derive(Debug)]
pub struct LoginPort {
    config: LoginConfig,
    lifetime: Duration,
    provider: ProviderKeys,
    registrar: Registrar,
    clock: Arc<dyn Clock>,
}

/// What is signed with.
#[derive(Debug)]
struct Registrar {
    issued: IssuedKey,
    key: SigningKey,
    issuer: pki::Issuer,
}

impl Registrar {
    fn load(dir: &Path, operator: &OperatorId) -> Result<Self> {
        let issuer = pki::Issuer::load(dir).context("its issuer for people")?;
        let key = signing::read(&dir.join(REGISTRAR_KEY_FILE)).context(REGISTRAR_KEY_FILE)?;
        let text = file::read(&dir.join(REGISTRAR_FILE))?;
        let issued: IssuedKey = serde_json::from_str(&text).context(REGISTRAR_FILE)?;
        let own = &issued.record.principal.operator;
        ensure!(own == operator && issuer.operator() == operator, "it is not one of {operator}");
        ensure!(
            issued.record.public_key == key.public(),
            "its key and its record do not belong together"
        );
        Ok(Self { issued, key, issuer })
    }
}

impl LoginPort {
    /// Reads what the settings name; `None` where they name nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Option<Self>> {
        let Some(login) = &config.login else { return Ok(None) };
        let dir = &login.registrar_dir;
        let registrar = Registrar::load(dir, &config.operator)
            .with_context(|| format!("registrar in {}", dir.display()))?;
        let hours = Duration::from_secs(login.hours.saturating_mul(3600));
        if hours.is_zero() || hours > LOGIN_LIFETIME_MAX {
            bail!("login.hours: 1 to {}, not {}", LOGIN_LIFETIME_MAX.as_secs() / 3600, login.hours);
        }
        ensure!(!login.rule.is_empty(), "login.rule: without any nobody is let in");
        for rule in &login.rule {
            let may = registrar.issued.record.role.may_register(&rule.role);
            ensure!(may, "login.rule: this registrar may not give the role {}", rule.role);
        }
        let provider = ProviderKeys::of(login, config.names()?, Arc::clone(&clock))?;
        Ok(Some(Self { config: login.clone(), lifetime: hours, provider, registrar, clock }))
    }

    /// Who vouches, and until when somebody can log in: when the registrar's key or the issuer for people ends.
    #[must_use]
    pub fn registrar(&self) -> (&Principal, Timestamp) {
        let Registrar { issued, issuer, .. } = &self.registrar;
        (&issued.record.principal, issued.record.expires.min(issuer.not_after()))
    }
}

#[tonic::async_trait]
impl Logins for LoginPort {
    async fn person(&self, token: &str, nonce: &Digest) -> Result<Person, LoginError> {
        let payload = self.provider.open(token).await?;
        let nonce = nonce.to_string();
        let expected = Expected {
            issuer: &self.config.issuer,
            audience: &self.config.client_id,
            nonce: &nonce,
            now_s: self.clock.wall().0 / 1000,
        };
        let claims =
            claims(&payload, &expected).map_err(|why| LoginError::Token(why.to_string()))?;
        let name = rule::name(&self.config, &claims)?;
        let role = rule::role(&self.config.rule, &claims)?;
        let (_, not_after) = self.registrar();
        Ok(Person { name, role, lifetime: self.lifetime, not_after })
    }

    fn vouch(&self, record: &KeyRecord) -> Result<Voucher, IssueError> {
        let Registrar { issued, key, .. } = &self.registrar;
        if record.expires > issued.record.expires {
            let over = issued.record.expires;
            return Err(IssueError::Issuer(format!("the registrar's own key ends at {over}")));
        }
        let own = (issued.record.clone(), issued.issuer);
        let word = Registered::sign(own, key, record);
        let word = word.map_err(|error| IssueError::Issuer(error.to_string()))?;
        Ok(Voucher::Registrar(Box::new(word)))
    }

    fn certify(
        &self,
        csr: &[u8],
        name: &Name,
        until: Timestamp,
    ) -> Result<Vec<Vec<u8>>, IssueError> {
        let now = self.clock.wall();
        let left = Duration::from_millis(until.since_ms(now)).min(LOGIN_LIFETIME_MAX);
        let validity = Validity { now, lifetime: left };
        let failed = |error: pki::PkiError| IssueError::Issuer(error.to_string());
        let issued = self.registrar.issuer.issue_user_from_csr(csr, name, validity);
        issued.and_then(|issued| issued.chain_der()).map_err(failed)
    }
}
