//! The own certificate, and the roots that it and others are judged by.

use crate::catalogue::identity::*;
use crate::check::{Check, Finding};
use crate::limit::AUTHORITY_ENDS;
use crate::unit::long;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::credential::Identity;
use sekisho_transport::probe::validity;
use sekisho_transport::verify::judge_client;
use sekisho_types::cause::explain;
use sekisho_types::time::Timestamp;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// Share of its life that is left of a certificate when its renewal is overdue: agents renew when a third is left.
const OVERDUE: u64 = 4;

/// Time from `now` to `until`.
#[must_use]
pub fn left(now: Timestamp, until: Timestamp) -> Duration {
    Duration::from_millis(until.since_ms(now))
}

/// Whether what is valid `from` and `until` should have been renewed by `now`.
#[must_use]
pub fn overdue(now: Timestamp, (from, until): (Timestamp, Timestamp)) -> bool {
    until.since_ms(now) < until.since_ms(from) / OVERDUE
}

/// The check `certificate`, of one that names `subject`.
#[must_use]
pub fn certificate(subject: &str, valid: (Timestamp, Timestamp), now: Timestamp) -> Finding {
    let (from, until) = valid;
    let outcome = if now >= until {
        &CERTIFICATE_OVER
    } else if now < from {
        &CERTIFICATE_EARLY
    } else if overdue(now, valid) {
        &CERTIFICATE_ENDS
    } else {
        &CERTIFICATE_SOUND
    };
    Finding::new(outcome)
        .with("subject", subject)
        .with("from", from)
        .with("until", until)
        .with("left", long(left(now, until)))
}

/// The check `chain`: what every other end would say to it, by `bundles` of version `version`.
#[must_use]
pub fn chain(identity: &Identity, bundles: &TrustBundles, version: u64) -> Finding {
    match judge_client(bundles, &identity.chain()) {
        Ok(named) => Finding::new(&CHAIN_SOUND)
            .with("operator", &named.principal.operator)
            .with("version", version),
        Err(error) => Finding::new(&CHAIN_REFUSED).with("cause", explain(&error)),
    }
}

/// A company's root certificate, DER.
#[derive(Debug, Clone)]
pub struct Root {
    /// Whose.
    pub operator: String,
    /// The certificate.
    pub der: Vec<u8>,
}

/// The check `roots`.
#[must_use]
pub fn roots(roots: &[Root], now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut first: Option<(Timestamp, &str)> = None;
    for root in roots {
        let Some((_, until)) = validity(&root.der) else {
            let cause = format!("{}: not X.509", root.operator);
            findings.push(Finding::new(&ROOTS_BAD).with("cause", cause));
            continue;
        };
        let rest = left(now, until);
        if rest < AUTHORITY_ENDS {
            let outcome = if now >= until { &ROOT_OVER } else { &ROOT_ENDS };
            findings.push(
                Finding::new(outcome)
                    .with("operator", &root.operator)
                    .with("until", until)
                    .with("left", long(rest)),
            );
        }
        if first.is_none_or(|(earliest, _)| until < earliest) {
            first = Some((until, &root.operator));
        }
    }
    match first {
        Some((until, operator)) if findings.is_empty() => vec![
            Finding::new(&ROOTS_SOUND)
                .with("count", roots.len())
                .with("operator", operator)
                .with("until", until),
        ],
        None if findings.is_empty() => {
            vec![Finding::new(&ROOTS_BAD).with("cause", "there is none")]
        }
        Some(_) | None => findings,
    }
}

/// Whether a file with a key shows it to others than its owner; nothing where there is no such file.
#[must_use]
pub fn key_shown(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.mode() & 0o7777;
    let shown = Finding::new(&KEY_SHOWN).with("path", path.display());
    (mode & 0o077 != 0).then(|| shown.with("mode", format!("{mode:04o}")))
}

