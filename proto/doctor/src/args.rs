//! What both programs' `doctor` is called with, and how it ends.

use crate::limit::WIDTH;
use crate::report::{Format, Report};
use clap::Args;
use sekisho_types::error_code::Language;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// What stands below the help.
pub const AFTER_HELP: &str = "Changes nothing and takes no lock: it may be run while the program runs, and before it ever \
did.\n\nExit status: 0 nothing is wrong, or there are warnings only; 1 something failed; 2 wrong arguments.\n\
Every check is explained in docs/doctor.md.";

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// The program's settings
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Form of the result; JSON and YAML are in English and stable
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub output: Format,
    /// Language of the table: en or ja; from LC_ALL, LC_MESSAGES or LANG if left out
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    pub lang: Option<Language>,
    /// Ask no member and resolve no name
    #[arg(long)]
    pub offline: bool,
}

fn language(text: &str) -> Result<Language, String> {
    match text {
        "en" => Ok(Language::En),
        "ja" => Ok(Language::Ja),
        other => Err(format!("{other} is neither en nor ja")),
    }
}

impl DoctorArgs {
    /// The language to speak.
    #[must_use]
    pub fn language(&self) -> Language {
        self.lang.unwrap_or_else(|| Language::of_environment(|name| std::env::var(name).ok()))
    }

    /// Tells standard output, and says how the program ends.
    #[must_use]
    pub fn tell(&self, report: &Report) -> ExitCode {
        let out = io::stdout();
        let (width, color) = if out.is_terminal() {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            (comfy_table::Table::new().width().unwrap_or(WIDTH), !plain)
        } else {
            (WIDTH, false)
        };
        let text = report.shown(self.output, self.language(), width, color);
        // A reader that has gone has had enough: what was found still decides.
        drop(writeln!(out.lock(), "{text}"));
        if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
