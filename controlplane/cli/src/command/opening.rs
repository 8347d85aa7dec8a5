//! Beginning a federation anew: `member founder`, `member recover`, `snapshot restore`, and the operators' signatures.
//!
//! All of it happens at the operators' desks, with no controller at hand: there may be none. What is agreed on is a file,
//! passed on like every agreement; once everybody has signed it, a trust package is written beside it, which is all that
//! founders, hosts and people need.
//!
//! Must hold: nobody signs what he did not check: the backup is inspected whole against the genesis in the operator's own
//! directory, and the opening is applied to its state, before a key is used; whoever signs names his own members of
//! before, which he has stopped for good.

mod founder;
mod later;

pub(super) use founder::{FounderArgs, founder};

use super::agreement::{AgreementView, fingerprint, not_there, sign};
use crate::app::App;
use crate::failure::{Failure, of_file};
use crate::pki::OperatorDir;
use crate::pki::rotate::BACKUP_FILE;
use crate::verify::lost::Lost;
use crate::verify::snapshot::{Good, inspect};
use founder::{Founder, Seat};
use later::Later;
use sekisho_evidence::bundle::{EndorserBundle, SignedBundle};
use sekisho_evidence::opening::{Cause, Opening, Restored, Withdrawn};
use sekisho_evidence::package::{TrustPackage, added, opening};
use sekisho_evidence::terms::{Agreement, Terms};
use sekisho_transport::part;
use sekisho_transport::pki::backup::BackupIdentity;
use sekisho_transport::seal;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, NodeId, PublicKey, SiteId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Largest file of an opening or founder that is read.
const FILE_MAX: u64 = 8 << 20;
/// Lost commands that are told one by one.
const TOLD_MAX: usize = 100;

/// An opening, as it is passed on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningFile {
    /// Steps of the endorser bundle that the backup has forgotten.
    base: Vec<Agreement>,
    /// What is agreed on.
    agreement: Agreement,
}

/// What must not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Away {
    /// A site with its hosts.
    Site(SiteId),
    /// A host.
    Node(NodeId),
    /// A registered key.
    Key(PublicKey),
}

impl FromStr for Away {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || "must be site:SITE, node:SITE/NODE or key:HEX".to_owned();
        let (kind, id) = text.split_once(':').ok_or_else(form)?;
        match kind {
            "site" => id.parse().map(Self::Site).map_err(|_bad| form()),
            "node" => id.parse().map(Self::Node).map_err(|_bad| form()),
            "key" => id.parse().map(Self::Key).map_err(|_bad| form()),
            _ => Err(form()),
        }
    }
}

/// A backup, and the key to it.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The backup; of several the one with the longest log counts
    #[arg(long, value_name = "BACKUP", required = true)]
    pub(super) from: Vec<PathBuf>,
    /// Secret half of one of the backup keys; `backup.key` of the operator's directory if left out
    #[arg(long, value_name = "FILE")]
    pub(super) identity: Option<PathBuf>,
    /// This operator's members of the incarnation that ends, all of them: stopped for good and disabled
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = super::member::number)]
    pub(super) stopped: Vec<MemberId>,
}

/// What a new incarnation begins with.
#[derive(Debug, clap::Args)]
pub struct OpenArgs {
    /// File to write
    file: PathBuf,
    #[command(flatten)]
    backup: BackupArgs,
    /// The founders, each written by its operator with `member founder`
    #[arg(long, value_name = "FILE", required = true)]
    founder: Vec<PathBuf>,
    /// The directory of the operator that prepares it
    #[arg(long, value_name = "DIR")]
    operator_dir: PathBuf,
    /// An audit bundle of after the backup: shows what is lost, and what was revoked and agreed on meanwhile
    #[arg(long, value_name = "AUDIT")]
    later: Option<PathBuf>,
    /// What must not come back: site:SITE, node:SITE/NODE or key:HEX
    #[arg(long, value_name = "WHAT")]
    withdraw: Vec<Away>,
    /// With fewer than three operators: one of them may hold a quorum alone
    #[arg(long)]
    accept_quorum_in_one_hand: bool,
}

fn internal(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::Internal, error.to_string())
}

