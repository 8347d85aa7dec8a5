//! The command line with its help: every text in both languages, one page for each verb, also as man pages.
//!
//! Must hold: a text is written once, in English, where the verb or option is declared; its Japanese stands in `ja.txt` under it,
//! and a test fails for each that is missing or left over. `-h`, `--help` and `sekisho help VERB` show the same page, and no line
//! of one is wider than the terminal, Japanese included.
//! Help is laid out here and not by clap, which breaks lines at spaces only and knows no other language than English.

mod catalogue;
mod man;
mod page;
mod refusal;

pub(crate) use man::write as write_man;

use crate::args::{Cli, EXAMPLES};
use crate::exit;
use crate::language::pick;
use catalogue::{japanese, told};
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _};
use sekisho_types::error_code::Language;

/// The page `sekisho help exit-codes`.
pub(crate) const EXIT_CODES: &str = "exit-codes";

/// Reads that may be looked on at: noun, and verb where it has one.
const WATCHED: &[(&str, Option<&str>)] = &[
    ("status", None),
    ("job", Some("list")),
    ("job", Some("status")),
    ("node", Some("list")),
    ("node", Some("get")),
    ("site", Some("list")),
    ("site", Some("get")),
    ("member", Some("list")),
    ("quota", Some("list")),
    ("quota", Some("status")),
];

const WATCH: &str = "watch";

/// What parses the command line.
#[must_use]
pub(crate) fn parser() -> Command {
    let topic = Command::new(EXIT_CODES).hide(true).about("Exit codes");
    let watched = |noun: &str, verb: Option<&str>| WATCHED.contains(&(noun, verb));
    let command = Cli::command().subcommand(topic).mut_subcommands(|command| {
        let noun = command.get_name().to_owned();
        let command = command.mut_subcommands(|verb| {
            if watched(&noun, Some(verb.get_name())) { verb.arg(watch_flag()) } else { verb }
        });
        if watched(&noun, None) { command.arg(watch_flag()) } else { command }
    });
    in_one_length(command)
}

/// Without clap's own words on each value, which would make a short and a long help of every page; [`dress_arg`] names the
/// values.
fn in_one_length(command: Command) -> Command {
    let values_are_named = |arg: Arg| {
        let takes_value = arg.get_action().takes_values();
        if takes_value { arg.hide_possible_values(true) } else { arg }
    };
    command.mut_args(values_are_named).mut_subcommands(in_one_length)
}

fn watch_flag() -> Arg {
    let text = "Go on and show what changes: at once for jobs and nodes, else looked at every 2 s; ends with Ctrl-C";
    Arg::new(WATCH).long(WATCH).short('w').action(ArgAction::SetTrue).help(text)
}

/// Whether the verb that was given is looked on at, and with which noun.
#[must_use]
pub(crate) fn watched(matches: &ArgMatches) -> Option<String> {
    let (noun, mut inner) = matches.subcommand()?;
    while let Some((_, deeper)) = inner.subcommand() {
        inner = deeper;
    }
    let is_set = inner.try_get_one::<bool>(WATCH).ok().flatten().copied().unwrap_or(false);
    is_set.then(|| noun.to_owned())
}

/// The whole command line with its texts in one language; built, so that each verb has every option that it takes.
#[must_use]
pub(crate) fn dressed(language: Language) -> Command {
    let mut command = parser();
    command.build();
    let examples = pick(language, EXAMPLES.en, EXAMPLES.ja);
    dress(command, language).after_help(examples)
}

fn dress(command: Command, language: Language) -> Command {
    let about = command.get_about().map(|text| told(&text.to_string(), language));
    let command = command
        .mut_args(|arg| dress_arg(arg, language))
        .mut_subcommands(|inner| dress(inner, language));
    match about {
        Some(about) => command.about(about),
        None => command,
    }
}

/// An option with its values behind its text, where clap would say them in English.
fn dress_arg(arg: Arg, language: Language) -> Arg {
    let mut help = arg.get_help().map(|text| told(&text.to_string(), language)).unwrap_or_default();
    let takes_value = arg.get_action().takes_values();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| takes_value && !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    if !values.is_empty() {
        let word = pick(language, "values", "値");
        help.push_str(&format!(" [{word}: {}]", values.join(", ")));
    }
    let usual: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && !usual.is_empty() && !arg.is_hide_default_value_set() {
        let word = pick(language, "default", "既定値");
        help.push_str(&format!(" [{word}: {}]", usual.join(", ")));
    }
    if let Some(name) = arg.get_env() {
        let word = pick(language, "variable", "環境変数");
        help.push_str(&format!(" [{word}: {}]", name.to_string_lossy()));
    }
    let heading = arg.get_help_heading().and_then(|heading| japanese(heading, language));
    let arg = arg.help(help).hide_default_value(true).hide_possible_values(true).hide_env(true);
    match heading {
        Some(heading) => arg.help_heading(heading),
        None => arg,
    }
}

/// What parses the command line, with the page of each verb.
fn with_pages(language: Language, width: u16) -> Command {
    turned(parser(), &dressed(language), language, usize::from(width))
}

fn turned(command: Command, dressed: &Command, language: Language, width: usize) -> Command {
    let page = if command.get_name() == EXIT_CODES {
        exit::page(language, width)
    } else {
        page::page(dressed, language, width)
    };
    let command = command.override_help(page);
    command.mut_subcommands(|inner| match dressed.find_subcommand(inner.get_name()) {
        Some(dressed) => turned(inner, dressed, language, width),
        None => inner,
    })
}

/// Why clap did not take the command line, or the page that was asked for; with whether it was asked for.
#[must_use]
pub(crate) fn answer(
    arguments: &[std::ffi::OsString],
    refused: &clap::Error,
    language: Language,
    width: u16,
) -> (String, bool) {
    use clap::error::ErrorKind;
    let is_page = matches!(
        refused.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_page {
        // The same line again, with pages: they are laid out only when one is looked at.
        let again = with_pages(language, width).try_get_matches_from(arguments);
        let page = again.err().map(|page| page.render().to_string()).unwrap_or_default();
        return (page, !refused.use_stderr());
    }
    if refused.use_stderr() {
        return (refusal::text(refused, language, usize::from(width)), false);
    }
    (refused.render().to_string(), true)
}

/// The page of exit codes.
#[must_use]
pub(crate) fn exit_codes(language: Language, width: u16) -> String {
    exit::page(language, usize::from(width))
}

/// Test-only: every verb, e.g. `job list`, in the order of the help.
#[cfg(test)]
pub(crate) fn leaves() -> Vec<String> {
    let mut leaves = Vec::new();
    walk(&parser(), &[], &mut |path, command| {
        // `dev` does something without a verb, too.
        if !command.has_subcommands() || !command.is_subcommand_required_set() {
            leaves.push(path.join(" "));
        }
    });
    leaves
}

/// Test-only: every command below this one, with its words.
#[cfg(test)]
fn walk(command: &Command, path: &[String], take: &mut dyn FnMut(&[String], &Command)) {
    for inner in command.get_subcommands() {
        let path = [path, &[inner.get_name().to_owned()]].concat();
        take(&path, inner);
        walk(inner, &path, take);
    }
}

#[cfg(test)]
mod tests;
