//! A change of the endorser bundle, as a file that operators pass on until everybody has signed it who must.
//!
//! Must hold: nobody signs what he did not check: the bundle must follow, by exactly the terms that the file tells, from
//! the one in force, which is walked from the genesis in the operator's own directory and not taken from a controller; and
//! its fingerprint is the one that the operators compared by voice. Keys never leave the operator's directory; the file
//! holds public ones only.

use crate::app::{App, Session};
use crate::ask;
use crate::failure::{Failure, of_file};
use crate::language::Text;
use crate::output::{Column, Shown, column};
use crate::pki::OperatorDir;
use sekisho_evidence::bundle::{BundleError, EndorserBundle, SignedBundle};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::opening::{Cause, Opening};
use sekisho_evidence::operator::OperatorKeys;
use sekisho_evidence::package::{Trust, TrustPackage};
use sekisho_evidence::terms::{Agreement, IssuedKey, Rotation, Terms};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::trust::ChangeBundle;
use sekisho_proto::v1;
use sekisho_transport::part;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{Digest, OperatorId};
use serde::Serialize;
use std::path::Path;

/// Largest file that is read: a bundle of many members, with a root and sixteen sites, has some tens of KiB.
const FILE_MAX: u64 = 1 << 20;

/// Reads an agreement.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub(super) fn read(path: &Path) -> Result<Agreement, Failure> {
    let length = std::fs::metadata(path).map_err(|error| of_file(path, &error))?.len();
    if length > FILE_MAX {
        return Err(of_file(path, &"too large for a change of the endorser bundle"));
    }
    let bytes = std::fs::read(path).map_err(|error| of_file(path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let opens = serde_json::from_slice::<serde_json::Value>(&bytes);
        if opens.is_ok_and(|file| file.get("base").is_some()) {
            let why = format!("{}: the opening of an incarnation", path.display());
            return Failure::invalid(why).remedy("name the backup that it begins from: --from");
        }
        of_file(path, &error)
    })
}

fn text(agreement: &Agreement) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(agreement);
    text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))
}

/// Adds a signature, unless it is there.
pub(super) fn sign(agreement: &mut Agreement, dir: &OperatorDir) -> Result<(), Failure> {
    for signature in dir.sign_bundle(&agreement.signed.bundle)? {
        if !agreement.signed.signatures.contains(&signature) {
            agreement.signed.signatures.push(signature);
        }
    }
    Ok(())
}

/// Whether this may follow `held`; whose signatures are missing, in words.
fn missing(agreement: &Agreement, held: &EndorserBundle) -> Result<Option<String>, Failure> {
    match agreement.follows(held) {
        Ok(()) => Ok(None),
        Err(BundleError::Signatures { have, need }) => {
            Ok(Some(need.saturating_sub(have).to_string()))
        }
        Err(BundleError::Party(operator)) => Ok(Some(operator.to_string())),
        Err(error @ BundleError::Threshold(_)) => {
            let why = format!("{error}: too few companies would have a controller");
            Err(Failure::new(ErrorCode::MemberNeeded, why).remedy(
                "a company's last controller stays while the others are no more than k - 1",
            ))
        }
        Err(error @ BundleError::Malformed(_)) => {
            Err(Failure::new(ErrorCode::BundleMismatch, error.to_string())
                .remedy("no bundle may look like that: prepare another change"))
        }
        Err(
            error @ (BundleError::Version { .. }
            | BundleError::WrongCluster
            | BundleError::Unrelated),
        ) => Err(Failure::new(ErrorCode::BundleMismatch, error.to_string())
            .remedy("prepare the change again: another one came first, or it is forged")),
    }
}

/// What the operators compare by voice: it stands for the whole bundle, and so for the terms.
pub(super) fn fingerprint(bundle: &EndorserBundle) -> Result<Digest, Failure> {
    let hash = bundle.hash();
    hash.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))
}

#[derive(Debug, Serialize)]
pub(super) struct AgreementView {
    change: &'static str,
    subject: String,
    details: Vec<String>,
    bundle_version: u64,
    fingerprint: String,
    signed_by: Vec<String>,
    missing: Option<String>,
}

