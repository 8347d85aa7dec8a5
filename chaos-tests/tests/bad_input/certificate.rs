//! Callers whose certificate is not one: a TLS 1.3 client learns of it only when it has begun to speak, and must be told
//! in words all the same (design section 10).

use crate::stage::Stage;
use sekisho_cli::context::Contexts;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::pki::file::{CHAIN_FILE, KEY_FILE};
use sekisho_transport::pki::{Issuer, OperatorCa, Validity};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::{Clock as _, Timestamp};
use std::time::Duration;

const AUTH: i32 = 4;
const HOUR: Duration = Duration::from_secs(3600);
const TWO_DAYS_MS: u64 = 2 * 86_400_000;

/// kanto's context with an identity from this issuer, made out at `at` for an hour.
fn context(stage: &Stage, name: &str, issuer: &Issuer, at: Timestamp) -> Contexts {
    let validity = Validity { now: at, lifetime: HOUR };
    let (issued, key) = issuer.issue_user(&"admin".parse().unwrap(), validity).unwrap();
    let folder = stage.folder(name);
    std::fs::write(folder.join(CHAIN_FILE), &issued.chain_pem).unwrap();
    std::fs::write(folder.join(KEY_FILE), key.expose()).unwrap();
    let mut contexts = stage.contexts();
    let kanto = contexts.context.get_mut("kanto").unwrap();
    kanto.identity = folder.join(CHAIN_FILE);
    kanto.identity_key = folder.join(KEY_FILE);
    contexts
}

fn authority(operator: &str, now: Timestamp) -> Issuer {
    let domain = TrustDomain::parse(&format!("{operator}.example")).unwrap();
    let ca = OperatorCa::create(operator.parse().unwrap(), domain, now).unwrap();
    ca.issuer(&[], now).unwrap()
}

pub(crate) fn of_another_authority_expired_or_of_no_operator(stage: &mut Stage) {
    let now = SystemClock.wall();
    let own = Issuer::load(&stage.operator("kanto")).unwrap();
    let past = Timestamp(now.0 - TWO_DAYS_MS);
    for (what, issuer, at, words) in [
        ("a certificate of another authority", authority("kanto", now), now, "refused"),
        ("an expired certificate", own, past, "has expired"),
        ("a certificate of an unknown operator", authority("hyuga", now), now, "not trusted"),
    ] {
        let bent = stage.bent(what, &context(stage, what, &issuer, at));
        let run = |args: &[&str]| {
            let args = [&[bent[0].as_str(), &bent[1]], args].concat();
            stage.federation.run("kanto", &args).unwrap()
        };
        let read = run(&["site", "list"]);
        let write = run(&["node", "cordon", "tokyo-1/n-01"]);
        stage.refused(what, &read, (ErrorCode::Unauthenticated, AUTH), &[words]);
        stage.refused(what, &write, (ErrorCode::Unauthenticated, AUTH), &[words]);
    }
}
