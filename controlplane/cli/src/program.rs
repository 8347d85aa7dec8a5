//! One run of the program, from its arguments to its exit.
//!
//! Must hold: it asks nothing of the terminal but its width, never for input; Ctrl-C ends it at once, unless a verb only looks on
//! and says so; a reader that leaves ends it in silence.

use crate::app::{App, quoted};
use crate::args::{Cli, Command};
use crate::command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::help;
use crate::output::{Output, WIDTH};
use crate::{complete, look};
use clap::{ArgMatches, FromArgMatches as _};
use sekisho_types::error_code::{ErrorCode, Language};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// What a run finds around it.
pub struct Surroundings<'w> {
    /// Where results go.
    pub out: &'w mut dyn Write,
    /// Where messages go.
    pub err: &'w mut dyn Write,
    /// Environment variables.
    pub variable: &'w dyn Fn(&str) -> Option<String>,
    /// Columns of the terminal that results go to, if they go to one.
    pub width: Option<u16>,
    /// Whether messages go to a terminal.
    pub messages_seen: bool,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("width", &self.width).finish_non_exhaustive()
    }
}

/// Runs the program with these arguments, the first being its own name.
pub fn run(arguments: &[OsString], around: Surroundings<'_>) -> Exit {
    let language = language(arguments, around.variable);
    if let Some(shell) = (around.variable)(complete::VARIABLE) {
        complete::answer(&shell, arguments, around, language);
        return Exit::Ok;
    }
    let matches = match help::parser().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(refused) => return refuse(arguments, &refused, around, language),
    };
    let width = around.width.unwrap_or(WIDTH);
    if matches.subcommand_name() == Some(help::EXIT_CODES) {
        return said(around.out.write_all(help::exit_codes(language, width).as_bytes()), Exit::Ok);
    }
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => run_parsed(cli, (&matches, typed(arguments)), around, language),
        Err(refused) => refuse(arguments, &refused, around, language),
    }
}

fn run_parsed(
    cli: Cli,
    (matches, typed): (&ArgMatches, String),
    around: Surroundings<'_>,
    language: Language,
) -> Exit {
    let variable = around.variable;
    let plain = cli.global.no_color
        || variable("NO_COLOR").is_some_and(|set| !set.is_empty())
        || variable("TERM").is_some_and(|term| term == "dumb");
    let mut output = Output::new(around.out, around.err);
    output.format = cli.global.output;
    output.language = language;
    output.color = !plain && around.width.is_some();
    output.width = around.width.unwrap_or(WIDTH);
    let redraws = output.color;
    let waits = around.messages_seen && !plain && !matches!(cli.command, Command::Dev(_));
    let mut app = App::new(output, cli.global);
    app.typed = typed;
    app.remembers = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let watched = help::watched(matches);
    let result = match watched {
        Some(noun) => blocking(look::on(&mut app, &noun, matches, redraws)),
        None if waits => {
            let waiting = app.output.waiting.clone();
            let words = app.output.pick("waiting for an answer:", "応答を待っています:");
            blocking(async {
                tokio::select! {
                    result = Box::pin(command::run(&mut app, cli.command)) => result,
                    () = waiting.show(words) => Ok(Exit::Ok),
                }
            })
        }
        None => blocking(Box::pin(command::run(&mut app, cli.command))),
    };
    match result.and_then(|exit| app.output.finish().map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => {
            app.output.fail(&failure);
            failure.exit()
        }
    }
}

/// The command line, to be typed again.
fn typed(arguments: &[OsString]) -> String {
    let words = arguments.iter().skip(1).map(|word| quoted(&word.to_string_lossy()));
    std::iter::once("sekisho".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// One thread: a command waits for answers and computes little; a second thread costs a millisecond of start.
fn blocking(run: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ErrorCode::Internal, format!("no runtime: {error}")))?;
    runtime.block_on(run)
}

/// Help and version are no failures and go where results go.
fn refuse(
    arguments: &[OsString],
    refused: &clap::Error,
    around: Surroundings<'_>,
    language: Language,
) -> Exit {
    let width = around.width.unwrap_or(WIDTH);
    let (text, was_asked) = help::answer(arguments, refused, language, width);
    if was_asked {
        said(around.out.write_all(text.as_bytes()), Exit::Ok)
    } else {
        said(around.err.write_all(text.as_bytes()), Exit::Usage)
    }
}

fn said(written: std::io::Result<()>, exit: Exit) -> Exit {
    written.map_or_else(|error| Failure::from(error).exit(), |()| exit)
}

/// The language, also of what is said about a line that cannot be parsed: `--lang` wherever it stands, else the environment's.
fn language(arguments: &[OsString], variable: &dyn Fn(&str) -> Option<String>) -> Language {
    let words: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let named = words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--lang") {
        Some("") => words.get(at.saturating_add(1)).copied(),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    });
    match named {
        Some("ja") => Language::Ja,
        Some("en") => Language::En,
        Some(_) | None => Language::of_environment(variable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_known_before_the_line_is_parsed() {
        let of = |line: &str, locale: &'static str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            language(&words, &|name| (name == "LANG").then(|| locale.to_owned()))
        };
        assert_eq!(of("sekisho job list", "ja_JP.UTF-8"), Language::Ja);
        assert_eq!(of("sekisho job list --lang en", "ja_JP.UTF-8"), Language::En);
        assert_eq!(of("sekisho --lang=ja nonsense", "C"), Language::Ja);
        assert_eq!(of("sekisho --lang", "C"), Language::En);
    }

    #[test]
    fn a_command_line_is_said_again_as_a_shell_reads_it() {
        let words = ["/usr/bin/sekisho", "veto", "add", "--reason", "it's over", "jobs:a/*", ""];
        let words: Vec<OsString> = words.map(OsString::from).to_vec();
        assert_eq!(typed(&words), r"sekisho veto add --reason 'it'\''s over' 'jobs:a/*' ''");
    }
}
