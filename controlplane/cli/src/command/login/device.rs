//! The device flow (RFC 8628): the person confirms a code in a browser, on whatever machine, and a token comes here.
//!
//! Must hold: the provider proves itself under the roots of the context, and no other; what it says is bounded, and shown only
//! if it is plain text; it is asked as seldom as it wants, and not for longer than [`WAIT_MAX`]. The token is bound to the keys
//! of this login by its nonce, and goes to nobody but a member of the operator.

use crate::app::App;
use crate::context::{Context, LoginSettings};
use crate::failure::Failure;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::https::{Answer, HttpsError, Provider, Url};
use sekisho_transport::pki::file;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::Duration;

/// Longest wait for a person to confirm: long enough to find the phone.
const WAIT_MAX: Duration = Duration::from_secs(900);

/// Between two questions, where the provider does not say (RFC 8628, section 3.2).
const INTERVAL: u64 = 5;

/// And at most: who is told to ask so seldom would wait in vain.
const INTERVAL_MAX: u64 = 60;

/// How much longer after `slow_down` (section 3.5).
const SLOWER: u64 = 5;

/// Characters of a code or address that a person is shown.
const SHOWN_MAX: usize = 512;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a provider says of itself (RFC 8414): the little that is needed.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    device_authorization_endpoint: String,
    token_endpoint: String,
}

#[derive(Debug, Deserialize)]
struct Authorization {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default)]
    interval: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
}

/// What to do after a question.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Token(String),
    Wait,
    Slower,
}

fn useless(why: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::LoginProvider, why)
}

fn refused(why: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::LoginRefused, why)
}

fn silent(error: &HttpsError) -> Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    useless(text)
}

fn parsed<T: DeserializeOwned>(url: &Url, answer: &Answer) -> Result<T, Failure> {
    if answer.status != 200 {
        let named = serde_json::from_slice::<Refusal>(&answer.body).ok();
        let named = named.map(|refusal| format!(": {}", plain(&refusal.error)));
        return Err(useless(format!(
            "{url} answered {}{}",
            answer.status,
            named.unwrap_or_default()
        )));
    }
    serde_json::from_slice(&answer.body).map_err(|error| useless(format!("{url}: {error}")))
}

/// Text of a stranger, for a terminal: without what would move the cursor or hide something.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(SHOWN_MAX).collect()
}

fn shown(what: &str, text: &str) -> Result<String, Failure> {
    let good = !text.is_empty() && plain(text) == text;
    if good { Ok(text.to_owned()) } else { Err(useless(format!("its {what} is no plain text"))) }
}

fn address(text: &str) -> Result<Url, Failure> {
    text.parse().map_err(|error| useless(format!("{error}")))
}

/// A token for this nonce.
pub(super) async fn token(
    app: &mut App<'_>,
    context: &Context,
    nonce: &Digest,
) -> Result<String, Failure> {
    let settings = context.login.as_ref().ok_or_else(|| {
        let fix = "Add `[context.NAME.login]` (see the runbook), or use a request file: --csr-out.";
        Failure::invalid("the context does not say how its people log in").remedy(fix)
    })?;
    let roots = file::read(&settings.roots).map_err(|error| Failure::invalid(error.to_string()))?;
    let provider = Provider::new(&roots, context.names()?).map_err(|error| silent(&error))?;
    let metadata = discover(&provider, settings).await?;
    let begun = begin(&provider, settings, &metadata, nonce).await?;
    tell(app, &begun)?;
    poll(&provider, settings, &metadata, &begun).await
}

async fn discover(provider: &Provider, settings: &LoginSettings) -> Result<Metadata, Failure> {
    let base = settings.issuer.trim_end_matches('/');
    let url: Url = format!("{base}/.well-known/openid-configuration")
        .parse()
        .map_err(|error| Failure::invalid(format!("login.issuer: {error}")))?;
    let answer = provider.get(&url).await.map_err(|error| silent(&error))?;
    let metadata: Metadata = parsed(&url, &answer)?;
    if metadata.issuer != settings.issuer {
        let other = plain(&metadata.issuer);
        return Err(useless(format!("{url} speaks for `{other}`, not for `{}`", settings.issuer)));
    }
    Ok(metadata)
}

async fn begin(
    provider: &Provider,
    settings: &LoginSettings,
    metadata: &Metadata,
    nonce: &Digest,
) -> Result<Authorization, Failure> {
    let url = address(&metadata.device_authorization_endpoint)?;
    let (scope, nonce) = (settings.scopes.join(" "), nonce.to_string());
    let form = [
        ("client_id", settings.client_id.as_str()),
        ("scope", scope.as_str()),
        // Not in RFC 8628; OpenID providers carry it into the token. One that does not is of no use here.
        ("nonce", nonce.as_str()),
    ];
    let answer = provider.post(&url, &form).await.map_err(|error| silent(&error))?;
    parsed(&url, &answer)
}