fn read<T: for<'d> Deserialize<'d>>(path: &Path) -> Result<T, Failure> {
    let length = std::fs::metadata(path).map_err(|error| of_file(path, &error))?.len();
    if length > FILE_MAX {
        return Err(of_file(path, &"too large"));
    }
    let bytes = std::fs::read(path).map_err(|error| of_file(path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| of_file(path, &error))
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| internal(&error))?;
    Ok(part::replace(path, text.as_bytes())?)
}

/// Opens and inspects a backup, against the genesis in the operator's directory.
fn load(path: &Path, dir: &OperatorDir, identity: Option<&Path>) -> Result<Good, Failure> {
    let own = dir.path().join(BACKUP_FILE);
    let key = identity.unwrap_or(&own);
    let identity = BackupIdentity::read(key).map_err(|error| of_file(key, &error))?;
    let file = File::open(path).map_err(|error| of_file(path, &error))?;
    let opened = seal::open(&identity, BufReader::new(file)).map_err(|e| of_file(path, &e))?;
    let (_, report, good) = inspect(0, opened, Some(&dir.genesis()?));
    good.ok_or_else(|| {
        let found = report.steps.iter().flat_map(|step| step.findings.first()).next();
        let why =
            format!("{}: {}", path.display(), found.map_or("", |finding| finding.detail.as_str()));
        Failure::new(ErrorCode::SnapshotMismatch, why)
    })
}

/// Of these backups the one whose log is longest: it has every committed entry that any of them has.
fn longest(args: &BackupArgs, dir: &OperatorDir) -> Result<(PathBuf, Good), Failure> {
    let mut best: Option<(PathBuf, Good)> = None;
    for path in &args.from {
        let good = load(path, dir, args.identity.as_deref())?;
        if best.as_ref().is_none_or(|(_, held)| held.head.last_log < good.head.last_log) {
            best = Some((path.clone(), good));
        }
    }
    best.ok_or_else(|| Failure::invalid("--from names no backup"))
}

/// Whoever signs has stopped his own members for good, and says so by naming all of them: those of the backup, and those
/// that came after it.
fn all_stopped(
    good: &Good,
    base: &[Agreement],
    dir: &OperatorDir,
    stopped: &[MemberId],
) -> Result<(), Failure> {
    let operator = dir.card()?.keys.operator;
    let members = good.state.federation().map(|federation| &federation.members);
    let known = members.into_iter().flat_map(|all| all.values());
    let own = known.chain(base.iter().filter_map(added)).filter(|m| m.operator == operator);
    let own: BTreeSet<MemberId> = own.map(|m| m.member).collect();
    if stopped.iter().copied().collect::<BTreeSet<_>>() == own {
        return Ok(());
    }
    let named: Vec<_> = own.iter().map(ToString::to_string).collect();
    let why = format!("the members of {operator} until now are: {}", named.join(","));
    Err(Failure::invalid(why).remedy(
        "stop and disable each of them for good (`sekisho-controller retire`), then name them all with --stopped",
    ))
}

/// A federation that begins anew from a member that survived.
pub(super) fn recover(
    app: &mut App<'_>,
    args: &OpenArgs,
    dead: &[MemberId],
) -> Result<(), Failure> {
    let dir = OperatorDir::new(&args.operator_dir);
    let (path, good) = longest(&args.backup, &dir)?;
    let voters = &good.head.voters;
    let alive = voters.iter().filter(|voter| !dead.contains(voter)).count();
    if alive > voters.len() / 2 {
        let why = format!("{alive} of {} voters are not dead: they can decide", voters.len());
        return Err(Failure::new(ErrorCode::WrongPhase, why)
            .remedy("start them, and remove the dead ones: `sekisho member remove`"));
    }
    open(app, args, &dir, (&path, &good), Cause::Recovered)
}

/// A federation that begins anew from a backup.
pub(super) fn restore(app: &mut App<'_>, args: &OpenArgs) -> Result<(), Failure> {
    let dir = OperatorDir::new(&args.operator_dir);
    let (path, good) = longest(&args.backup, &dir)?;
    open(app, args, &dir, (&path, &good), Cause::Restored)
}

fn withdrawn(named: &[Away], later: &Later) -> Withdrawn {
    let mut all = later.withdrawn.clone();
    for away in named {
        match away {
            Away::Site(site) => drop(all.sites.insert(site.clone())),
            Away::Node(node) => drop(all.nodes.insert(node.clone())),
            Away::Key(key) => drop(all.keys.insert(*key)),
        }
    }
    all
}

