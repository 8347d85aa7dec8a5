//! Tokens that are good, and the ways in which they are forged.

use super::*;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};

/// {"alg":"RS256","kid":"r1"} and {"sub":"alice"}.
const RS256_HEAD: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIn0";
const CLAIMS: &str = "eyJzdWIiOiJhbGljZSJ9";
/// Made once with openssl; the private half was thrown away.
const RSA_N: &str = "\
    r_ZrIOnHDTFi-ZE7uuAz8BXJ4sFTCHPuN8_hp3iCqlml3u8-N8Em-694Uv09W77nVTiw4mX2Cd7nhGYiO-FQwloEWETEOKfjZcY_\
    q0tAee3N1JWs97W8mp02NW3gY1aDmMIIFV1hAde3aM4KkAWr2ChLk6gf8aSVjcCb8Vp05ufqWwhFa-_-OozC2Jmgn6sbR9kX83-I\
    PIRm6wxTDcaYxqpmdkXAFmsbdCHcHleXO61wx0_RfKjGiN9mcSa9sPU3frgoARIb11ZBVta5HplubfxfMIqVThGF09i3_ObHAime\
    WuVJZcrgPnQXoBXJRA60JzEIDT3QnSeeOOg38q4O8Q";
const RS256_SIGNATURE: &str = "\
    iPeQyEK5VG4a3jdaOJd4qYMxCjrvzCr1kiV-JtjxFjb8a6OzI9tTv-j2TYCsEyBdNAVLILOKoMX2UIzj9xN_gvKxUesAek2Y01OT\
    3bLCec7voJFIK3WPr0m4NfIyQyolOPnmKpXIPrb-SvpAo32MTeq0fGGwgH9IrRRp5_Rd0TXyt6dHAnC8JX4lDWTEu-_XmMXpseuN\
    N8eMJSzmfIy3R-OgAXm-VUetG1t2yjTm6fPJsmG3unDzveqYjSqLMjb6OvI1cvRLgDCMgXrA81ENH1xZ_LN2e_ofwVRGYwjqfyzM\
    3hUksHP-r1TyEA4LpmzTrcXIu0rr2pGfo1uTAXRo4w";
fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// A provider with a key of each kind.
struct Keys {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    random: SystemRandom,
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, ec.as_ref(), &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self { ec, ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(), random }
    }

    fn document(&self) -> serde_json::Value {
        let point = self.ec.public_key().as_ref();
        let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
        serde_json::json!({ "keys": [
            { "kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": RSA_N, "e": "AQAB" },
            { "kty": "RSA", "kid": "enc", "use": "enc", "n": RSA_N, "e": "AQAB" },
            { "kty": "EC", "kid": "p1", "crv": "P-256", "x": x, "y": y },
            { "kty": "OKP", "kid": "e1", "crv": "Ed25519", "x": b64(self.ed.public_key().as_ref()) },
            { "kty": "oct", "kid": "h1", "k": "c2VjcmV0" },
            { "kty": "EC", "kid": "p9", "crv": "P-521", "x": x, "y": y },
        ] })
    }

    fn set(&self) -> KeySet {
        KeySet::parse(&serde_json::to_vec(&self.document()).unwrap()).unwrap()
    }

    /// A token with this header over {"sub":"alice"}, signed as `alg` says.
    fn token(&self, header: &serde_json::Value, alg: &str) -> String {
        let message = format!("{}.{CLAIMS}", b64(&serde_json::to_vec(header).unwrap()));
        let signature = match alg {
            "ES256" => self.ec.sign(&self.random, message.as_bytes()).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message.as_bytes()).as_ref().to_vec(),
            _ => Vec::new(),
        };
        format!("{message}.{}", b64(&signature))
    }
}