fn tell(app: &mut App<'_>, begun: &Authorization) -> Result<(), Failure> {
    let (uri, code) =
        (shown("address", &begun.verification_uri)?, shown("code", &begun.user_code)?);
    let line = app.output.pick(
        format!("open {uri} and enter {code}"),
        format!("{uri} を開き、コード {code} を入力してください"),
    );
    app.output.note(&line)?;
    if let Some(complete) = &begun.verification_uri_complete {
        let complete = shown("address", complete)?;
        let line = app.output.pick(
            format!("or open {complete} and compare the code"),
            format!("または {complete} を開き、コードを照合してください"),
        );
        app.output.note(&line)?;
    }
    let waits = app.output.pick("waiting for you there …", "確認を待っています…");
    app.output.note(waits)
}

async fn poll(
    provider: &Provider,
    settings: &LoginSettings,
    metadata: &Metadata,
    begun: &Authorization,
) -> Result<String, Failure> {
    let url = address(&metadata.token_endpoint)?;
    let form = [
        ("grant_type", GRANT),
        ("device_code", begun.device_code.as_str()),
        ("client_id", settings.client_id.as_str()),
    ];
    let deadline = Deadline::after(Duration::from_secs(begun.expires_in).min(WAIT_MAX));
    let mut interval = begun.interval.unwrap_or(INTERVAL).clamp(1, INTERVAL_MAX);
    let mut last = None;
    loop {
        let pause = Duration::from_secs(interval);
        if deadline.remaining() < pause {
            // Whoever never answered is not somebody who said no.
            return Err(last.unwrap_or_else(|| refused("nobody confirmed the code in time")));
        }
        tokio::time::sleep(pause).await;
        match provider.post(&url, &form).await {
            Ok(answer) => {
                last = None;
                match judged(&answer)? {
                    Step::Token(token) => return Ok(token),
                    Step::Wait => {}
                    Step::Slower => interval = interval.saturating_add(SLOWER).min(INTERVAL_MAX),
                }
            }
            Err(error) => {
                last = Some(silent(&error));
                interval = interval.saturating_mul(2).min(INTERVAL_MAX);
            }
        }
    }
}

/// RFC 8628, section 3.5.
fn judged(answer: &Answer) -> Result<Step, Failure> {
    if answer.status == 200 {
        let tokens = serde_json::from_slice::<Tokens>(&answer.body);
        let none = |_error| useless("it gave no ID token: ask for the scope `openid`");
        return tokens.map(|tokens| Step::Token(tokens.id_token)).map_err(none);
    }
    let error = serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.error);
    match error.as_deref() {
        Ok("authorization_pending") => Ok(Step::Wait),
        Ok("slow_down") => Ok(Step::Slower),
        Ok("access_denied") => Err(refused("you said no")),
        Ok("expired_token") => Err(refused("the code has expired")),
        Ok(other) => Err(refused(plain(other))),
        Err(_) => Err(useless(format!("its answer was {}", answer.status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_provider_says_wait_slower_no_or_gives_a_token() {
        let step = |status, body: &str| judged(&answer(status, body));
        assert_eq!(step(200, r#"{"id_token":"a.b.c","x":1}"#), Ok(Step::Token("a.b.c".into())));
        assert_eq!(step(400, r#"{"error":"authorization_pending"}"#), Ok(Step::Wait));
        assert_eq!(step(400, r#"{"error":"slow_down"}"#), Ok(Step::Slower));
        let code = |status, body: &str| step(status, body).unwrap_err().code;
        for error in ["access_denied", "expired_token", "invalid_client", "\\u001b[2J"] {
            let body = format!(r#"{{"error":"{error}"}}"#);
            assert_eq!(code(400, &body), ErrorCode::LoginRefused, "{error}");
        }
        for (status, body) in [(200, "{}"), (200, ""), (500, "<html>"), (302, "")] {
            assert_eq!(code(status, body), ErrorCode::LoginProvider, "{status}");
        }
        let odd = step(400, "{\"error\":\"\\u001b[31mred\"}").unwrap_err();
        assert_eq!(odd.detail, "[31mred");
    }

    #[test]
    fn what_a_stranger_says_is_shown_as_plain_text_or_not_at_all() {
        assert_eq!(shown("code", "WDJB-MJHT").unwrap(), "WDJB-MJHT");
        for bad in ["", "a\nb", "\u{1b}[2J", "コード", &"x".repeat(SHOWN_MAX + 1)] {
            assert_eq!(shown("code", bad).unwrap_err().code, ErrorCode::LoginProvider);
        }
        let url: Url = "https://id.example/token".parse().unwrap();
        let failure = parsed::<Tokens>(&url, &answer(401, r#"{"error":"invalid_client"}"#));
        let detail = failure.unwrap_err().detail;
        assert_eq!(detail, "https://id.example/token answered 401: invalid_client");
    }
}
