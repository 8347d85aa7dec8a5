//! `sekisho audit prove`: one record of the log, as a file that proves itself.

use super::tiles::Fetch;
use crate::app::App;
use crate::ask;
use crate::command::agreement::{not_there, package};
use crate::failure::{Failure, of_file};
use sekisho_evidence::audit_proof::{AuditProof, AuditProofError};
use sekisho_evidence::checkpoint::verify_note;
use sekisho_proto::v1;
use sekisho_transport::part::Part;
use sekisho_types::error_code::ErrorCode;
use std::io::Write as _;
use std::path::PathBuf;

/// Which record, and where to.
#[derive(Debug, clap::Args)]
pub struct ProveArgs {
    /// Index of the record
    #[arg(value_name = "RECORD")]
    record: u64,
    /// File to write; else record-RECORD.proof
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn prove(app: &mut App<'_>, args: ProveArgs) -> Result<(), Failure> {
    let ProveArgs { record: index, out } = args;
    let path = out.unwrap_or_else(|| PathBuf::from(format!("record-{index}.proof")));
    not_there(&path)?;
    let session = app.session()?;
    let package = package(app, &session).await?;
    let bad = |error: AuditProofError| Failure::new(ErrorCode::BundleMismatch, error.to_string());
    let trust = package.walk(&package.genesis.genesis.bundle).map_err(|e| bad(e.into()))?;
    let request = v1::GetCheckpointRequest {};
    let note =
        ask!(session.client, audit_service_client::AuditServiceClient, get_checkpoint, request)?;
    let note = note.note.to_vec();
    let head = verify_note(&trust.bundle, &note).map_err(|e| bad(e.into()))?.checkpoint.head;
    if index >= head.size {
        let why = format!("record {index}; {} records are under the newest signed head", head.size);
        return Err(Failure::new(ErrorCode::NotFound, why));
    }
    let request = v1::ListRecordsRequest { start: index, page_size: 1 };
    let page =
        ask!(session.client, audit_service_client::AuditServiceClient, list_records, request)?;
    let record = page.records.into_iter().find(|record| record.index == index);
    let none = || Failure::new(ErrorCode::NotFound, format!("record {index}"));
    let record = record.ok_or_else(none)?.record.to_vec();
    let path_to_root = Fetch::new(&session.client).inclusion(head, index).await?;
    let proof = AuditProof { package, note, index, record, path: path_to_root };
    // What does not verify here verifies nowhere.
    proof.verify(None).map_err(bad)?;
    let bytes = proof.bytes().map_err(bad)?;
    let mut part = Part::create(&path)?;
    part.write_all(&bytes).map_err(|error| of_file(part.path(), &error))?;
    part.sync()?.take_name()?;
    let next = format!("sekisho audit verify {}", path.display());
    app.output.written(&path, bytes.len(), &next)
}