#[test]
fn each_of_the_three_algorithms_is_taken() {
    let (keys, claims) = (Keys::new(), br#"{"sub":"alice"}"#.to_vec());
    let set = keys.set();
    let rsa = format!("{RS256_HEAD}.{CLAIMS}.{RS256_SIGNATURE}");
    assert_eq!(set.open(&rsa), Ok(claims.clone()));
    for (alg, kid) in [("ES256", "p1"), ("EdDSA", "e1")] {
        let token = keys.token(&serde_json::json!({ "alg": alg, "kid": kid }), alg);
        assert_eq!(set.open(&token), Ok(claims.clone()), "{alg}");
        // With a single key of its kind a token need not name it.
        let token = keys.token(&serde_json::json!({ "alg": alg }), alg);
        assert_eq!(set.open(&token), Ok(claims.clone()), "{alg}");
    }
}

#[test]
fn no_token_chooses_how_it_is_verified() {
    let keys = Keys::new();
    let set = keys.set();
    let refused = |header: serde_json::Value, alg: &str| set.open(&keys.token(&header, alg));
    for alg in ["none", "None", "HS256", "HS512", "RS512", "PS256", "ES384", ""] {
        let header = serde_json::json!({ "alg": alg, "kid": "r1" });
        assert_eq!(refused(header, "none"), Err(JwsError::Algorithm), "{alg}");
    }
    // HS256 keyed with the public key, as if it were a secret.
    let message = format!("{}.{CLAIMS}", b64(br#"{"alg":"HS256","kid":"r1"}"#));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, RSA_N.as_bytes());
    let forged = format!("{message}.{}", b64(hmac::sign(&secret, message.as_bytes()).as_ref()));
    assert_eq!(set.open(&forged), Err(JwsError::Algorithm));
    // A key of another kind, another use, or none at all, wherever the token says that it lies.
    let unknown = [
        serde_json::json!({ "alg": "ES256", "kid": "e1" }),
        serde_json::json!({ "alg": "ES256", "kid": "r1" }),
        serde_json::json!({ "alg": "RS256", "kid": "enc" }),
        serde_json::json!({ "alg": "ES256", "kid": "p9" }),
        serde_json::json!({ "alg": "ES256", "kid": "other", "jku": "https://evil.example/" }),
    ];
    for header in unknown {
        assert_eq!(refused(header, "ES256"), Err(JwsError::UnknownKey));
    }
    let own = &keys.document()["keys"][2];
    let with_key = serde_json::json!({ "alg": "ES256", "kid": "p1", "jwk": own });
    let stranger = Keys::new().token(&with_key, "ES256");
    assert_eq!(set.open(&stranger), Err(JwsError::Signature));
    let asks = serde_json::json!({ "alg": "ES256", "kid": "p1", "crit": ["b64"], "b64": false });
    assert!(matches!(refused(asks, "ES256"), Err(JwsError::Form(_))));
}

#[test]
fn what_was_altered_or_is_no_token_is_refused() {
    let keys = Keys::new();
    let set = keys.set();
    let good = keys.token(&serde_json::json!({ "alg": "ES256", "kid": "p1" }), "ES256");
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let other = b64(br#"{"sub":"admin"}"#);
    assert_eq!(set.open(&format!("{head}.{other}.{signature}")), Err(JwsError::Signature));
    assert_eq!(set.open(&format!("{message}.")), Err(JwsError::Signature));
    let form = |token: &str| matches!(set.open(token), Err(JwsError::Form(_)));
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        message,
        &format!("{good}.x"),
        &format!("{message}.{signature}="),
        &format!(" {good}"),
        &format!("{}.{CLAIMS}.{signature}", b64(b"[]")),
        &format!("{}.{CLAIMS}.{signature}", b64(br#"{"alg":1}"#)),
        &format!("{}.{CLAIMS}.{signature}", b64(br#"{"alg":"none","alg":"ES256"}"#)),
        &"a".repeat(TOKEN_MAX + 1),
    ] {
        assert!(form(bad), "{bad}");
    }
}

#[test]
fn a_set_of_keys_has_some_that_are_taken_and_not_too_many() {
    for bad in [&b""[..], b"{}", b"[]", br#"{"keys":[]}"#, br#"{"keys":[{"kty":"oct","k":"AA"}]}"#]
    {
        assert!(matches!(KeySet::parse(bad), Err(JwsError::Keys(_))));
    }
    let many = serde_json::json!({ "keys": vec![Keys::new().document()["keys"][3].clone(); 33] });
    KeySet::parse(&serde_json::to_vec(&many).unwrap()).unwrap_err();
    // Two without an id, of one kind: no telling which is meant.
    let twice = Keys::new().document()["keys"][3].clone();
    let twice = serde_json::json!({ "keys": [twice.clone(), twice] });
    let set = KeySet::parse(&serde_json::to_vec(&twice).unwrap()).unwrap();
    let token = Keys::new().token(&serde_json::json!({ "alg": "EdDSA" }), "EdDSA");
    assert_eq!(set.open(&token), Err(JwsError::UnknownKey));
}