fn open(
    app: &mut App<'_>,
    args: &OpenArgs,
    dir: &OperatorDir,
    (path, good): (&Path, &Good),
    cause: Cause,
) -> Result<(), Failure> {
    not_there(&args.file)?;
    let later = match &args.later {
        Some(later) => Later::read(later, good, &dir.genesis()?)?,
        None => Later::default(),
    };
    all_stopped(good, &later.base, dir, &args.backup.stopped)?;
    tell_lost(app, args.later.is_some(), &later.lost)?;
    let founders: Result<Vec<Founder>, _> = args.founder.iter().map(|path| read(path)).collect();
    let mut founders = founders?;
    let keys = founders.iter().flat_map(|founder| founder.keys.clone()).collect();
    let mut seats: Vec<Seat> = founders.drain(..).filter_map(|founder| founder.seat).collect();
    seats.sort_by_key(|seat| seat.member.member);
    let head = &good.head;
    let opening = Opening {
        cause,
        opened: app.now(),
        restored: Restored {
            revision: head.revision,
            last: head.last_log,
            head: head.head,
            image: head.image,
        },
        highest: later.note.clone(),
        founders: seats.iter().map(|seat| seat.member.clone()).collect(),
        withdrawn: withdrawn(&args.withdraw, &later),
        keys,
        accept_quorum_in_one_hand: args.accept_quorum_in_one_hand,
    };
    let endorsers = seats.into_iter().map(|seat| seat.endorser).collect();
    let terms = Terms::Open(Box::new(opening));
    let bundle = held(good, &later.base)?.opened(endorsers, terms.digest());
    let signed = SignedBundle { bundle, signatures: Vec::new() };
    let agreement = Agreement { terms, signed };
    finish(app, (&args.file, path), good, dir, OpeningFile { base: later.base, agreement })
}

fn held(good: &Good, base: &[Agreement]) -> Result<EndorserBundle, Failure> {
    let federation = good.state.federation().ok_or_else(|| internal(&"no federation"))?;
    Ok(base.last().map_or_else(|| federation.bundle.clone(), |step| step.signed.bundle.clone()))
}

fn tell_lost(app: &mut App<'_>, looked: bool, lost: &[Lost]) -> Result<(), Failure> {
    if !looked {
        let note = app.output.pick(
            "nothing is known of what followed this backup: what was revoked since must be named with --withdraw, or shown with --later AUDIT",
            "このバックアップ以降の記録は不明です。以降に失効させたものは --withdraw で指定するか、--later 監査ファイルで示してください",
        );
        return app.output.note(note);
    }
    let count = lost.len();
    let note = app.output.pick(
        format!("{count} commands after this backup are lost"),
        format!("このバックアップ以降の {count} 件の操作が失われます"),
    );
    app.output.note(&note)?;
    for Lost { record, time, actor, command } in lost.iter().take(TOLD_MAX) {
        app.output.note(&format!("  {record}  {time}  {command}  {actor}"))?;
    }
    let more = count.saturating_sub(TOLD_MAX);
    if more == 0 {
        return Ok(());
    }
    let note = app.output.pick(format!("  and {more} more"), format!("  ほか {more} 件"));
    app.output.note(&note)
}

/// Adds another operator's signature.
pub(super) fn add_signature(
    app: &mut App<'_>,
    path: &Path,
    dir: &Path,
    compared: &Digest,
    backup: &BackupArgs,
) -> Result<(), Failure> {
    let file: OpeningFile = read(path)?;
    let found = fingerprint(&file.agreement.signed.bundle)?;
    if found != *compared {
        let why = format!("the file has fingerprint {found}");
        return Err(Failure::new(ErrorCode::BundleMismatch, why)
            .remedy("compare the fingerprint with the operator that prepared the opening"));
    }
    let dir = OperatorDir::new(dir);
    let (from, good) = longest(backup, &dir)?;
    let told = opening(&file.agreement).ok_or_else(|| Failure::invalid("it opens nothing"))?;
    if told.restored.image != good.head.image || told.restored.last != good.head.last_log {
        let why = format!("{}: not the backup that the opening names", from.display());
        return Err(Failure::new(ErrorCode::SnapshotMismatch, why));
    }
    all_stopped(&good, &file.base, &dir, &backup.stopped)?;
    finish(app, (path, &from), &good, &dir, file)
}

