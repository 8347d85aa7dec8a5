//! What a running command has at hand: output, contexts, clock, a connection and the signing of its one intention.

use crate::args::Global;
use crate::client::Client;
use crate::context::{Context, Contexts, locate};
use crate::failure::{Failure, of_file};
use crate::intent::{Signer, intent};
use crate::language::Text;
use crate::output::{Change, Output};
use crate::reach::{self, Reach};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sekisho_evidence::command::{CommandSignature, Intention};
use sekisho_evidence::sealed;
use sekisho_fsm::command::Command;
use sekisho_proto::v1;
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, RequestId};
use sekisho_types::principal::Principal;
use sekisho_types::time::{Clock as _, Date, Timestamp};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Items that one list call asks for.
pub const PAGE: u32 = 1000;

/// What a running command has at hand.
#[derive(Debug)]
pub struct App<'w> {
    /// Where results go.
    pub output: Output<'w>,
    /// Options of the command line.
    pub global: Global,
    /// Where this login's own folder is made, for what the next command begins with; without it nothing is remembered.
    pub remembers: Option<PathBuf>,
    /// The command line as it was typed, for a remedy that says the same and more; empty where nobody typed one.
    pub typed: String,
    contexts: Option<Contexts>,
    request: Option<RequestId>,
}

/// A connection, in a context, as somebody who may sign.
#[derive(Debug)]
pub struct Session {
    /// Calls members.
    pub client: Client,
    /// The context.
    pub context: Context,
    signers: Vec<Signer>,
}

impl Session {
    /// Operators that sign in this session.
    #[must_use]
    pub fn operators(&self) -> usize {
        self.signers.iter().filter_map(Signer::operator).collect::<BTreeSet<_>>().len()
    }

    /// As whom it signs.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.signers.first().map(Signer::principal)
    }

    /// Signs what somebody proposed under `request`, as whoever the session's context is.
    ///
    /// # Errors
    /// `SIGNATURES_MISSING` for a context that only reads.
    pub fn join(&self, request: RequestId, command: Digest) -> Result<CommandSignature, Failure> {
        let (cluster, incarnation) = (self.context.cluster, self.context.incarnation);
        let proposed = Intention { cluster, incarnation, request, command };
        let signature = self.signers.first().and_then(|signer| signer.join(&proposed));
        let why = "the context has no signing key";
        signature.ok_or_else(|| Failure::new(ErrorCode::SignaturesMissing, why))
    }

    /// The seed to seal a payload of this request with: the same when the request is repeated, so that its bytes are, too.
    ///
    /// # Errors
    /// `SIGNATURES_MISSING` for a context that only reads.
    pub fn seal_seed(
        &self,
        request: &RequestId,
        of: &sealed::Context,
    ) -> Result<[u8; 32], Failure> {
        let seed = self.signers.first().and_then(|signer| signer.seal_seed(request, of));
        let why = "the context has no signing key";
        seed.ok_or_else(|| Failure::new(ErrorCode::SignaturesMissing, why))
    }
}

/// A command that is ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    /// Goes into the request.
    pub intent: v1::Intent,
    /// Its id.
    pub request: RequestId,
}

/// `N` random bytes.
///
/// # Errors
/// `INTERNAL` without randomness.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0u8; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| {
        Failure::new(
            ErrorCode::Internal,
            format!("no randomness from the operating system: {error}"),
        )
    })?;
    Ok(bytes)
}

