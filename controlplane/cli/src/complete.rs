//! Completion on the command line, with the names that the federation has now.
//!
//! Must hold: an answer takes at most [`WHOLE`], then there is none; nothing is ever written to the terminal but candidates; names
//! are kept for seconds in a folder of this login and are for its user alone.
//! An argument is completed by its type: one that takes a `JobId` is offered jobs, in whichever verb it stands, so that a new verb
//! needs nothing here. The engine is clap's own (`unstable-dynamic`, pinned): it knows the line as the parser does.

mod names;

use crate::command::tenant::Parent;
use crate::help;
use crate::program::Surroundings;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use names::{Asking, Names};
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_types::error_code::Language;
use sekisho_types::id::{
    ApprovalId, JobId, MemberId, NodeId, OperatorId, PolicyId, SiteId, TenantId,
};
use std::any::TypeId;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Set by the shell's script: the line after `--` is to be completed. Its value is the shell.
pub(crate) const VARIABLE: &str = "SEKISHO_COMPLETE";

/// Longest time for an answer: a key press that takes longer feels broken.
pub(crate) const WHOLE: Duration = Duration::from_millis(200);

/// Shells with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
        }
    }

    /// The script that a shell reads at its start.
    ///
    /// # Errors
    /// Never, as far as is known: it is written to memory.
    pub fn script(self) -> std::io::Result<Vec<u8>> {
        let mut script = Vec::new();
        self.completer().write_registration(
            VARIABLE,
            "sekisho",
            "sekisho",
            "sekisho",
            &mut script,
        )?;
        Ok(script)
    }
}

/// What the values of an argument name.
fn of_type(arg: &Arg) -> Option<Names> {
    let id = arg.get_value_parser().type_id();
    let types: [(TypeId, Names); 10] = [
        (TypeId::of::<SiteId>(), Names::Sites),
        (TypeId::of::<NodeId>(), Names::Nodes),
        (TypeId::of::<TenantId>(), Names::Tenants),
        (TypeId::of::<Parent>(), Names::Tenants),
        (TypeId::of::<JobId>(), Names::Jobs),
        (TypeId::of::<PolicyId>(), Names::Policies),
        (TypeId::of::<MemberId>(), Names::Members),
        (TypeId::of::<OperatorId>(), Names::Operators),
        (TypeId::of::<LandmarkId>(), Names::Landmarks),
        (TypeId::of::<ApprovalId>(), Names::Approvals),
    ];
    let typed = types.into_iter().find(|(known, _)| id == *known).map(|(_, names)| names);
    typed.or_else(|| {
        // A word like any other is known by what its argument is called.
        let called: [(&str, Names); 6] = [
            ("context", Names::Contexts),
            ("context_name", Names::Contexts),
            ("cosign", Names::Contexts),
            ("budget", Names::Budgets),
            ("offer", Names::Offers),
            ("reservation", Names::Reservations),
        ];
        called
            .into_iter()
            .find(|(known, _)| arg.get_id().as_str() == *known)
            .map(|(_, names)| names)
    })
}

/// The command line with candidates.
pub(crate) fn command(language: Language, asking: &Arc<Asking>) -> Command {
    fn offer(command: Command, asking: &Arc<Asking>) -> Command {
        let with = |arg: Arg| match of_type(&arg) {
            Some(names) => {
                let asking = Arc::clone(asking);
                let all =
                    move || asking.names(names).into_iter().map(CompletionCandidate::new).collect();
                arg.add(ArgValueCandidates::new(all))
            }
            None => arg,
        };
        command.mut_args(with).mut_subcommands(|inner| offer(inner, asking))
    }
    offer(help::dressed(language), asking)
}

/// Answers the shell. A line that cannot be completed has no candidates, whatever the reason.
pub(crate) fn answer(
    shell: &str,
    arguments: &[OsString],
    around: Surroundings<'_>,
    language: Language,
) {
    let shell = <Shell as clap::ValueEnum>::from_str(shell, true);
    let line = arguments.iter().skip_while(|word| *word != "--").skip(1);
    let line: Vec<OsString> = line.cloned().collect();
    let (Ok(shell), false) = (shell, line.is_empty()) else { return };
    let asking = Arc::new(Asking::of(&line, around.variable));
    let mut command = command(language, &asking);
    let mut candidates = Vec::new();
    let here: Option<&Path> = None;
    let completed = shell.completer().write_complete(&mut command, line, here, &mut candidates);
    if completed.is_ok() {
        // A shell that no longer listens needs none.
        drop(around.out.write_all(&candidates));
    }
}

#[cfg(test)]
mod tests;
