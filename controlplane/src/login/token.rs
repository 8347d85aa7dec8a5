//! What a token has to claim (OpenID Connect Core 1.0, section 3.1.3.7), judged offline.
//!
//! Must hold: issued by this provider for this client, lately, not over, and for these very keys. A claim that is missing or of
//! another type is a reason to refuse. How long a token is good decides when it may be shown, not how long the login lasts.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Two clocks may differ by so much, seconds.
const SKEW_S: u64 = 60;

/// Tokens are shown as soon as they are had; an older one was kept by somebody. Seconds.
const AGE_MAX_S: u64 = 600;

/// What a token must say.
#[derive(Debug)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) audience: &'e str,
    pub(super) nonce: &'e str,
    /// Seconds since 1970.
    pub(super) now_s: u64,
}

/// Why a token does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClaimError {
    #[error(
        "its claims are no JSON object, or iss, aud, exp, iat or nonce is missing or malformed"
    )]
    Form,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is of the future: compare the clocks")]
    Future,
    #[error("it was issued too long ago")]
    Old,
    #[error("its nonce is not that of these keys")]
    Nonce,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Standard {
    iss: String,
    aud: Audience,
    exp: u64,
    iat: u64,
    nonce: String,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    azp: Option<String>,
}

impl Standard {
    /// For the client, and if for others as well, then asked for by the client.
    fn is_for(&self, client: &str) -> bool {
        let party = self.azp.as_deref();
        match &self.aud {
            Audience::One(one) => one == client && party.is_none_or(|party| party == client),
            Audience::Many(many) => {
                let alone = many.len() == 1 && party.is_none();
                many.iter().any(|one| one == client) && (alone || party == Some(client))
            }
        }
    }
}

/// The claims of a token whose signature was verified.
pub(super) fn claims(
    payload: &[u8],
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, ClaimError> {
    // Read as fields first: a name that stands twice is refused there, and the map would take the last.
    let standard: Standard = serde_json::from_slice(payload).map_err(|_json| ClaimError::Form)?;
    let claims: Map<String, Value> =
        serde_json::from_slice(payload).map_err(|_json| ClaimError::Form)?;
    let now = expected.now_s;
    let refused = [
        (standard.iss != expected.issuer, ClaimError::Issuer),
        (!standard.is_for(expected.audience), ClaimError::Audience),
        (now > standard.exp.saturating_add(SKEW_S), ClaimError::Expired),
        (standard.iat > now.saturating_add(SKEW_S), ClaimError::Future),
        (standard.nbf.is_some_and(|nbf| nbf > now.saturating_add(SKEW_S)), ClaimError::Future),
        (now.saturating_sub(standard.iat) > AGE_MAX_S.saturating_add(SKEW_S), ClaimError::Old),
        (standard.nonce != expected.nonce, ClaimError::Nonce),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, why)) => Err(why),
        None => Ok(claims),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;
    const EXPECTED: Expected<'static> = Expected {
        issuer: "https://id.kanto.example",
        audience: "sekisho",
        nonce: "abc",
        now_s: NOW,
    };

    fn good() -> Value {
        json!({ "iss": "https://id.kanto.example", "aud": "sekisho", "exp": NOW + 300, "iat": NOW,
                "nonce": "abc", "sub": "42", "groups": ["gpu"] })
    }

    fn judged(change: impl FnOnce(&mut Value)) -> Result<(), ClaimError> {
        let mut token = good();
        change(&mut token);
        claims(&serde_json::to_vec(&token).unwrap(), &EXPECTED).map(|_claims| ())
    }

    #[test]
    fn a_token_for_these_keys_is_taken_while_it_is_good() {
        let told = claims(&serde_json::to_vec(&good()).unwrap(), &EXPECTED).unwrap();
        assert_eq!(told["groups"], json!(["gpu"]));
        assert_eq!(judged(|t| t["exp"] = json!(NOW - SKEW_S)), Ok(()));
        assert_eq!(judged(|t| t["iat"] = json!(NOW + SKEW_S)), Ok(()));
        assert_eq!(judged(|t| t["aud"] = json!(["sekisho"])), Ok(()));
        assert_eq!(
            judged(|t| {
                t["aud"] = json!(["other", "sekisho"]);
                t["azp"] = json!("sekisho");
            }),
            Ok(())
        );
    }

    #[test]
    fn every_other_token_is_refused_and_says_why() {
        use ClaimError as E;
        assert_eq!(judged(|t| t["iss"] = json!("https://id.kanto.example/")), Err(E::Issuer));
        assert_eq!(judged(|t| t["aud"] = json!("other")), Err(E::Audience));
        assert_eq!(judged(|t| t["aud"] = json!([])), Err(E::Audience));
        assert_eq!(judged(|t| t["aud"] = json!(["sekisho", "other"])), Err(E::Audience));
        assert_eq!(judged(|t| t["azp"] = json!("other")), Err(E::Audience));
        assert_eq!(judged(|t| t["exp"] = json!(NOW - SKEW_S - 1)), Err(E::Expired));
        assert_eq!(judged(|t| t["iat"] = json!(NOW + SKEW_S + 1)), Err(E::Future));
        assert_eq!(judged(|t| t["nbf"] = json!(NOW + SKEW_S + 1)), Err(E::Future));
        assert_eq!(judged(|t| t["iat"] = json!(NOW - AGE_MAX_S - SKEW_S - 1)), Err(E::Old));
        assert_eq!(judged(|t| t["nonce"] = json!("abd")), Err(E::Nonce));
        assert_eq!(judged(|t| t["nonce"] = json!("")), Err(E::Nonce));
        for claim in ["iss", "aud", "exp", "iat", "nonce"] {
            let missing = judged(|t| drop(t.as_object_mut().unwrap().remove(claim)));
            assert_eq!(missing, Err(E::Form), "{claim}");
            assert_eq!(judged(|t| t[claim] = json!({ "a": 1 })), Err(E::Form), "{claim}");
        }
        for time in [json!("1800000300"), json!(-1), json!(1e300), json!(1_800_000_300.5)] {
            assert_eq!(judged(|t| t["exp"] = time.clone()), Err(E::Form), "{time}");
            assert_eq!(judged(|t| t["nbf"] = time.clone()), Err(E::Form), "{time}");
        }
        let twice = br#"{"iss":"x","iss":"https://id.kanto.example"}"#;
        for bad in [&b""[..], b"[]", b"\"a\"", twice] {
            assert_eq!(claims(bad, &EXPECTED).unwrap_err(), E::Form);
        }
    }
}