/// What cannot be judged because there is nothing.
#[must_use]
pub fn nothing(check: &'static Check) -> Finding {
    let outcome = if check.id == CERTIFICATE.id { &CERTIFICATE_NONE } else { &CHAIN_UNKNOWN };
    Finding::new(outcome).of(check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_transport::bundle::TrustBundles;
    use sekisho_transport::pki::{Key, OperatorCa, Validity};
    use sekisho_types::principal::TrustDomain;
    use sekisho_types::time::Clock;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    const DAY: u64 = 86_400_000;
    /// 2026-11-29.
    const NOW: Timestamp = Timestamp(1_795_910_400_000);

    #[derive(Debug)]
    struct At(Timestamp);

    impl Clock for At {
        fn wall(&self) -> Timestamp {
            self.0
        }
        fn boottime_ns(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_certificate_is_judged_by_its_time_and_what_is_left_of_it() {
        let valid = (Timestamp(NOW.0), Timestamp(NOW.0 + 4 * DAY));
        let judged = |now| certificate("kanto/x", valid, Timestamp(now)).outcome.code;
        assert_eq!(judged(NOW.0), "CERTIFICATE_SOUND");
        assert_eq!(judged(NOW.0 - 1), "CERTIFICATE_EARLY");
        assert_eq!(judged(NOW.0 + 3 * DAY), "CERTIFICATE_SOUND");
        assert_eq!(judged(NOW.0 + 3 * DAY + 1), "CERTIFICATE_ENDS");
        assert_eq!(judged(NOW.0 + 4 * DAY), "CERTIFICATE_OVER");
    }

    fn authority() -> OperatorCa {
        let domain = TrustDomain::parse("kanto.example").unwrap();
        OperatorCa::create("kanto".parse().unwrap(), domain, NOW).unwrap()
    }

    fn trust(ca: &OperatorCa, at: Timestamp) -> Arc<TrustBundles> {
        let trust = TrustBundles::new(Arc::new(At(at)));
        trust.replace(&BTreeMap::from([(ca.trust_domain().clone(), ca.bundle())])).unwrap();
        trust
    }

    #[test]
    fn a_chain_is_judged_as_others_judge_it() {
        let ca = authority();
        let issuer = ca.issuer(&[], NOW).unwrap();
        let validity = Validity { now: NOW, lifetime: Duration::from_secs(3600) };
        let key = Key::generate().unwrap();
        let node = "tokyo-1/n-01".parse().unwrap();
        let issued =
            issuer.issue_agent_from_csr(&key.csr().unwrap(), &node, None, validity).unwrap();
        let identity = Identity::from_pem(&issued.chain_pem, key.pem().expose()).unwrap();
        let sound = chain(&identity, &trust(&ca, NOW), 3);
        assert_eq!(
            (sound.outcome.code, sound.values()["operator"].as_str()),
            ("CHAIN_SOUND", "kanto")
        );
        let late = chain(&identity, &trust(&ca, Timestamp(NOW.0 + DAY)), 3);
        assert_eq!(late.outcome.code, "CHAIN_REFUSED");
        assert!(late.values()["cause"].contains("xpired"), "{late:?}");
        let other = chain(&identity, &trust(&authority(), NOW), 3);
        assert_eq!(other.outcome.code, "CHAIN_REFUSED", "of another authority with the same name");
    }

    #[test]
    fn a_key_that_others_can_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        assert_eq!(key_shown(&path), None);
        for (mode, shown) in [(0o600, false), (0o640, true), (0o604, true)] {
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(key_shown(&path).is_some(), shown, "{mode:o}");
        }
    }

    #[test]
    fn roots_that_end_are_told_one_by_one() {
        let ca = authority();
        let root = |der: &[u8]| Root { operator: "kanto".to_owned(), der: der.to_vec() };
        let (_, until) = validity(ca.root()).unwrap();
        let judged = |all: &[Root], now: u64| {
            roots(all, Timestamp(now)).iter().map(|found| found.outcome.code).collect::<Vec<_>>()
        };
        assert_eq!(judged(&[root(ca.root())], NOW.0), ["ROOTS_SOUND"]);
        assert_eq!(judged(&[root(ca.root())], until.0 - 59 * DAY), ["ROOT_ENDS"]);
        assert_eq!(judged(&[root(ca.root()), root(b"x")], until.0), ["ROOT_OVER", "ROOTS_BAD"]);
        assert_eq!(judged(&[], NOW.0), ["ROOTS_BAD"]);
    }
}