fn keys_in_words(keys: Option<&OperatorKeys>) -> Vec<String> {
    let Some(keys) = keys else { return Vec::new() };
    let line = |what: &str, all: Vec<String>| format!("{what} {}", all.join(" <- "));
    let text = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>();
    vec![
        line("root", text(&mut keys.roots.iter().map(ToString::to_string))),
        line("issuer", text(&mut keys.issuers.iter().map(ToString::to_string))),
        line("site-tag", text(&mut keys.site_tags.iter().map(ToString::to_string))),
        line(
            "backup",
            text(&mut keys.backups.iter().map(sekisho_transport::pki::backup::recipient)),
        ),
    ]
}

fn opening_in_words(opening: &Opening, bundle: &EndorserBundle) -> Vec<String> {
    let Opening { cause, opened, restored, founders, withdrawn, keys, .. } = opening;
    let how = match cause {
        Cause::Recovered => "recovered",
        Cause::Restored => "restored",
    };
    let last = &restored.last;
    let mut words = vec![
        format!("{how} {opened}"),
        format!("last entry {}/{}/{}", last.term, last.leader, last.index),
        format!("{} records, root {}", restored.head.size, restored.head.root),
        format!("image {}", restored.image),
        format!("largest head presented {}", opening.shown()),
    ];
    let key = |m: &GenesisMember| {
        let own = bundle.endorsers.iter().find(|endorser| endorser.member == m.member);
        own.map(|endorser| format!(" key {}", endorser.public_key)).unwrap_or_default()
    };
    let founder = |m: &GenesisMember| {
        format!("founder {} {} {} {}{}", m.member, m.operator, m.site, m.address, key(m))
    };
    words.extend(founders.iter().map(founder));
    words.extend(withdrawn.sites.iter().map(|site| format!("without site {site}")));
    words.extend(withdrawn.nodes.iter().map(|node| format!("without node {node}")));
    words.extend(withdrawn.keys.iter().map(|key| format!("without key {key}")));
    let named = |key: &IssuedKey| {
        format!("{} {} {}", key.record.principal, key.record.role, key.record.public_key)
    };
    words.extend(keys.iter().map(named));
    if opening.accept_quorum_in_one_hand {
        words.push("one company may decide alone".to_owned());
    }
    words
}

impl AgreementView {
    pub(super) fn new(agreement: &Agreement, missing: Option<String>) -> Result<Self, Failure> {
        let bundle = &agreement.signed.bundle;
        let (change, subject, details) = match &agreement.terms {
            Terms::AddMember(m) => {
                let mut details =
                    vec![m.operator.to_string(), m.site.to_string(), m.address.clone()];
                let own = bundle.endorsers.iter().filter(|e| e.member == m.member);
                details.extend(own.map(|endorser| format!("key {}", endorser.public_key)));
                ("add member", m.member.to_string(), details)
            }
            Terms::RemoveMember(member) => ("remove member", member.to_string(), Vec::new()),
            Terms::AddOperator(newcomer) => {
                let site = |s: &sekisho_evidence::genesis::GenesisSite| {
                    format!("site {} {}", s.site, s.area.label())
                };
                let admin = |a: &IssuedKey| {
                    format!("{} {} {}", a.record.principal, a.record.role, a.record.public_key)
                };
                let mut details = keys_in_words(bundle.keys(&newcomer.operator));
                details.extend(newcomer.sites.iter().map(site));
                details.extend(newcomer.admins.iter().map(admin));
                ("add operator", newcomer.operator.to_string(), details)
            }
            Terms::RemoveOperator(operator) => {
                ("remove operator", operator.to_string(), Vec::new())
            }
            Terms::RotateOperator { operator, rotation } => {
                let how = match rotation {
                    Rotation::Begin { .. } => "rotate keys: begin",
                    Rotation::Finish { accept_stranded: false } => "rotate keys: finish",
                    Rotation::Finish { accept_stranded: true } => {
                        "rotate keys: finish, whatever stands on the old ones"
                    }
                    Rotation::Abort => "rotate keys: call off",
                };
                (how, operator.to_string(), keys_in_words(bundle.keys(operator)))
            }
            Terms::Open(opening) => {
                let details = opening_in_words(opening, bundle);
                ("open incarnation", bundle.incarnation.to_string(), details)
            }
        };
        let signed = agreement.signed.signatures.iter().map(|s| s.operator.to_string());
        let mut signed_by: Vec<_> = signed.collect();
        signed_by.sort();
        signed_by.dedup();
        Ok(Self {
            change,
            subject,
            details,
            bundle_version: bundle.version,
            fingerprint: fingerprint(bundle)?.to_string(),
            signed_by,
            missing,
        })
    }

