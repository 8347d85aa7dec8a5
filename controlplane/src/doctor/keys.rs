//! What this member proves itself by, and what it signs with.

use crate::config::Config;
use crate::login::LoginPort;
use crate::trust::Ground;
use sekisho_doctor::catalogue::identity::*;
use sekisho_doctor::catalogue::member::*;
use sekisho_doctor::check::Finding;
use sekisho_doctor::identity::{self, Root, key_shown, left};
use sekisho_doctor::limit::{AUTHORITY_ENDS, REGISTRAR_ENDS};
use sekisho_doctor::unit::long;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::file::{ISSUER_KEY_FILE, KEY_FILE, REGISTRAR_KEY_FILE};
use sekisho_transport::pki::{Issuer, signing};
use sekisho_types::cause::explain;
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::time::{Clock, Timestamp};
use std::path::Path;
use std::sync::Arc;

/// What was found, and what the network's checks need of it.
type Identified = (Vec<Finding>, Option<Identity>, Option<Arc<TrustBundles>>);

/// The checks `certificate`, `chain` and `roots`.
pub(super) fn identity(
    config: &Config,
    ground: Option<&Ground>,
    clock: &Arc<dyn Clock>,
) -> Identified {
    let mut findings: Vec<Finding> =
        key_shown(&config.identity_dir.join(KEY_FILE)).into_iter().collect();
    let identity = match Identity::load(&config.identity_dir) {
        Ok(identity) => {
            findings.push(certificate(config, &identity, clock.wall()));
            Some(identity)
        }
        Err(error) => {
            findings.push(Finding::new(&CERTIFICATE_BAD).with("cause", explain(&error)));
            None
        }
    };
    let Some(ground) = ground else {
        findings.push(identity::nothing(&CHAIN));
        return (findings, identity, None);
    };
    let bundles = TrustBundles::new(Arc::clone(clock));
    if let Err(error) = ground.install(&bundles) {
        findings.push(Finding::new(&ROOTS_BAD).with("cause", explain(&error)));
        findings.push(identity::nothing(&CHAIN));
        return (findings, identity, None);
    }
    let version = ground.trust.bundle.version;
    findings.push(identity.as_ref().map_or_else(
        || identity::nothing(&CHAIN),
        |identity| identity::chain(identity, &bundles, version),
    ));
    let roots = ground
        .trust
        .roots
        .iter()
        .map(|root| Root { operator: root.operator.to_string(), der: root.der.clone() });
    findings.extend(identity::roots(&roots.collect::<Vec<_>>(), clock.wall()));
    (findings, identity, Some(bundles))
}

fn certificate(config: &Config, held: &Identity, now: Timestamp) -> Finding {
    let named = |workload| Principal { operator: config.operator.clone(), workload };
    let expected = Workload::Member { site: config.site.clone(), member: config.member };
    let found = held.workload();
    if found != expected {
        return Finding::new(&CERTIFICATE_STRANGE)
            .with("subject", named(found))
            .with("expected", named(expected));
    }
    identity::certificate(&named(found).to_string(), held.validity(), now)
}

/// The check `checkpoint-key`.
pub(super) fn checkpoint_key(config: &Config, ground: &Ground) -> Vec<Finding> {
    let Some(path) = config.checkpoint_key.as_deref().filter(|path| path.exists()) else {
        let shown = |path: &Path| path.display().to_string();
        let path = config.checkpoint_key.as_deref().map_or_else(|| "-".to_owned(), shown);
        return vec![Finding::new(&CHECKPOINT_KEY_NONE).with("path", path)];
    };
    let about = |outcome| Finding::new(outcome).with("path", path.display());
    let bundle = &ground.trust.bundle;
    let judged = match signing::read(path) {
        Ok(key) => {
            let agreed = bundle.endorser(config.member());
            let is_it = agreed.is_some_and(|endorser| endorser.public_key == key.public());
            about(if is_it { &CHECKPOINT_KEY_SOUND } else { &CHECKPOINT_KEY_OTHER })
                .with("member", config.member)
                .with("version", bundle.version)
        }
        Err(error) => about(&CHECKPOINT_KEY_BAD).with("cause", explain(&error)),
    };
    key_shown(path).into_iter().chain([judged]).collect()
}

