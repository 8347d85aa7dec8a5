//! The verbs, one file for each noun. Each reads or changes through the API alone: the command line has no powers
//! of its own.

mod agreement;
pub mod approval;
pub mod audit;
pub mod break_glass;
pub mod budget;
pub mod context;
pub mod error;
pub mod escrow;
pub mod job;
pub mod key;
pub mod landmark;
pub mod list;
pub mod login;
pub mod member;
pub mod node;
pub mod offer;
pub mod opening;
pub mod operation;
pub mod operator;
pub mod pki;
pub mod policy;
pub mod quota;
pub mod reservation;
pub mod residency;
pub mod scheduler;
pub mod site;
pub mod snapshot;
pub mod status;
pub mod support;
pub mod tenant;
mod verdict;
pub mod veto;
mod wait;
pub mod watch;
pub(crate) mod when;

use crate::app::App;
use crate::args::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use sekisho_types::revision::Revision;

/// Runs one command.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, command: Command) -> Result<Exit, Failure> {
    if app.global.dry_run && !command.takes_dry_run() {
        let why = app.output.pick(
            "--dry-run: this verb makes keys or files on this machine, or measures, and changes nothing else",
            "--dry-run: このコマンドはこのマシン上に鍵やファイルを作るか、測定するだけです",
        );
        return Err(Failure::invalid(why));
    }
    match command {
        Command::Dev(command) => Box::pin(crate::dev::run(app, command)).await,
        Command::Login(args) => Box::pin(login::run(app, args)).await,
        Command::Logout(args) => Box::pin(login::out(app, args)).await,
        Command::Pki(command) => pki::run(app, command),
        Command::Residency(command) => Box::pin(residency::run(app, command)).await,
        Command::Site(command) => Box::pin(site::run(app, command)).await,
        Command::Landmark(command) => Box::pin(landmark::run(app, command)).await,
        Command::Node(command) => Box::pin(node::run(app, command)).await,
        Command::Tenant(command) => Box::pin(tenant::run(app, command)).await,
        Command::Policy(command) => Box::pin(policy::run(app, command)).await,
        Command::Quota(command) => Box::pin(quota::run(app, command)).await,
        Command::Budget(command) => Box::pin(budget::run(app, command)).await,
        Command::Offer(command) => Box::pin(offer::run(app, command)).await,
        Command::Reservation(command) => Box::pin(reservation::run(app, command)).await,
        Command::Veto(command) => Box::pin(veto::run(app, command)).await,
        Command::Escrow(command) => Box::pin(escrow::run(app, command)).await,
        Command::Key(command) => Box::pin(key::run(app, command)).await,
        Command::Approval(command) => Box::pin(approval::run(app, command)).await,
        Command::BreakGlass(command) => Box::pin(break_glass::run(app, command)).await,
        Command::Job(command) => Box::pin(job::run(app, command)).await,
        Command::Operator(command) => Box::pin(operator::run(app, command)).await,
        Command::Member(command) => Box::pin(member::run(app, command)).await,
        Command::Status(command) => Box::pin(status::run(app, command)).await,
        Command::Audit(command) => Box::pin(audit::run(app, command)).await,
        Command::Snapshot(command) => Box::pin(snapshot::run(app, command)).await,
        Command::Scheduler(command) => Box::pin(scheduler::run(app, command)).await,
        Command::Watch(args) => Box::pin(watch::run(app, args)).await,
        Command::Operation(command) => Box::pin(operation::run(app, command)).await,
        Command::Error(command) => error::run(app, &command),
        Command::Context(command) => Box::pin(context::run(app, command)).await,
        Command::SupportBundle(args) => Box::pin(support::run(app, args)).await,
        Command::Completion { shell } => {
            app.output.bytes(&shell.script()?)?;
            Ok(Exit::Ok)
        }
        Command::Man { dir } => {
            let count = crate::help::write_man(&dir)?;
            let dir = dir.display();
            let line =
                app.output.pick(format!("{dir}: {count} pages"), format!("{dir}: {count} ページ"));
            app.output.line(&line)?;
            Ok(Exit::Ok)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            if app.output.format.is_for_people() {
                app.output.line(&format!("sekisho {version}"))?;
            } else {
                app.output.data(&std::collections::BTreeMap::from([("version", version)]))?;
            }
            Ok(Exit::Ok)
        }
    }
}

/// The revision that an etag stands for.
fn etag(text: &str) -> Result<Revision, Failure> {
    text.parse().map(Revision).map_err(|_digits| Failure::invalid("the answer has no usable etag"))
}

/// Milliseconds since 1970 for people; `-` for 0.
fn instant(ms: u64) -> String {
    if ms == 0 { "-".to_owned() } else { sekisho_types::time::Timestamp(ms).to_string() }
}

/// `yes` or `no` for people.
fn yes_no(language: sekisho_types::error_code::Language, value: bool) -> String {
    let (yes, no) = crate::language::pick(language, ("yes", "no"), ("はい", "いいえ"));
    if value { yes } else { no }.to_owned()
}

/// The last part of a resource name, which is what commands take.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