/// Whose signatures are missing, in words; everything else must stand.
fn missing(good: &Good, file: &OpeningFile) -> Result<Option<String>, Failure> {
    match good.state.clone().open_incarnation(&file.base, &file.agreement) {
        Ok(_opened) => Ok(None),
        Err(rejection) if rejection.code == ErrorCode::SignaturesMissing => {
            Ok(Some(rejection.detail))
        }
        Err(rejection) => Err(Failure::new(rejection.code, rejection.detail)),
    }
}

/// Checks, signs, and once everybody has signed writes the package.
fn finish(
    app: &mut App<'_>,
    (path, from): (&Path, &Path),
    good: &Good,
    dir: &OperatorDir,
    mut file: OpeningFile,
) -> Result<(), Failure> {
    let unsigned = missing(good, &file)?;
    own_founders(&file.agreement, dir)?;
    if app.global.dry_run {
        show(app, &file, unsigned)?;
        return app.unsigned();
    }
    sign(&mut file.agreement, dir)?;
    let missing = missing(good, &file)?;
    write(path, &file)?;
    let complete = missing.is_none();
    show(app, &file, missing)?;
    let (path, from) = (path.display(), from.display());
    if !complete {
        let compared = fingerprint(&file.agreement.signed.bundle)?;
        return app.output.next(&format!(
            "sekisho operator sign {path} --operator-dir DIR --from {from} --stopped N,... --fingerprint {compared}"
        ));
    }
    let package = package(good, file)?;
    let written = PathBuf::from(format!("{path}.package"));
    part::replace(&written, &package.bytes().map_err(|error| internal(&error))?)?;
    let written = written.display();
    let line = app.output.pick(
        format!("{written}: name it in the settings of each founder as `package`"),
        format!("{written}: 各創設メンバーの設定の `package` に指定してください"),
    );
    app.output.line(&line)?;
    app.output.next(&format!(
        "sekisho-controller found --config CONFIG --snapshot {from} --identity DIR/backup.key"
    ))
}

/// The company's founders have the keys that its own directory has: nobody else may speak for it.
fn own_founders(agreement: &Agreement, dir: &OperatorDir) -> Result<(), Failure> {
    let operator = dir.card()?.keys.operator;
    let all = agreement.signed.bundle.endorsers.iter();
    all.filter(|endorser| endorser.operator == operator).try_for_each(|own| dir.has_member(own))
}

fn show(app: &mut App<'_>, file: &OpeningFile, missing: Option<String>) -> Result<(), Failure> {
    app.output.one(&AgreementView::new(&file.agreement, missing)?)?;
    if file.base.is_empty() {
        return Ok(());
    }
    let steps = file.base.len();
    let note = app.output.pick(
        format!("it makes up for {steps} step(s) of the endorser bundle that the backup lacks:"),
        format!("バックアップにない承認者束の変更 {steps} 件を補います:"),
    );
    app.output.note(&note)?;
    for step in &file.base {
        app.output.note(&format!("  {}", AgreementView::new(step, None)?.words()))?;
    }
    Ok(())
}

/// The way from the genesis over the opening.
fn package(good: &Good, file: OpeningFile) -> Result<TrustPackage, Failure> {
    let told = opening(&file.agreement).map(|told| told.founders.clone()).unwrap_or_default();
    let mut package = good.head.package.clone();
    package.steps.extend(file.base.into_iter().chain([file.agreement]).map(Into::into));
    package.members = told;
    let walked = package.walk(&package.genesis.genesis.bundle);
    walked.map_err(|error| Failure::new(ErrorCode::BundleMismatch, error.to_string()))?;
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_come_back_is_named_by_its_kind() {
        assert_eq!("site:tokyo-1".parse(), Ok(Away::Site("tokyo-1".parse().unwrap())));
        assert_eq!("node:tokyo-1/n-1".parse(), Ok(Away::Node("tokyo-1/n-1".parse().unwrap())));
        let key = PublicKey([7; 32]);
        assert_eq!(format!("key:{key}").parse(), Ok(Away::Key(key)));
        for bad in ["tokyo-1", "site:", "node:tokyo-1", "key:7", "person:a"] {
            assert!(bad.parse::<Away>().is_err(), "{bad}");
        }
    }
}
