//! `sekisho operator`: companies that come, go and replace their keys, and how anybody follows them.
//!
//! A change is an agreement, passed on as a file: `prepare` makes it at the operator that asks, `sign` adds another
//! operator's signature after the fingerprint was compared by voice, `add`, `remove` or `rotate` sends it.

mod prepare;
mod trust;
mod view;

use super::agreement::{self, add_signature, send};
use super::list::ListArgs;
use super::member::number;
use super::opening::{self, BackupArgs};
use crate::app::App;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::Text;
use crate::pki::rotate::Part;
use sekisho_evidence::terms::{Rotation, Terms};
use sekisho_types::id::{Digest, MemberId, OperatorId};
use std::path::{Path, PathBuf};

/// Verbs of an operator.
#[derive(Debug, clap::Subcommand)]
pub enum OperatorCommand {
    /// List the companies that take part, with their keys, as the walk to the bundle in force finds them
    List(ListArgs),
    /// Show one company: its controllers, sites and fingerprints, as the asked member has them
    Get {
        /// Its id
        operator: OperatorId,
    },
    /// Write a change of the companies or of a company's keys to a file, signed by this operator
    Prepare(PrepareArgs),
    /// Add an operator's signature to a change of companies, keys or controllers
    Sign {
        /// The change
        file: PathBuf,
        /// The signing operator's directory
        #[arg(long, value_name = "DIR")]
        operator_dir: PathBuf,
        /// What was compared by voice: `prepare` prints it
        #[arg(long, value_name = "HEX", value_parser = digest)]
        fingerprint: Digest,
        /// For the opening of an incarnation: the backup that it begins from
        #[arg(long, value_name = "BACKUP")]
        from: Option<PathBuf>,
        /// For an opening: secret half of one of the backup keys
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        /// For an opening: this operator's members of before, all stopped for good and disabled
        #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = number, requires = "from")]
        stopped: Vec<MemberId>,
    },
    /// Take a company in
    Add {
        /// The change
        file: PathBuf,
    },
    /// Let a company go, of which no controller, site or running work is left
    Remove {
        /// The change
        file: PathBuf,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Begin, finish or call off the replacement of a company's keys
    Rotate {
        /// The change
        file: PathBuf,
    },
    /// Move new keys into their place once the federation counts them, and reissue what stands on the root
    Install {
        /// The operator's directory
        #[arg(long, value_name = "DIR")]
        operator_dir: PathBuf,
        /// Keys that were made and will not count, because the replacement was called off or never sent: to `old`
        #[arg(long)]
        discard: bool,
    },
    /// Walk to the endorser bundle in force and print what it names
    Trust(TrustArgs),
}

/// A change to prepare.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct PrepareArgs {
    /// File to write
    file: PathBuf,
    /// The directory of the operator that asks for it
    #[arg(long, value_name = "DIR")]
    operator_dir: PathBuf,
    /// The card of a company that comes
    #[arg(long, value_name = "CARD", group = "what", requires = "fingerprint")]
    add: Option<PathBuf>,
    /// Fingerprint of the card, compared by voice: `sekisho pki show DIR`
    #[arg(long, value_name = "HEX", value_parser = digest)]
    fingerprint: Option<Digest>,
    /// A company that goes
    #[arg(long, value_name = "OPERATOR", group = "what")]
    remove: Option<OperatorId>,
    /// Keys of this operator to replace: root, issuer, site-tag, backup
    #[arg(long, value_name = "KEYS", group = "what", value_enum, value_delimiter = ',')]
    rotate: Option<Vec<Part>>,
    /// Give the old keys up
    #[arg(long, group = "what")]
    finish: bool,
    /// Whatever still stands on them: for a key that was stolen
    #[arg(long, requires = "finish")]
    accept_stranded: bool,
    /// Call the replacement off
    #[arg(long, group = "what")]
    abort: bool,
    /// For --finish and --abort: whose replacement, if not this operator's
    #[arg(long, value_name = "OPERATOR", conflicts_with = "rotate")]
    of: Option<OperatorId>,
}

