//! `sekisho audit`: show, export, verify, prove and watch the audit log, and what members keep beside it.

mod beside;
mod export;
pub mod prove;
pub mod show;
mod tiles;
pub mod watch;

use super::verdict;
use crate::app::App;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::verify::report::Report;
use crate::verify::{self, Known, proof};
use beside::{DenialsArgs, OfMember};
use prove::ProveArgs;
use sekisho_evidence::audit_proof;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_types::error_code::ErrorCode;
use serde::Serialize;
use show::{RecordView, ShowArgs};
use std::path::{Path, PathBuf};
use watch::WatchArgs;

/// Largest bundle that is read into memory, bytes: ten million records.
const BUNDLE_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// Verbs of the audit log.
#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Show records
    Show(ShowArgs),
    /// Write a bundle that verifies with no cluster at hand
    Export {
        /// File to write
        file: PathBuf,
    },
    /// Verify a bundle, or the proof of a record, offline. Exit 0 good, 1 not
    Verify(VerifyArgs),
    /// Write one record as a small file that proves itself
    Prove(ProveArgs),
    /// Follow the log as a witness of your own
    Watch(WatchArgs),
    /// Show what a member refused before the log, as its own journal has it
    Denials(DenialsArgs),
    /// Show evidence that the log has forked, judged here
    Forks(OfMember),
}

/// What to verify, and against what.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The bundle, or the proof
    file: PathBuf,
    /// Genesis file that you trust; without it compare the fingerprint by hand
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// A bundle exported earlier: it must be a prefix, or what an incarnation lost since is told
    #[arg(long, value_name = "BUNDLE")]
    earlier: Option<PathBuf>,
    /// A signed head that you kept, e.g. by `audit watch`: it must be one of this log's. May be repeated
    #[arg(long, value_name = "NOTE")]
    seen: Vec<PathBuf>,
    /// Fail, too, when something could not be checked: a member's journal is missing
    #[arg(long)]
    complete: bool,
}

pub(super) async fn run(app: &mut App<'_>, command: AuditCommand) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Show(args) => show::show(app, args).await.map(|()| Exit::Ok),
        AuditCommand::Export { file } => export::export(app, &file).await.map(|()| Exit::Ok),
        AuditCommand::Verify(args) => verify_file(app, &args),
        AuditCommand::Prove(args) => prove::prove(app, args).await.map(|()| Exit::Ok),
        AuditCommand::Watch(args) => watch::watch(app, args).await,
        AuditCommand::Denials(args) => beside::denials(app, args).await.map(|()| Exit::Ok),
        AuditCommand::Forks(of) => beside::forks(app, &of).await.map(|()| Exit::Ok),
    }
}

/// The bytes of a bundle.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let size = std::fs::metadata(path).map_err(|error| of_file(path, &error))?.len();
    if size > BUNDLE_MAX {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!("{} has {size} bytes", path.display()),
        ));
    }
    std::fs::read(path).map_err(|error| of_file(path, &error))
}

/// For programs.
#[derive(Serialize)]
struct Whole<'r> {
    verified: bool,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'r RecordView>,
    #[serde(flatten)]
    report: &'r Report,
}

fn verify_file(app: &mut App<'_>, args: &VerifyArgs) -> Result<Exit, Failure> {
    let bytes = read(&args.file)?;
    let trusted = args.genesis.as_deref().map(verify::trusted_genesis).transpose()?;
    if bytes.starts_with(audit_proof::MAGIC) {
        if args.earlier.is_some() || !args.seen.is_empty() {
            let why = "a proof of one record has no log to compare with --earlier or --seen";
            return Err(Failure::invalid(why));
        }
        return verify_proof(app, &bytes, trusted.as_ref());
    }
    let seen: Vec<Vec<u8>> = args.seen.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let known = Known { genesis: trusted.as_ref(), seen: &seen };
    let report = match &args.earlier {
        Some(earlier) => verify::verify_since(&bytes, &read(earlier)?, known),
        None => verify::verify_against(&bytes, known),
    };
    let (verified, complete) = (report.is_good(), report.is_complete());
    let whole = Whole { verified, complete, record: None, report: &report };
    let lines = report.lines(app.output.language, app.output.width);
    let exit = verdict::tell(&mut app.output, &report, trusted.as_ref(), &lines, &whole)?;
    Ok(if args.complete && !complete { Exit::Error } else { exit })
}

fn verify_proof(
    app: &mut App<'_>,
    bytes: &[u8],
    trusted: Option<&SignedGenesis>,
) -> Result<Exit, Failure> {
    let (report, proven) = proof::verify(bytes, trusted);
    let view = proven.map(|(index, proven)| {
        let entry = show::entry(&proven.record);
        RecordView::of(index, proven.record, entry.as_ref())
    });
    if let Some(view) = view.as_ref().filter(|_| app.output.format.is_for_people()) {
        app.output.one(view)?;
    }
    let (verified, complete) = (report.is_good(), report.is_complete());
    let whole = Whole { verified, complete, record: view.as_ref(), report: &report };
    let lines = report.lines(app.output.language, app.output.width);
    verdict::tell(&mut app.output, &report, trusted, &lines, &whole)
}