/// The check `issuer`.
pub(super) fn issuer(config: &Config, ground: &Ground, now: Timestamp) -> Vec<Finding> {
    let (dir, tags) = (config.issuer_dir.as_deref(), config.site_tag_key.as_deref());
    let (dir, tags) = match (dir, tags.filter(|path| path.exists())) {
        (None, _) => return vec![Finding::new(&ISSUER_NONE).with("what", "issuer_dir")],
        (Some(_), None) => return vec![Finding::new(&ISSUER_NONE).with("what", "site_tag_key")],
        (Some(dir), Some(tags)) => (dir, tags),
    };
    let shown = [key_shown(&dir.join(ISSUER_KEY_FILE)), key_shown(tags)];
    let judged = judge_issuer(config, ground, (dir, tags), now);
    let judged = judged.unwrap_or_else(|cause| Finding::new(&ISSUER_BAD).with("cause", cause));
    shown.into_iter().flatten().chain([judged]).collect()
}

/// The check `login`. Nobody is dialled: the provider's keys are looked at only where they are a file.
pub(super) fn login(config: &Config, clock: &Arc<dyn Clock>) -> Vec<Finding> {
    let Some(settings) = &config.login else { return vec![Finding::new(&LOGIN_NONE)] };
    let dir = &settings.registrar_dir;
    let shown = [key_shown(&dir.join(ISSUER_KEY_FILE)), key_shown(&dir.join(REGISTRAR_KEY_FILE))];
    let judged = match LoginPort::open(config, Arc::clone(clock)) {
        Ok(Some(port)) => registrar(&port, settings.rule.len(), clock.wall()),
        Ok(None) => Finding::new(&LOGIN_NONE),
        Err(error) => Finding::new(&LOGIN_BAD).with("cause", format!("{error:#}")),
    };
    shown.into_iter().flatten().chain([judged]).collect()
}

fn registrar(port: &LoginPort, rules: usize, now: Timestamp) -> Finding {
    let (registrar, until) = port.registrar();
    let rest = left(now, until);
    let outcome = if now >= until {
        &LOGIN_OVER
    } else if rest < REGISTRAR_ENDS {
        &LOGIN_ENDS
    } else {
        &LOGIN_SOUND
    };
    Finding::new(outcome)
        .with("registrar", registrar)
        .with("until", until)
        .with("left", long(rest))
        .with("rules", rules)
}

fn judge_issuer(
    config: &Config,
    ground: &Ground,
    (dir, tags): (&Path, &Path),
    now: Timestamp,
) -> Result<Finding, String> {
    let issuer =
        Issuer::load(dir).map_err(|error| format!("{}: {}", dir.display(), explain(&error)))?;
    let key =
        signing::read(tags).map_err(|error| format!("{}: {}", tags.display(), explain(&error)))?;
    let keys = ground.trust.bundle.keys(&config.operator);
    let keys = keys.ok_or_else(|| format!("{} is not in the bundle", config.operator))?;
    if issuer.operator() != &config.operator {
        return Err(format!("the issuer is of {}", issuer.operator()));
    }
    if !keys.site_tags.has(&key.public()) {
        return Err(format!("{}: not the site-tag key in the bundle", tags.display()));
    }
    let until = issuer.not_after();
    let rest = left(now, until);
    let outcome = if now >= until {
        &ISSUER_OVER
    } else if rest < AUTHORITY_ENDS {
        &ISSUER_ENDS
    } else {
        &ISSUER_SOUND
    };
    Ok(Finding::new(outcome)
        .with("operator", issuer.operator())
        .with("until", until)
        .with("left", long(rest)))
}
