//! `sekisho audit`: show, export and verify the audit log.

use super::agreement::not_there;
use super::{instant, verdict};
use crate::app::App;
use crate::ask;
use crate::client::of_status;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use crate::verify;
use crate::verify::lost::command_name;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::entry::Entry;
use sekisho_proto::v1;
use sekisho_transport::part::Part;
use sekisho_types::error_code::{ErrorCode, Language};
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Largest bundle that is read into memory, bytes: ten million records.
const BUNDLE_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// Records that one call asks for.
const PAGE: u64 = 1000;

/// Verbs of the audit log.
#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Show records
    Show {
        /// First record
        #[arg(long, default_value_t = 0)]
        start: u64,
        /// How many
        #[arg(long, default_value_t = 100)]
        count: u64,
    },
    /// Write a bundle that verifies with no cluster at hand
    Export {
        /// File to write
        file: PathBuf,
    },
    /// Verify a bundle offline. Exit 0 good, 1 not
    Verify {
        /// The bundle
        file: PathBuf,
        /// Genesis file that you trust; without it compare the fingerprint by hand
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
        /// A bundle exported earlier: it must be a prefix, or what an incarnation lost since is told
        #[arg(long, value_name = "BUNDLE")]
        earlier: Option<PathBuf>,
    },
}

#[derive(Debug, Serialize)]
struct RecordView {
    index: u64,
    revision: u64,
    time_ms: u64,
    kind: &'static str,
    subject: String,
    actor: Option<String>,
    rejected: Option<&'static str>,
}

impl RecordView {
    fn of(index: u64, bytes: &[u8]) -> Result<Self, Failure> {
        let bad = |error: &dyn std::fmt::Display| {
            Failure::new(ErrorCode::Internal, format!("record {index}: {error}"))
        };
        let record = Record::parse(bytes).map_err(|error| bad(&error))?;
        let (kind, subject, actor, rejected) = match record.body {
            Body::Entry { entry, rejected } => {
                let entry: Entry = decode(&entry).map_err(|error| bad(&error))?;
                let subject = command_name(&entry.command);
                ("entry", subject, Some(entry.actor.to_string()), rejected.map(ErrorCode::as_str))
            }
            Body::Grant(grant) => {
                let subject = format!("{} {} on {}", grant.placement, grant.job, grant.node);
                ("grant", subject, Some(grant.submitter.to_string()), None)
            }
            Body::Desired(desired) => {
                let subject = format!("{}: {} placements", desired.node, desired.count);
                ("desired", subject, None, None)
            }
        };
        Ok(Self {
            index,
            revision: record.revision.0,
            time_ms: record.time.0,
            kind,
            subject,
            actor,
            rejected,
        })
    }
}

impl Shown for RecordView {
    const COLUMNS: &'static [Column] = &[
        column("index", "番号"),
        column("time", "時刻"),
        column("what", "内容"),
        column("by", "主体"),
        wide("kind", "種類"),
        wide("revision", "リビジョン"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let refused = pick(language, "rejected", "拒否");
        let what = match self.rejected {
            Some(code) => format!("{}, {refused}: {code}", self.subject),
            None => self.subject.clone(),
        };
        vec![
            self.index.to_string(),
            instant(self.time_ms / 1000 * 1000).replace(".000Z", "Z"),
            what,
            self.actor.clone().unwrap_or_else(|| "-".to_owned()),
            self.kind.to_owned(),
            self.revision.to_string(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: AuditCommand) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Show { start, count } => show(app, start, count).await.map(|()| Exit::Ok),
        AuditCommand::Export { file } => export(app, &file).await.map(|()| Exit::Ok),
        AuditCommand::Verify { file, genesis, earlier } => {
            verify_file(app, &file, genesis.as_deref(), earlier.as_deref())
        }
    }
}

async fn show(app: &mut App<'_>, start: u64, count: u64) -> Result<(), Failure> {
    let session = app.session()?;
    let mut items: Vec<RecordView> = Vec::new();
    let end = start.saturating_add(count);
    let mut next = start;
    while next < end {
        let page_size = u32::try_from(end.saturating_sub(next).min(PAGE)).unwrap_or(u32::MAX);
        let request = v1::ListRecordsRequest { start: next, page_size };
        let page =
            ask!(session.client, audit_service_client::AuditServiceClient, list_records, request)?;
        if page.records.is_empty() {
            break;
        }
        for record in &page.records {
            items.push(RecordView::of(record.index, &record.record)?);
            next = record.index.saturating_add(1);
        }
    }
    app.output.list(&items, &Listed::default())
}

/// Streams the bundle into a file beside the target; it takes the name when it is whole and durable.
async fn export(app: &mut App<'_>, path: &Path) -> Result<(), Failure> {
    // An earlier bundle may be all that shows what was lost.
    not_there(path)?;
    let session = app.session()?;
    let request = v1::ExportBundleRequest {};
    let mut chunks =
        ask!(session.client, audit_service_client::AuditServiceClient, export_bundle, request)?;
    let mut part = Part::create(path)?;
    let mut size = 0usize;
    while let Some(chunk) = chunks.message().await.map_err(|status| of_status(&status))? {
        part.write_all(&chunk.chunk).map_err(|error| of_file(part.path(), &error))?;
        size = size.saturating_add(chunk.chunk.len());
    }
    part.sync()?.take_name()?;
    let next = format!("sekisho audit verify {}", path.display());
    app.output.written(path, size, &next)
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

fn verify_file(
    app: &mut App<'_>,
    path: &Path,
    genesis: Option<&Path>,
    earlier: Option<&Path>,
) -> Result<Exit, Failure> {
    let bytes = read(path)?;
    let trusted = genesis.map(verify::trusted_genesis).transpose()?;
    let report = match earlier {
        Some(earlier) => verify::verify_since(&bytes, &read(earlier)?, trusted.as_ref()),
        None => verify::verify(&bytes, trusted.as_ref()),
    };
    #[derive(Serialize)]
    struct Whole<'r> {
        verified: bool,
        #[serde(flatten)]
        report: &'r verify::report::Report,
    }
    let whole = Whole { verified: report.is_good(), report: &report };
    let lines = report.lines(app.output.language);
    verdict::tell(&mut app.output, &report, trusted.as_ref(), &lines, &whole)
}