    /// In one line.
    pub(super) fn words(&self) -> String {
        let Self { change, subject, details, signed_by, .. } = self;
        format!("{change} {subject}: {}; signed by {}", details.join(", "), signed_by.join(", "))
    }
}

impl Shown for AgreementView {
    const COLUMNS: &'static [Column] = &[
        column("change", "変更"),
        column("of", "対象"),
        column("details", "詳細"),
        column("bundle version", "承認者束の版"),
        column("fingerprint", "指紋"),
        column("signed by", "署名済み"),
        column("signatures missing", "不足している署名"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        vec![
            self.change.to_owned(),
            self.subject.clone(),
            dash(self.details.join(", ")),
            self.bundle_version.to_string(),
            self.fingerprint.clone(),
            dash(self.signed_by.join(", ")),
            self.missing.clone().unwrap_or_else(|| "0".to_owned()),
        ]
    }
}

/// The trust package of a controller.
pub(super) async fn package(app: &App<'_>, session: &Session) -> Result<TrustPackage, Failure> {
    let request = v1::GetTrustPackageRequest { read: app.read() };
    let answer =
        ask!(session.client, trust_service_client::TrustServiceClient, get_trust_package, request)?;
    open(&answer.package)
}

/// Reads a package.
pub(super) fn open(bytes: &[u8]) -> Result<TrustPackage, Failure> {
    TrustPackage::open(bytes)
        .map_err(|error| Failure::new(ErrorCode::BundleMismatch, error.to_string()))
}

/// Where a package leads from the genesis in an operator's directory.
pub(super) fn walk(package: &TrustPackage, dir: &OperatorDir) -> Result<Trust, Failure> {
    let genesis = dir.genesis()?;
    package.walk(&genesis.genesis.bundle).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let why = format!("{error}{}", cause.unwrap_or_default());
        Failure::new(ErrorCode::BundleMismatch, why)
            .remedy("ask another controller; whoever gave this package is not to be trusted")
    })
}

/// What is in force, as an operator may believe it.
pub(super) async fn held(
    app: &App<'_>,
    session: &Session,
    dir: &OperatorDir,
) -> Result<Trust, Failure> {
    let trust = walk(&package(app, session).await?, dir)?;
    if trust.bundle.cluster != session.context.cluster {
        return Err(Failure::new(ErrorCode::WrongCluster, "the genesis is of another federation"));
    }
    Ok(trust)
}

/// Refuses a file that is there already, before keys are made for it.
pub(super) fn not_there(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        let exists = Failure::new(ErrorCode::AlreadyExists, path.display().to_string());
        return Err(exists.remedy("choose another file"));
    }
    Ok(())
}

/// Writes a new agreement, signed by the operator that asks for it.
pub(super) fn propose(
    app: &mut App<'_>,
    path: &Path,
    held: &EndorserBundle,
    dir: &OperatorDir,
    (terms, bundle): (Terms, EndorserBundle),
) -> Result<(), Failure> {
    let signed = SignedBundle { bundle, signatures: Vec::new() };
    let mut agreement = Agreement { terms, signed };
    sign(&mut agreement, dir)?;
    let missing = missing(&agreement, held)?;
    part::replace(path, text(&agreement)?.as_bytes())?;
    show(app, &agreement, missing, path)
}

