//! The identity provider's public keys: from a file, or fetched and kept for a while.
//!
//! Must hold: a stranger's token makes nobody fetch more often than [`FETCH_AGAIN`], or than [`FETCH_FAILED_AGAIN`] while
//! there are no keys; keys that cannot be had anew go on
//! counting for [`KEPT_MAX`] and no longer.

use crate::config::LoginConfig;
use anyhow::{Context as _, Result, bail};
use sekisho_api::login::LoginError;
use sekisho_transport::https::{Provider, Url};
use sekisho_transport::jws::{JwsError, KeySet};
use sekisho_transport::names::Names;
use sekisho_transport::pki::file;
use sekisho_types::time::Clock;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Fetched keys are fetched anew after so long: a provider that gives one up is followed within the hour.
const FRESH: Duration = Duration::from_secs(3600);

/// So long they count if the provider does not answer: nobody is shut out by an hour without it.
const KEPT_MAX: Duration = Duration::from_secs(6 * 3600);

/// A key that is not known may be a new one; so often it is looked for.
const FETCH_AGAIN: Duration = Duration::from_secs(60);

/// The same while there are none: nobody can log in until they come, so an outage of the provider is not made longer by much,
/// and strangers who ask all at once still have it asked a few times a minute only.
const FETCH_FAILED_AGAIN: Duration = Duration::from_secs(5);

/// Where they come from.
#[derive(Debug)]
pub(super) struct ProviderKeys {
    source: Source,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
enum Source {
    /// Read at each login: who replaces the file need not start the controller anew.
    File(PathBuf),
    Fetched {
        provider: Provider,
        url: Url,
    },
}

#[derive(Debug, Default)]
struct Kept {
    /// With the boottime at which they came, nanoseconds.
    keys: Option<(KeySet, u64)>,
    /// Boottime of the last attempt.
    asked: Option<u64>,
}

fn unusable(error: &dyn Error) -> LoginError {
    let cause = error.source().map(|cause| format!(": {cause}"));
    LoginError::Provider(format!("{error}{}", cause.unwrap_or_default()))
}

fn refused(error: &JwsError) -> LoginError {
    LoginError::Token(error.to_string())
}

impl ProviderKeys {
    pub(super) fn of(config: &LoginConfig, names: Names, clock: Arc<dyn Clock>) -> Result<Self> {
        let source = match (&config.jwks_file, &config.jwks_url, &config.roots) {
            (Some(path), None, None) => Source::File(path.clone()),
            (None, Some(url), Some(roots)) => {
                let provider = Provider::new(&file::read(roots)?, names);
                let provider =
                    provider.with_context(|| format!("login.roots: {}", roots.display()))?;
                Source::Fetched { provider, url: url.clone() }
            }
            _ => bail!("login: either jwks_file, or jwks_url with roots"),
        };
        let keys = Self { source, clock, kept: Mutex::default() };
        if let Source::File(path) = &keys.source {
            read(path).map_err(|error| anyhow::anyhow!(error))?;
        }
        Ok(keys)
    }

    /// What the provider signed in this token.
    pub(super) async fn open(&self, token: &str) -> Result<Vec<u8>, LoginError> {
        match &self.source {
            Source::File(path) => read(path)?.open(token).map_err(|error| refused(&error)),
            Source::Fetched { provider, url } => {
                let mut kept = self.kept.lock().await;
                self.refresh(&mut kept, (provider, url), FRESH).await?;
                let known = kept.open(token);
                if known != Some(Err(JwsError::UnknownKey)) {
                    return known
                        .unwrap_or(Err(JwsError::UnknownKey))
                        .map_err(|error| refused(&error));
                }
                self.refresh(&mut kept, (provider, url), FETCH_AGAIN).await?;
                kept.open(token)
                    .unwrap_or(Err(JwsError::UnknownKey))
                    .map_err(|error| refused(&error))
            }
        }
    }

