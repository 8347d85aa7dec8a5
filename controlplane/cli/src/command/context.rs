//! `sekisho context`: to which federations, through which members, and as whom this machine speaks.
//!
//! Must hold: the contexts file names keys and holds none; it is replaced whole or not at all, with absolute paths; a key that
//! others may read is said to be so wherever its context is shown, and refused when it is added.

mod check;

use super::agreement::fingerprint;
use crate::app::App;
use crate::context::{Context, Contexts, endpoints_of, locate, roots_of};
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::OperatorId;
use serde::Serialize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Bits of a mode that let others than its owner at a key.
const OTHERS: u32 = 0o077;

/// Verbs of a context.
#[derive(Debug, clap::Subcommand)]
pub enum ContextCommand {
    /// List contexts
    List,
    /// Act in this context from now on
    Use {
        /// Name of the context
        #[arg(value_name = "CONTEXT")]
        context_name: String,
    },
    /// Show one context: files and members, no keys
    Show {
        /// Name of the context; without it the one in use
        #[arg(value_name = "CONTEXT")]
        context_name: Option<String>,
    },
    /// Add a context: trust from a genesis file, identity from PEM files
    Add(AddArgs),
    /// Forget a context; its files stay
    Remove {
        /// Name of the context
        #[arg(value_name = "CONTEXT")]
        context_name: String,
    },
    /// Ask each member of a context by itself: certificate, roles, federation, clock. Exit 0 all answer, 1 not
    Check {
        /// Name of the context; without it the one in use
        #[arg(value_name = "CONTEXT")]
        context_name: Option<String>,
    },
}

/// A context to add.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Name of the context; never one that is there
    name: String,
    /// The federation's signed genesis; its fingerprint is printed, to be compared by voice
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The operator whose authority vouches for the identity
    #[arg(long)]
    operator: OperatorId,
    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Key of the certificate, PEM, mode 0600
    #[arg(long, value_name = "FILE")]
    identity_key: PathBuf,
    /// Ed25519 key that signs commands, mode 0600; without it only reads work
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct ContextView {
    name: String,
    current: bool,
    cluster: String,
    incarnation: u64,
    bundle_version: u64,
    bundle: Option<String>,
    operator: String,
    identity: String,
    identity_key: String,
    signing_key: Option<String>,
    endpoints: Vec<String>,
    dev: bool,
    /// Keys that others than their owner may read, or that cannot be looked at.
    open_keys: Vec<String>,
}

impl ContextView {
    fn of(name: &str, context: &Context, current: Option<&str>) -> Self {
        let keys = [Some(&context.identity_key), context.signing_key.as_ref()];
        let open = keys.into_iter().flatten().filter_map(|key| closed(key).err());
        Self {
            name: name.to_owned(),
            current: current == Some(name),
            cluster: context.cluster.to_string(),
            incarnation: context.incarnation.0,
            bundle_version: context.bundle_version,
            bundle: context.bundle.map(|bundle| bundle.to_string()),
            operator: context.operator.to_string(),
            identity: context.identity.display().to_string(),
            identity_key: context.identity_key.display().to_string(),
            signing_key: context.signing_key.as_ref().map(|key| key.display().to_string()),
            endpoints: context
                .endpoints
                .iter()
                .map(|e| format!("{} {}", e.site, e.address))
                .collect(),
            dev: context.dev,
            open_keys: open.map(|failure| failure.detail).collect(),
        }
    }
}

impl Shown for ContextView {
    const COLUMNS: &'static [Column] = &[
        column("context", "コンテキスト"),
        column("in use", "使用中"),
        column("operator", "事業者"),
        column("members", "メンバー"),
        column("signs", "署名"),
        wide("cluster", "クラスター"),
        wide("incarnation", "世代"),
        wide("bundle version", "承認者束の版"),
        wide("identity", "証明書"),
        wide("key", "鍵"),
        wide("signing key", "署名鍵"),
        wide("open keys", "他者が読める鍵"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            self.name.clone(),
            super::yes_no(language, self.current),
            self.operator.clone(),
            self.endpoints.join(", "),
            super::yes_no(language, self.signing_key.is_some()),
            self.cluster.clone(),
            self.incarnation.to_string(),
            self.bundle_version.to_string(),
            self.identity.clone(),
            self.identity_key.clone(),
            self.signing_key.clone().unwrap_or_else(|| "-".to_owned()),
            if self.open_keys.is_empty() { "-".to_owned() } else { self.open_keys.join(", ") },
        ]
    }
    fn is_alarming(&self) -> bool {
        !self.open_keys.is_empty()
    }
}

pub(super) async fn run(app: &mut App<'_>, command: ContextCommand) -> Result<Exit, Failure> {
    match command {
        ContextCommand::List => list(app)?,
        ContextCommand::Use { context_name } => choose(app, &context_name)?,
        ContextCommand::Show { context_name } => {
            let name = context_name.or_else(|| app.global.context.clone());
            let (language, contexts) = (app.output.language, app.contexts()?.clone());
            let (name, context) = contexts.pick(name.as_deref(), language)?;
            let current = contexts.pick(None, language).ok().map(|(name, _)| name.to_owned());
            app.output.one(&ContextView::of(name, context, current.as_deref()))?;
        }
        ContextCommand::Add(args) => add(app, &args)?,
        ContextCommand::Remove { context_name } => remove(app, &context_name)?,
        ContextCommand::Check { context_name } => {
            return Box::pin(check::run(app, context_name)).await;
        }
    }
    Ok(Exit::Ok)
}