/// Adds a signature, after checking what is signed. A company that is to come has no access yet: it checks that what is
/// said of it is what its own directory says.
pub(super) async fn add_signature(
    app: &mut App<'_>,
    path: &Path,
    dir: &Path,
    compared: &Digest,
) -> Result<(), Failure> {
    let mut agreement = read(path)?;
    let dir = OperatorDir::new(dir);
    let found = fingerprint(&agreement.signed.bundle)?;
    if found != *compared {
        let why = format!("the file has fingerprint {found}");
        return Err(Failure::new(ErrorCode::BundleMismatch, why)
            .remedy("compare the fingerprint with the operator that prepared the change"));
    }
    // The newcomer has no access yet, so it cannot tell what the federation still needs.
    let unknown = || Some("?".to_owned());
    if is_own_coming(&agreement, &dir)? {
        if app.global.dry_run {
            app.output.one(&AgreementView::new(&agreement, unknown())?)?;
            return app.unsigned();
        }
        sign(&mut agreement, &dir)?;
        part::replace(path, text(&agreement)?.as_bytes())?;
        return app.output.one(&AgreementView::new(&agreement, unknown())?);
    }
    let session = app.session()?;
    let held = held(app, &session, &dir).await?.bundle;
    let unsigned = missing(&agreement, &held)?;
    own_member(&agreement, &dir)?;
    if app.global.dry_run {
        app.output.one(&AgreementView::new(&agreement, unsigned)?)?;
        return app.unsigned();
    }
    sign(&mut agreement, &dir)?;
    let missing = missing(&agreement, &held)?;
    part::replace(path, text(&agreement)?.as_bytes())?;
    show(app, &agreement, missing, path)
}

/// A controller of the company has the key that its own directory has: nobody else may speak for it.
fn own_member(agreement: &Agreement, dir: &OperatorDir) -> Result<(), Failure> {
    let Terms::AddMember(member) = &agreement.terms else { return Ok(()) };
    if member.operator != dir.card()?.keys.operator {
        return Ok(());
    }
    let mut all = agreement.signed.bundle.endorsers.iter();
    all.find(|endorser| endorser.member == member.member).map_or(Ok(()), |own| dir.has_member(own))
}

/// Whether the change takes in the company of this directory; then everything in it must be as the directory has it.
fn is_own_coming(agreement: &Agreement, dir: &OperatorDir) -> Result<bool, Failure> {
    let card = dir.card()?;
    let Terms::AddOperator(newcomer) = &agreement.terms else { return Ok(false) };
    let own: &OperatorId = &card.keys.operator;
    if newcomer.operator != *own {
        return Ok(false);
    }
    let bundle = &agreement.signed.bundle;
    let same = bundle.keys(own) == Some(&card.keys)
        && newcomer.sites == card.sites
        && newcomer.admins == card.admins
        && newcomer.root == card.root.der
        && bundle.terms == agreement.terms.digest()
        && bundle.check().is_ok();
    if same {
        return Ok(true);
    }
    let why = format!("what the change says of {own} is not what {} says", dir.path().display());
    Err(Failure::new(ErrorCode::BundleMismatch, why).remedy("have it prepared again with the card"))
}

fn show(
    app: &mut App<'_>,
    agreement: &Agreement,
    missing: Option<String>,
    path: &Path,
) -> Result<(), Failure> {
    let view = AgreementView::new(agreement, missing)?;
    app.output.one(&view)?;
    let path = path.display();
    let next = if view.missing.is_some() {
        let compared = &view.fingerprint;
        format!("sekisho operator sign {path} --operator-dir DIR --fingerprint {compared}")
    } else {
        match &agreement.terms {
            Terms::AddMember(_) => format!("sekisho member add {path}"),
            Terms::RemoveMember(member) => format!("sekisho member remove {member} {path} --yes"),
            Terms::AddOperator(_) => format!("sekisho operator add {path}"),
            Terms::RemoveOperator(_) => format!("sekisho operator remove {path} --yes"),
            Terms::RotateOperator { .. } => format!("sekisho operator rotate {path}"),
            Terms::Open(_) => "sekisho-controller found".to_owned(),
        }
    };
    app.output.next(&next)
}

