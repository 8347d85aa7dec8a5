//! `sekisho snapshot`: take a backup, and look into one.

use super::opening::OpenArgs;
use super::{opening, verdict};
use crate::app::App;
use crate::ask;
use crate::client::of_status;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::{Text, pick};
use crate::verify::snapshot::{Counts, Subject, inspect};
use crate::verify::trusted_genesis;
use sekisho_proto::v1;
use sekisho_transport::part::Part;
use sekisho_transport::pki::backup::BackupIdentity;
use sekisho_transport::seal;
use sekisho_types::error_code::{ErrorCode, Language};
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Verbs of backups.
#[derive(Debug, clap::Subcommand)]
pub enum SnapshotCommand {
    /// Take a backup of the whole federation, sealed to the operators. For the role archivist:SITE
    Save {
        /// File to write; must not exist
        file: PathBuf,
    },
    /// Open a backup and check that its records give its image. Exit 0 good, 1 not
    Inspect {
        /// The backup
        file: PathBuf,
        /// Secret half of one of the backup keys: backup.key of an operator's directory
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        /// Genesis file that you trust; without it compare the fingerprint by hand
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// Begin anew from a backup: write an opening, which k operators sign
    Restore(OpenArgs),
}

pub(super) async fn run(app: &mut App<'_>, command: SnapshotCommand) -> Result<Exit, Failure> {
    match command {
        SnapshotCommand::Save { file } => save(app, &file).await.map(|()| Exit::Ok),
        SnapshotCommand::Inspect { file, identity, genesis } => {
            look(app, &file, &identity, genesis.as_deref())
        }
        SnapshotCommand::Restore(args) => opening::restore(app, &args).map(|()| Exit::Ok),
    }
}

/// Streams into a file beside the target, which takes the name when it is whole and durable. Cut off means begin again.
async fn save(app: &mut App<'_>, path: &Path) -> Result<(), Failure> {
    if path.exists() {
        let why = app.output.pick("is there already", "は既に存在します");
        return Err(of_file(path, &why));
    }
    let session = app.session()?;
    let request = v1::SaveSnapshotRequest {};
    let mut chunks =
        ask!(session.client, snapshot_service_client::SnapshotServiceClient, save, request)?;
    let mut part = Part::create(path)?;
    let mut size = 0usize;
    let received = loop {
        let chunk = match chunks.message().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                let why =
                    app.output.pick("the backup was cut off", "バックアップが途中で切れました");
                break Err(Failure::new(ErrorCode::Deadline, why));
            }
            Err(status) => break Err(of_status(&status)),
        };
        part.write_all(&chunk.chunk).map_err(|error| of_file(part.path(), &error))?;
        size = size.saturating_add(chunk.chunk.len());
        if chunk.last {
            break Ok(());
        }
    };
    if let Err(failure) = received {
        // Nothing in it could be opened. What cannot be removed is overwritten next time.
        drop(std::fs::remove_file(part.path()));
        return Err(failure);
    }
    part.sync()?.take_name()?;
    let next = format!("sekisho snapshot inspect {} --identity OPDIR/backup.key", path.display());
    app.output.written(path, size, &next)
}

fn look(
    app: &mut App<'_>,
    path: &Path,
    identity: &Path,
    genesis: Option<&Path>,
) -> Result<Exit, Failure> {
    let identity = BackupIdentity::read(identity).map_err(|error| of_file(identity, &error))?;
    let trusted = genesis.map(trusted_genesis).transpose()?;
    let file = File::open(path).map_err(|error| of_file(path, &error))?;
    let size = file.metadata().map_err(|error| of_file(path, &error))?.len();
    let sealed = seal::open(&identity, BufReader::new(file));
    let opened = sealed.map_err(|error| of_file(path, &error))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let (subject, report, _good) = inspect(size, opened, trusted.as_ref());
    #[derive(Serialize)]
    struct Whole<'r> {
        verified: bool,
        subject: &'r Subject,
        unsigned_records: u64,
        steps: &'r [crate::verify::report::Result],
    }
    let whole = Whole {
        verified: report.is_good(),
        subject: &subject,
        unsigned_records: subject.unsigned(),
        steps: &report.steps,
    };
    let mut lines = about(&subject, app.output.language);
    lines.extend(report.verdicts(app.output.language, app.output.width));
    verdict::tell(&mut app.output, &report, trusted.as_ref(), &lines, &whole)
}

/// What the file is, for people.
fn about(subject: &Subject, language: Language) -> Vec<String> {
    if subject.cluster.is_empty() {
        return Vec::new();
    }
    let line = |label: Text, value: String| format!("{}: {value}", label.of(language));
    let Counts { sites, nodes, tenants, jobs, placements, image_bytes } = subject.counts;
    let mut lines = vec![
        line(Text::new("federation", "連合"), subject.cluster.clone()),
        line(Text::new("incarnation", "世代"), subject.incarnation.to_string()),
        line(Text::new("fingerprint", "指紋"), subject.fingerprint.clone()),
        line(Text::new("revision", "リビジョン"), subject.revision.to_string()),
        line(Text::new("saved", "保存時刻"), subject.saved.clone()),
        line(
            Text::new("last entry (term/leader/index)", "最終エントリー (期/リーダー/番号)"),
            subject.last_log.clone(),
        ),
        line(Text::new("head", "ヘッド"), format!("{} {}", subject.records, subject.root)),
        line(
            Text::new("signed by", "署名者"),
            format!("{}  {}", subject.signed_by.join(", "), subject.signed_at),
        ),
        line(
            Text::new("records past the signed head", "署名済みヘッド以降の記録数"),
            subject.unsigned().to_string(),
        ),
        line(Text::new("members", "メンバー"), subject.members.join(", ")),
        line(Text::new("voters", "投票者"), subject.voters.join(", ")),
        line(Text::new("recipients", "復号できる鍵"), subject.recipients.join(", ")),
        pick(
            language,
            format!(
                "holds: {sites} sites, {nodes} nodes, {tenants} tenants, {jobs} jobs, \
                 {placements} placements, image of {image_bytes} bytes"
            ),
            format!(
                "内容: 拠点 {sites}、ノード {nodes}、テナント {tenants}、ジョブ {jobs}、\
                 配置 {placements}、本体 {image_bytes} バイト"
            ),
        ),
    ];
    if subject.dev {
        lines.push(
            Text::new(
                "made by `sekisho dev`: one person may have signed for all operators",
                "`sekisho dev` による作成: 一人が全事業者を代表して署名している可能性があります",
            )
            .of(language)
            .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backup_holds_is_counted_in_both_languages() {
        let counts =
            Counts { sites: 1, nodes: 2, tenants: 3, jobs: 4, placements: 5, image_bytes: 6 };
        let subject = Subject { cluster: "c".to_owned(), counts, ..Subject::default() };
        assert_eq!(
            about(&subject, Language::En).last().unwrap(),
            "holds: 1 sites, 2 nodes, 3 tenants, 4 jobs, 5 placements, image of 6 bytes"
        );
        assert_eq!(
            about(&subject, Language::Ja).last().unwrap(),
            "内容: 拠点 1、ノード 2、テナント 3、ジョブ 4、配置 5、本体 6 バイト"
        );
    }
}