/// A word as a shell reads it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@=:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl<'w> App<'w> {
    /// A command's surroundings. Nothing is read before it is needed.
    #[must_use]
    pub fn new(output: Output<'w>, global: Global) -> Self {
        let typed = String::new();
        Self { output, global, remembers: None, typed, contexts: None, request: None }
    }

    /// Acts with these contexts in place of the file's.
    pub fn use_contexts(&mut self, contexts: Contexts) {
        self.contexts = Some(contexts);
    }

    /// Wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        SystemClock.wall()
    }

    /// Today in Japan: decides which area codes are valid.
    #[must_use]
    pub fn today(&self) -> Date {
        self.now().date_in_japan()
    }

    /// How reads are asked for.
    #[must_use]
    pub fn read(&self) -> Option<v1::Read> {
        Some(v1::Read { local: self.global.local })
    }

    /// The contexts file, read once.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is none, `INVALID_ARGUMENT` if it is not readable.
    pub fn contexts(&mut self) -> Result<&Contexts, Failure> {
        if self.contexts.is_none() {
            let variable = |name: &str| std::env::var_os(name);
            let path = locate(self.global.config.as_deref(), variable).filter(|path| path.exists());
            let missing = || {
                let fix = self.output.pick(
                    "Start one with `sekisho dev`, or name a file: --config FILE.",
                    "`sekisho dev` で作成するか、--config FILE で指定してください。",
                );
                Failure::new(ErrorCode::NotFound, "contexts file").remedy(fix)
            };
            self.contexts = Some(Contexts::load(&path.ok_or_else(missing)?)?);
        }
        self.contexts.as_ref().ok_or_else(|| Failure::new(ErrorCode::NotFound, "contexts file"))
    }

    /// The contexts file, the name of the context in use, and all contexts with absolute paths, to be written back.
    ///
    /// # Errors
    /// As [`App::contexts`].
    pub fn contexts_to_change(&mut self) -> Result<(PathBuf, String, Contexts), Failure> {
        let (named, language) = (self.global.context.clone(), self.output.language);
        let (name, _) = self.contexts()?.pick(named.as_deref(), language)?;
        let name = name.to_owned();
        let path = locate(self.global.config.as_deref(), |name| std::env::var_os(name));
        let path = path.ok_or_else(|| Failure::new(ErrorCode::NotFound, "contexts file"))?;
        let path = std::path::absolute(&path).map_err(|error| of_file(&path, &error))?;
        let contexts = Contexts::load(&path)?;
        Ok((path, name, contexts))
    }

    fn named(&mut self, name: Option<&str>) -> Result<Context, Failure> {
        let language = self.output.language;
        self.contexts()?.pick(name, language).map(|(_, context)| context.clone())
    }

    /// Opens a connection in the chosen context. Nothing is dialled before the first call.
    ///
    /// # Errors
    /// Whatever is wrong with the context or its files.
    pub fn session(&mut self) -> Result<Session, Failure> {
        let context = self.named(self.global.context.clone().as_deref())?;
        let timeout = Duration::from_secs(self.global.timeout);
        let reach = reach::folder(self.remembers.clone()).map_or_else(Reach::none, |folder| {
            Reach::of(&folder, context.cluster, &context.operator)
        });
        let (client, identity) = Client::open_from(&context, timeout, reach)?;
        let client = client.speaking(self.output.language);
        Ok(Session { client, signers: vec![Signer::new(&context, identity)?], context })
    }

    /// As [`App::session`], with everybody who signs: the context itself and each `--cosign`.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for `--cosign` in a federation of real operators.
    pub async fn signing_session(&mut self) -> Result<Session, Failure> {
        let mut session = self.session()?;
        if self.global.cosign.is_empty() {
            return Ok(session);
        }
        let hello = session.client.hello().await?;
        if !hello.dev {
            let why = "--cosign holds keys of several operators in one hand, which only `sekisho dev` may";
            return Err(Failure::new(ErrorCode::PermissionDenied, why));
        }
        for name in self.global.cosign.clone() {
            let context = self.named(Some(&name))?;
            if context.cluster != session.context.cluster {
                let why = format!("context `{name}` is of another federation");
                return Err(Failure::new(ErrorCode::WrongCluster, why));
            }
            session.signers.push(Signer::load(&context)?);
        }
        Ok(session)
    }

    /// The id of this run's intention: the one given, else a fresh one. One for a run, so that repeating the
    /// command line with it gives the same answer.
    ///
    /// # Errors
    /// `INTERNAL` without randomness.
    pub fn request(&mut self) -> Result<RequestId, Failure> {
        let request = match self.request.or(self.global.request_id) {
            Some(request) => request,
            None => RequestId(random()?),
        };
        self.request = Some(request);
        Ok(request)
    }

    /// Makes the next write an intention of its own; for runs that make several.
    pub fn next_request(&mut self) {
        self.request = None;
        self.global.request_id = None;
    }

    /// Signs a command as everybody of the session.
    ///
    /// # Errors
    /// `INTERNAL` without randomness.
    pub fn prepare(&mut self, session: &Session, command: &Command) -> Result<Prepared, Failure> {
        let request = self.request()?;
        let context = &session.context;
        let intent = intent(context, &session.signers, request, command, self.global.dry_run)?;
        Ok(Prepared { intent, request })
    }

    /// Tells that a change took effect.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn changed(
        &mut self,
        name: &str,
        request: RequestId,
        revision: u64,
        done: Text,
        next: Option<String>,
    ) -> Result<(), Failure> {
        self.told((Some(name), &[]), request, revision, (done, None), next)
    }

    /// Tells that a change was proposed, and by which approval.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn proposed(
        &mut self,
        (name, approval): (&str, &str),
        request: RequestId,
        revision: u64,
        done: Text,
        next: Option<String>,
    ) -> Result<(), Failure> {
        self.told((Some(name), &[]), request, revision, (done, Some(approval)), next)
    }

    /// Tells that a batch took effect.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn changed_all(
        &mut self,
        names: &[String],
        request: RequestId,
        revision: u64,
        done: Text,
        next: Option<String>,
    ) -> Result<(), Failure> {
        self.told((None, names), request, revision, (done, None), next)
    }

    fn told(
        &mut self,
        (name, names): (Option<&str>, &[String]),
        request: RequestId,
        revision: u64,
        (done, approval): (Text, Option<&str>),
        next: Option<String>,
    ) -> Result<(), Failure> {
        let validate_only = self.global.dry_run;
        let next = next.filter(|_| !validate_only);
        let request_id = request.to_string();
        self.output.changed(&Change {
            name,
            names,
            revision,
            request_id,
            validate_only,
            approval,
            done,
            next,
        })
    }

    /// Tells that a dry run ended before a key was used.
    ///
    /// # Errors
    /// When stderr does not take it.
    pub fn unsigned(&mut self) -> Result<(), Failure> {
        let note = self.output.pick(
            "dry run: nothing was signed, no file was written",
            "ドライラン: 署名もファイルの書き込みもしていません",
        );
        self.output.note(note)
    }

    /// Refuses a verb that cannot be taken back unless `--yes` was given.
    ///
    /// # Errors
    /// `CONFIRMATION_MISSING`, with the command that confirms it.
    pub fn confirm(&self, yes: bool, what: &str) -> Result<(), Failure> {
        if yes || self.global.dry_run {
            return Ok(());
        }
        let missing = Failure::new(ErrorCode::ConfirmationMissing, what);
        if self.typed.is_empty() {
            return Err(missing);
        }
        let again = format!("{} --yes", self.typed);
        let fix = self
            .output
            .pick(format!("if it is what you want: {again}"), format!("実行してよければ: {again}"));
        Err(missing.remedy(fix))
    }
}
