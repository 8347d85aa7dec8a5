//! What joining gave the host, and what it wrote down since: enrolment, ledger, certificate, tag. Read, never written.

use crate::config::Config;
use crate::enrolment::Enrolment;
use crate::failure::Failure;
use crate::ledger::LedgerFile;
use sekisho_agent_core::ledger::Ledger;
use sekisho_doctor::catalogue::host::PATH_MISSING;
use sekisho_doctor::catalogue::identity::{CERTIFICATE, CERTIFICATE_BAD, CHAIN, ROOTS_BAD};
use sekisho_doctor::catalogue::node::*;
use sekisho_doctor::check::Finding;
use sekisho_doctor::identity::{self, Root, left, overdue};
use sekisho_doctor::network::Target;
use sekisho_doctor::unit::{bytes, long};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::credential::Identity;
use sekisho_types::cause::explain;
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::time::{Clock, Timestamp};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

/// What the network's checks need of it.
#[derive(Debug)]
pub(super) struct Held {
    enrolment: Enrolment,
    /// Certificate and key, where they can be used.
    pub(super) identity: Option<Identity>,
    /// The roots, where they can be used.
    pub(super) trust: Option<Arc<TrustBundles>>,
    /// The endorser bundle in force.
    pub(super) bundle: EndorserBundle,
    /// When the tag was signed.
    pub(super) tagged: Option<Timestamp>,
}

impl Held {
    /// The members to ask.
    pub(super) fn targets(&self) -> Vec<Target> {
        let target = |member: &crate::enrolment::Member| Target {
            name: format!("members/{}", member.member.0),
            principal: member.principal(),
            address: member.address.clone(),
        };
        self.enrolment.members.iter().map(target).collect()
    }
}

/// Looks at all of it.
pub(super) fn look(config: &Config, clock: &Arc<dyn Clock>) -> (Vec<Finding>, Option<Held>) {
    let path = Enrolment::path(&config.data_dir);
    let mut findings = Vec::new();
    match File::open(&path) {
        Ok(_readable) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return (unjoined(config, &path), None);
        }
        Err(error) => return (vec![Finding::told(&ENROLMENT, Err(error))], None),
    }
    let enrolment = match Enrolment::load(&config.data_dir) {
        Ok(Some(enrolment)) => enrolment,
        Ok(None) => return (unjoined(config, &path), None),
        Err(failure) => {
            return (vec![Finding::new(&ENROLMENT_DAMAGED).with("cause", failure.cause)], None);
        }
    };
    findings.push(judge(config, &path, &enrolment));
    let (finding, ledger) = ledger(config, &enrolment);
    findings.push(finding);
    let bundle = ledger.map_or_else(|| enrolment.bundle.clone(), |ledger| ledger.bundle().clone());
    let now = clock.wall();
    let (certified, identity) = certificate(&enrolment, now);
    findings.push(certified);
    let (roots, trust) = roots(&enrolment, clock);
    findings.push(match (&identity, &trust) {
        (Some(identity), Some(trust)) => identity::chain(identity, trust, bundle.version),
        (_, _) => identity::nothing(&CHAIN),
    });
    findings.extend(roots);
    let (tag, tagged) = tag(&enrolment, &bundle, now);
    findings.push(tag);
    (findings, Some(Held { enrolment, identity, trust, bundle, tagged }))
}

/// A host that has not joined, and whether it could.
fn unjoined(config: &Config, path: &Path) -> Vec<Finding> {
    let mut findings = vec![
        Finding::new(&ENROLMENT_NONE).with("path", path.display()),
        Finding::new(&LEDGER_NONE),
        identity::nothing(&CERTIFICATE),
        Finding::new(&TAG_NONE),
    ];
    if let Some(token) = config.token.as_ref().filter(|token| !token.exists()) {
        let missing = Finding::new(&PATH_MISSING).with("what", "token");
        findings.push(missing.with("path", token.display()));
    }
    findings
}

fn judge(config: &Config, path: &Path, enrolment: &Enrolment) -> Finding {
    let mode = fs::metadata(path).map_or(0, |found| found.mode() & 0o7777);
    if mode & 0o077 != 0 {
        let shown = Finding::new(&ENROLMENT_SHOWN).with("path", path.display());
        return shown.with("mode", format!("{mode:04o}"));
    }
    match &config.node {
        Some(node) if *node != enrolment.node => {
            Finding::new(&ENROLMENT_STRANGE).with("node", &enrolment.node).with("expected", node)
        }
        Some(_) | None => Finding::new(&ENROLMENT_SOUND)
            .with("node", &enrolment.node)
            .with("operator", &enrolment.operator)
            .with("members", enrolment.members.len())
            .with("version", enrolment.bundle.version),
    }
}

fn ledger(config: &Config, enrolment: &Enrolment) -> (Finding, Option<Ledger>) {
    let file = LedgerFile::of(&config.data_dir);
    let ledger = match file.load(&enrolment.node, &enrolment.bundle) {
        Ok(ledger) => ledger,
        Err(error) => {
            return (Finding::new(&LEDGER_BAD).with("cause", explain(&error)), None);
        }
    };
    let open = ledger.entries().values().filter(|entry| entry.may_run()).count();
    let finding = Finding::new(&LEDGER_SOUND)
        .with("entries", ledger.entries().len())
        .with("open", open)
        .with("floor", ledger.floor())
        .with("bytes", bytes(fs::metadata(file.path()).map_or(0, |found| found.len())));
    (finding, Some(ledger))
}

fn certificate(enrolment: &Enrolment, now: Timestamp) -> (Finding, Option<Identity>) {
    match enrolment.identity() {
        Ok(identity) => {
            let node = &enrolment.node;
            let workload = Workload::Agent { site: node.site.clone(), node: node.name.clone() };
            let subject = Principal { operator: enrolment.operator.clone(), workload };
            let valid = identity.validity();
            (identity::certificate(&subject.to_string(), valid, now), Some(identity))
        }
        Err(failure) => (Finding::new(&CERTIFICATE_BAD).with("cause", failure.cause), None),
    }
}

fn roots(
    enrolment: &Enrolment,
    clock: &Arc<dyn Clock>,
) -> (Vec<Finding>, Option<Arc<TrustBundles>>) {
    let root = |root: &crate::enrolment::Root| Root {
        operator: root.operator.to_string(),
        der: root.der.clone(),
    };
    let held: Vec<Root> = enrolment.roots.iter().map(root).collect();
    let findings = identity::roots(&held, clock.wall());
    match enrolment.trust(clock) {
        Ok(trust) => (findings, Some(trust)),
        Err(failure) => (vec![Finding::new(&ROOTS_BAD).with("cause", failure.cause)], None),
    }
}

fn tag(
    enrolment: &Enrolment,
    bundle: &EndorserBundle,
    now: Timestamp,
) -> (Finding, Option<Timestamp>) {
    let refused = |failure: Failure| {
        Finding::new(&TAG_REFUSED).with("cause", format!("{}: {}", failure.code, failure.cause))
    };
    let standing = match enrolment.standing(bundle) {
        Ok(standing) => standing,
        Err(failure) => return (refused(failure), None),
    };
    let tag = standing.tag();
    if let Err(reason) = standing.judge(&[], now) {
        return (refused(reason.into()), Some(tag.issued));
    }
    let ends = overdue(now, (tag.issued, tag.expires));
    let finding = Finding::new(if ends { &TAG_ENDS } else { &TAG_SOUND })
        .with("area", &tag.area)
        .with("until", tag.expires)
        .with("left", long(left(now, tag.expires)));
    (finding, Some(tag.issued))
}