fn list(app: &mut App<'_>) -> Result<(), Failure> {
    let (language, contexts) = (app.output.language, app.contexts()?.clone());
    let current = contexts.pick(None, language).ok().map(|(name, _)| name.to_owned());
    let view =
        |(name, context): (&String, &Context)| ContextView::of(name, context, current.as_deref());
    let items: Vec<ContextView> = contexts.context.iter().map(view).collect();
    app.output.list(&items, &Listed::default())
}

/// The contexts file to change, which may not be there yet.
fn to_change(app: &App<'_>) -> Result<(PathBuf, Contexts), Failure> {
    let path = locate(app.global.config.as_deref(), |name| std::env::var_os(name));
    let path = path.ok_or_else(|| Failure::new(ErrorCode::NotFound, "contexts file"))?;
    let path = std::path::absolute(&path).map_err(|error| of_file(&path, &error))?;
    let contexts = if path.exists() { Contexts::load(&path)? } else { Contexts::default() };
    Ok((path, contexts))
}

fn choose(app: &mut App<'_>, name: &str) -> Result<(), Failure> {
    let (path, mut contexts) = to_change(app)?;
    contexts.pick(Some(name), app.output.language)?;
    contexts.current = Some(name.to_owned());
    save(app, &contexts, &path)?;
    let line = app.output.pick(
        format!("context `{name}` is in use"),
        format!("コンテキスト `{name}` に切り替えました"),
    );
    app.output.line(&line)?;
    app.output.next("sekisho context check")
}

fn remove(app: &mut App<'_>, name: &str) -> Result<(), Failure> {
    let (path, mut contexts) = to_change(app)?;
    contexts.pick(Some(name), app.output.language)?;
    contexts.context.remove(name);
    if contexts.current.as_deref() == Some(name) {
        contexts.current = None;
    }
    save(app, &contexts, &path)?;
    let line = app.output.pick(
        format!("context `{name}` is forgotten; its files stay"),
        format!("コンテキスト `{name}` を削除しました(鍵などのファイルは残ります)"),
    );
    app.output.line(&line)
}

fn add(app: &mut App<'_>, args: &AddArgs) -> Result<(), Failure> {
    let (path, mut contexts) = to_change(app)?;
    if contexts.context.contains_key(&args.name) {
        return Err(Failure::new(ErrorCode::AlreadyExists, format!("context `{}`", args.name)));
    }
    let context = made(args, &path)?;
    crate::client::identity(&context)?;
    let hash = context.bundle.map(|hash| hash.to_string()).unwrap_or_default();
    contexts.context.insert(args.name.clone(), context);
    if contexts.current.is_none() {
        contexts.current = Some(args.name.clone());
    }
    save(app, &contexts, &path)?;
    let name = &args.name;
    let line = app.output.pick(
        format!(
            "context `{name}` added; compare the endorser bundle's fingerprint by voice: {hash}"
        ),
        format!(
            "コンテキスト `{name}` を追加しました。承認者束の指紋を口頭で確認してください: {hash}"
        ),
    );
    app.output.line(&line)?;
    app.output.next(&format!("sekisho context check {name}"))
}

fn made(args: &AddArgs, file: &Path) -> Result<Context, Failure> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| of_file(path, &error));
    let bytes = std::fs::read(&args.genesis).map_err(|error| of_file(&args.genesis, &error))?;
    let genesis = SignedGenesis::open(&bytes).map_err(|error| of_file(&args.genesis, &error))?;
    let genesis = genesis.genesis;
    for key in [Some(&args.identity_key), args.signing_key.as_ref()].into_iter().flatten() {
        closed(key)?;
    }
    let folder = file.with_file_name("roots").join(&args.name);
    let bundle = &genesis.bundle;
    Ok(Context {
        cluster: bundle.cluster,
        incarnation: bundle.incarnation,
        bundle_version: bundle.version,
        bundle: Some(fingerprint(bundle)?),
        operator: args.operator.clone(),
        identity: absolute(&args.identity)?,
        identity_key: absolute(&args.identity_key)?,
        signing_key: args.signing_key.as_deref().map(absolute).transpose()?,
        dev: genesis.dev,
        resolvers: Vec::new(),
        login: None,
        endpoints: endpoints_of(&genesis.members, &args.operator),
        roots: roots_of(&folder, &bundle.operators, &genesis.roots)?,
    })
}

fn save(app: &App<'_>, contexts: &Contexts, path: &Path) -> Result<(), Failure> {
    if app.global.dry_run {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| of_file(folder, &error))?;
    }
    contexts.save(path)
}

/// Whether a key is its owner's alone.
fn closed(key: &Path) -> Result<(), Failure> {
    let mode = std::fs::metadata(key).map_err(|error| of_file(key, &error))?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let fix = format!("chmod 600 {}", key.display());
    Err(of_file(key, &format!("mode {:04o}: others can read the key", mode & 0o7777)).remedy(fix))
}

#[cfg(test)]
mod tests;