    /// Fetches keys that are older than `fresh`, if it was not tried just now.
    async fn refresh(
        &self,
        kept: &mut Kept,
        (provider, url): (&Provider, &Url),
        fresh: Duration,
    ) -> Result<(), LoginError> {
        let now = self.clock.boottime_ns();
        let since = |then: u64| Duration::from_nanos(now.saturating_sub(then));
        if kept.keys.as_ref().is_some_and(|(_, at)| since(*at) > KEPT_MAX) {
            kept.keys = None;
        }
        let young = kept.keys.as_ref().is_some_and(|(_, at)| since(*at) < fresh);
        let pause = if kept.keys.is_some() { FETCH_AGAIN } else { FETCH_FAILED_AGAIN };
        let tried = kept.asked.is_some_and(|at| since(at) < pause);
        if tried && kept.keys.is_none() {
            return Err(LoginError::Provider("its keys could not be had just now".to_owned()));
        }
        if young || tried {
            return Ok(());
        }
        // Before, because whoever asks may give up meanwhile; and after, because who waits behind must not ask at once.
        kept.asked = Some(now);
        let fetched = fetch(provider, url).await;
        kept.asked = Some(self.clock.boottime_ns());
        match fetched {
            Ok(keys) => kept.keys = Some((keys, now)),
            Err(error) if kept.keys.is_some() => {
                tracing::warn!(%error, "the identity provider's keys cannot be had anew");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Kept {
    fn open(&self, token: &str) -> Option<Result<Vec<u8>, JwsError>> {
        self.keys.as_ref().map(|(keys, _)| keys.open(token))
    }
}

fn read(path: &std::path::Path) -> Result<KeySet, LoginError> {
    let text = file::read(path).map_err(|error| unusable(&error))?;
    KeySet::parse(text.as_bytes()).map_err(|error| unusable(&error))
}

async fn fetch(provider: &Provider, url: &Url) -> Result<KeySet, LoginError> {
    let answer = provider.get(url).await.map_err(|error| unusable(&error))?;
    if answer.status != 200 {
        return Err(LoginError::Provider(format!("{url} answered {}", answer.status)));
    }
    KeySet::parse(&answer.body).map_err(|error| unusable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::testing::BEGIN;
    use sekisho_transport::pki::OperatorCa;
    use sekisho_types::principal::TrustDomain;
    use sekisho_types::time::Timestamp;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn wall(&self) -> Timestamp {
            BEGIN
        }
        fn boottime_ns(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// Shows a token to keys whose provider cannot be had; when it was asked last.
    async fn asked(keys: &ProviderKeys) -> Option<u64> {
        let answer = keys.open("token").await;
        assert!(matches!(answer, Err(LoginError::Provider(_))), "{answer:?}");
        keys.kept.lock().await.asked
    }

    #[tokio::test]
    async fn strangers_do_not_have_a_provider_asked_that_gives_no_keys() {
        let domain = TrustDomain::parse("kanto.example").unwrap();
        let ca = OperatorCa::create("kanto".parse().unwrap(), domain, BEGIN).unwrap();
        // TCPMUX (RFC 1078): nobody has served it for decades, and connecting to it fails at once.
        let url = "https://127.0.0.1:1/keys".parse().unwrap();
        let clock = Arc::new(Hand::default());
        let keys = ProviderKeys {
            source: Source::Fetched {
                provider: Provider::new(&ca.root_pem(), Names::default()).unwrap(),
                url,
            },
            clock: Arc::<Hand>::clone(&clock),
            kept: Mutex::default(),
        };
        assert_eq!(asked(&keys).await, Some(0));
        let pause = u64::try_from(FETCH_FAILED_AGAIN.as_nanos()).unwrap();
        for (now, last) in [(pause - 1, 0), (pause, pause), (2 * pause - 1, pause)] {
            clock.0.store(now, Ordering::Relaxed);
            assert_eq!(asked(&keys).await, Some(last), "at {now}");
        }
    }
}