/// Sends an agreement.
pub(super) async fn send(
    app: &mut App<'_>,
    agreement: Agreement,
    name: &str,
    done: Text,
    next: &str,
) -> Result<(), Failure> {
    let agreement = Box::new(agreement);
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &Command::ChangeBundle(agreement.clone()))?;
    let request = ChangeBundle { agreement }.request(prepared.intent);
    let request = request.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    let written =
        ask!(session.client, trust_service_client::TrustServiceClient, change_bundle, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    app.changed(name, prepared.request, written.revision, done, Some(next.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::testing;
    use sekisho_types::id::{MemberId, PublicKey};

    fn change() -> (EndorserBundle, Agreement) {
        let held = testing::genesis().genesis.bundle;
        let member = testing::newcomer(4, "kanto");
        let endorser = testing::endorser(&member);
        let terms = Terms::AddMember(member);
        let bundle = held.with(endorser, terms.digest());
        (held, testing::agreement(terms, bundle, &["kanto"]))
    }

    #[test]
    fn a_change_round_trips_and_counts_its_signatures() {
        let (held, mut file) = change();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("member-4.json");
        std::fs::write(&path, text(&file).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), file);
        assert_eq!(missing(&file, &held).unwrap(), Some("1".to_owned()));
        let view = AgreementView::new(&file, None).unwrap();
        assert_eq!((view.change, view.details.len()), ("add member", 4));
        assert!(view.words().contains("add member 4: kanto"), "{}", view.words());
        file.signed = testing::signed_bundle(file.signed.bundle, &["kanto", "hokuto"]);
        assert_eq!(missing(&file, &held).unwrap(), None);
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path).unwrap_err().code, ErrorCode::InvalidArgument);
        std::fs::write(&path, "{\"base\": []}").unwrap();
        let refused = read(&path).unwrap_err();
        assert!(refused.remedy.is_some_and(|remedy| remedy.contains("--from")));
    }

    #[test]
    fn a_root_is_text_in_the_file_and_nothing_else_is_taken_for_one() {
        let (newcomer, keys) = testing::company("tokai");
        let terms = Terms::AddOperator(Box::new(newcomer));
        let bundle = testing::genesis().genesis.bundle.joined_by(keys, terms.digest());
        let file = testing::agreement(terms, bundle, &["kanto", "tokai"]);
        let text = text(&file).unwrap();
        let root = "\"746f6b6169\"";
        assert!(text.contains(root), "{text}");
        assert_eq!(serde_json::from_str::<Agreement>(&text).unwrap(), file);
        for bad in ["\"746f\u{e9}\"", "\"746\"", "\"7g\"", "\"+4\"", "[116]"] {
            let changed = text.replace(root, bad);
            assert!(serde_json::from_str::<Agreement>(&changed).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_tells_another_change_than_it_is_gets_no_signature() {
        let refused = |alter: &dyn Fn(&mut Agreement)| {
            let (held, mut file) = change();
            alter(&mut file);
            missing(&file, &held).unwrap_err().code
        };
        let stranger =
            |file: &mut Agreement| file.signed.bundle.endorsers[0].public_key = PublicKey([9; 32]);
        assert_eq!(refused(&stranger), ErrorCode::BundleMismatch);
        assert_eq!(refused(&|f| f.signed.bundle.version = 7), ErrorCode::BundleMismatch);
        let other = |f: &mut Agreement| f.terms = Terms::RemoveMember(MemberId(4));
        assert_eq!(refused(&other), ErrorCode::BundleMismatch);
        let two = |file: &mut Agreement| {
            let fifth = testing::endorser(&testing::newcomer(5, "kanto"));
            file.signed.bundle.endorsers.push(fifth);
        };
        assert_eq!(refused(&two), ErrorCode::BundleMismatch);
    }
}