/// A way to walk.
#[derive(Debug, clap::Args)]
pub struct TrustArgs {
    /// Where trust begins: the federation's signed genesis
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// A package file in place of what a controller says
    #[arg(long, value_name = "FILE")]
    package: Option<PathBuf>,
    /// Take its roots and members into the context
    #[arg(long)]
    write: bool,
}

impl TrustArgs {
    /// Whether it changes the context.
    pub(crate) fn writes(&self) -> bool {
        self.write
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_form| "must be 64 hexadecimal digits".to_owned())
}

pub(super) async fn run(app: &mut App<'_>, command: OperatorCommand) -> Result<Exit, Failure> {
    match command {
        OperatorCommand::List(args) => trust::list(app, &args).await?,
        OperatorCommand::Get { operator } => view::get(app, &operator).await?,
        OperatorCommand::Prepare(args) => prepare::prepare(app, args).await?,
        OperatorCommand::Sign { file, operator_dir, fingerprint, from, identity, stopped } => {
            if let Some(from) = from {
                let backup = BackupArgs { from: vec![from], identity, stopped };
                opening::add_signature(app, &file, &operator_dir, &fingerprint, &backup)?;
            } else {
                add_signature(app, &file, &operator_dir, &fingerprint).await?;
            }
        }
        OperatorCommand::Add { file } => add(app, &file).await?,
        OperatorCommand::Remove { file, yes } => remove(app, &file, yes).await?,
        OperatorCommand::Rotate { file } => rotate(app, &file).await?,
        OperatorCommand::Install { operator_dir, discard } => {
            prepare::install(app, &operator_dir, discard).await?;
        }
        OperatorCommand::Trust(args) => trust::walk(app, args).await?,
    }
    Ok(Exit::Ok)
}

const LIST: &str = "sekisho operator list";

fn another(file: &Path, what: &'static str) -> Failure {
    of_file(file, &what)
}

async fn add(app: &mut App<'_>, file: &Path) -> Result<(), Failure> {
    let agreement = agreement::read(file)?;
    let Terms::AddOperator(newcomer) = &agreement.terms else {
        return Err(another(file, "not a change that takes a company in"));
    };
    let (name, bundle) = (format!("operators/{}", newcomer.operator), &agreement.signed.bundle);
    if bundle.operators().count() == 1 {
        let note = app.output.pick(
            "from the first controller of another company on, two companies have to sign: nothing starts until it does",
            "別の事業者の最初のコントローラーが加わると 2 社の署名が必要になり、その署名が始まるまで何も開始されません",
        );
        app.output.note(note)?;
    }
    let done = Text::new("takes part", "が参加しました");
    send(app, agreement, &name, done, LIST).await
}

async fn remove(app: &mut App<'_>, file: &Path, yes: bool) -> Result<(), Failure> {
    let agreement = agreement::read(file)?;
    let Terms::RemoveOperator(operator) = &agreement.terms else {
        return Err(another(file, "not a change that lets a company go"));
    };
    let name = format!("operators/{operator}");
    app.confirm(yes, &name)?;
    let done = Text::new("takes part no longer", "は離脱しました");
    send(app, agreement, &name, done, LIST).await
}

async fn rotate(app: &mut App<'_>, file: &Path) -> Result<(), Failure> {
    let agreement = agreement::read(file)?;
    let Terms::RotateOperator { operator, rotation } = &agreement.terms else {
        return Err(another(file, "not a change of a company's keys"));
    };
    let (done, next) = match rotation {
        Rotation::Begin { .. } => (
            Text::new(
                "has new keys beside the old ones",
                "の新しい鍵が有効になりました(古い鍵も有効です)",
            ),
            "sekisho operator install --operator-dir DIR",
        ),
        Rotation::Finish { .. } => (
            Text::new("has given its old keys up", "の古い鍵を廃止しました"),
            "sekisho operator install --operator-dir DIR",
        ),
        Rotation::Abort => (Text::new("keeps its old keys", "の鍵の交換を取り消しました"), LIST),
    };
    let name = format!("operators/{operator}");
    send(app, agreement, &name, done, next).await
}
