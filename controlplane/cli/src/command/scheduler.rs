//! `sekisho scheduler`: what the planner reads, as a file, and planning on it with no cluster at hand.
//!
//! Must hold: a replay asks nobody but the file and changes nothing; it runs the planner and the explanations that members run,
//! on the state that they had. What a file holds is not judged: whoever can change one can make its sum.

mod view;

use super::agreement::not_there;
use super::job::show_found;
use crate::app::App;
use crate::ask;
use crate::client::of_status;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use sekisho_fsm::planning::{FILE_MAX, FileError, SchedulerSnapshot};
use sekisho_proto::v1;
use sekisho_scheduler::{explain, plan};
use sekisho_transport::part::Part;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::JobId;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Verbs of the scheduler.
#[derive(Debug, clap::Subcommand)]
pub enum SchedulerCommand {
    /// Write what the planner reads now to a file, mode 0600. For whoever may read the audit log
    Snapshot {
        /// File to write; must not exist
        file: PathBuf,
    },
    /// Plan once on such a file, without a cluster
    Replay {
        /// What `scheduler snapshot` wrote
        file: PathBuf,
        /// In place of the plan, explain this job (TENANT/JOB) as `job explain` does
        #[arg(long, value_name = "JOB")]
        job: Option<JobId>,
    },
}

pub(super) async fn run(app: &mut App<'_>, command: SchedulerCommand) -> Result<Exit, Failure> {
    match command {
        SchedulerCommand::Snapshot { file } => snapshot(app, &file).await?,
        SchedulerCommand::Replay { file, job } => replay(app, &file, job.as_ref())?,
    }
    Ok(Exit::Ok)
}

/// Takes the file whole before it gets a name: what would not be read again is of no use to anybody.
async fn snapshot(app: &mut App<'_>, path: &Path) -> Result<(), Failure> {
    not_there(path)?;
    let session = app.session()?;
    let request = v1::GetSnapshotRequest {};
    let mut chunks = ask!(
        session.client,
        scheduler_service_client::SchedulerServiceClient,
        get_snapshot,
        request
    )?;
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.message().await.map_err(|status| of_status(&status))? {
        bytes.extend_from_slice(&chunk.chunk);
        if bytes.len() > FILE_MAX {
            return Err(unusable(&FileError::TooLarge));
        }
    }
    SchedulerSnapshot::read(&bytes).map_err(|error| unusable(&error))?;
    let mut part = Part::create_private(path)?;
    part.write_all(&bytes).map_err(|error| of_file(part.path(), &error))?;
    part.sync()?.take_name()?;
    let next = format!("sekisho scheduler replay {}", path.display());
    app.output.written(path, bytes.len(), &next)
}

/// The answer of a member is no file.
fn unusable(error: &FileError) -> Failure {
    Failure::new(ErrorCode::Internal, error.to_string())
}

/// Reads a file, no further than one can be long.
fn read(path: &Path) -> Result<SchedulerSnapshot, Failure> {
    let limit = u64::try_from(FILE_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let taken = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    taken.map_err(|error| of_file(path, &error))?;
    let refused =
        |error: FileError| Failure::new(error.code(), format!("{}: {error}", path.display()));
    SchedulerSnapshot::read(&bytes).map_err(refused)
}

fn replay(app: &mut App<'_>, path: &Path, job: Option<&JobId>) -> Result<(), Failure> {
    let snapshot = read(path)?;
    let Some(id) = job else {
        return view::show(app, &snapshot, &plan(&snapshot.state));
    };
    let none = || {
        let why = app.output.pick(
            format!("{id} is no open job of the file"),
            format!("{id} はファイル内の未完了ジョブではありません"),
        );
        Failure::new(ErrorCode::NotFound, why)
    };
    let row = snapshot.state.job(id).ok_or_else(none)?;
    show_found(app, &explain(&snapshot.state, &row.facts))
}
