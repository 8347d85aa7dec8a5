//! `sekisho snapshot`: take a backup, and look into one.

use crate::app::App;
use crate::ask;
use crate::client::of_status;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::{Text, pick};
use crate::verify::report::Report;
use crate::verify::snapshot::{Subject, inspect};
use crate::verify::trusted_genesis;
use sekisho_proto::v1;
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
}

pub(super) async fn run(app: &mut App<'_>, command: SnapshotCommand) -> Result<Exit, Failure> {
    match command {
        SnapshotCommand::Save { file } => save(app, &file).await.map(|()| Exit::Ok),
        SnapshotCommand::Inspect { file, identity, genesis } => {
            look(app, &file, &identity, genesis.as_deref())
        }
    }
}

/// Streams into a file beside the target, and renames it when it is whole and durable. Cut off means begin again.
async fn save(app: &mut App<'_>, path: &Path) -> Result<(), Failure> {
    if path.exists() {
        let why = app.output.pick("is there already", "は既に存在します");
        return Err(of_file(path, &why));
    }
    let session = app.session()?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let bad = |error: std::io::Error| of_file(&part, &error);
    let request = v1::SaveSnapshotRequest {};
    let mut chunks =
        ask!(session.client, snapshot_service_client::SnapshotServiceClient, save, request)?;
    let mut file = File::create(&part).map_err(bad)?;
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
        file.write_all(&chunk.chunk).map_err(bad)?;
        size = size.saturating_add(chunk.chunk.len());
        if chunk.last {
            break Ok(());
        }
    };
    if let Err(failure) = received {
        // Nothing in it could be opened. What cannot be removed is overwritten next time.
        drop(std::fs::remove_file(&part));
        return Err(failure);
    }
    file.sync_all().map_err(bad)?;
    std::fs::rename(&part, path).map_err(|error| of_file(path, &error))?;
    durable(path)?;
    if app.output.format.is_for_people() {
        let line = app.output.pick(format!("{size} bytes"), format!("{size} バイト"));
        app.output.line(&format!("{}: {line}", path.display()))?;
        let next =
            format!("sekisho snapshot inspect {} --identity OPDIR/backup.key", path.display());
        return app.output.next(&next);
    }
    #[derive(Serialize)]
    struct Saved {
        file: String,
        bytes: usize,
    }
    app.output.data(&Saved { file: path.display().to_string(), bytes: size })
}

/// The name is durable, too.
fn durable(path: &Path) -> Result<(), Failure> {
    let dir =
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| of_file(dir, &error))
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
    let (subject, report) = inspect(size, opened, trusted.as_ref());
    if app.output.format.is_for_people() {
        for line in about(&subject, app.output.language) {
            app.output.line(&line)?;
        }
        for line in report.verdicts(app.output.language) {
            app.output.line(&line)?;
        }
        if trusted.is_none() && report.is_good() {
            let note = app.output.pick(
                "the fingerprint must be the one that your operators published; or pass --genesis FILE",
                "指紋が事業者の公表値と一致することを確認するか、--genesis FILE を指定してください",
            );
            app.output.note(note)?;
        }
    } else {
        #[derive(Serialize)]
        struct Whole<'r> {
            verified: bool,
            subject: &'r Subject,
            unsigned_records: u64,
            steps: &'r [crate::verify::report::Result],
        }
        let (verified, unsigned_records) = (report.is_good(), subject.unsigned());
        let Report { steps, .. } = &report;
        app.output.data(&Whole { verified, subject: &subject, unsigned_records, steps })?;
    }
    Ok(if report.is_good() { Exit::Ok } else { Exit::Error })
}

/// What the file is, for people.
fn about(subject: &Subject, language: Language) -> Vec<String> {
    if subject.cluster.is_empty() {
        return Vec::new();
    }
    let line = |label: Text, value: String| format!("{}: {value}", label.of(language));
    let counts = &subject.counts;
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
                "holds: {} sites, {} nodes, {} tenants, {} jobs, {} placements, image of {} bytes",
                counts.sites,
                counts.nodes,
                counts.tenants,
                counts.jobs,
                counts.placements,
                counts.image_bytes
            ),
            format!(
                "内容: 拠点 {}、ノード {}、テナント {}、ジョブ {}、配置 {}、本体 {} バイト",
                counts.sites,
                counts.nodes,
                counts.tenants,
                counts.jobs,
                counts.placements,
                counts.image_bytes
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
