//! `sekisho error`: what an error code means and what to do about it. Asks nobody.

use crate::app::App;
use crate::catalogue::Page;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Column, Format, Listed, Shown, broken, column, wide};
use sekisho_types::error_code::{ErrorCode, Language};
use serde::Serialize;

/// Verbs of an error code.
#[derive(Debug, clap::Subcommand)]
pub enum ErrorCommand {
    /// List every code
    List,
    /// Say in both languages what a code means, who meets it, and what to do
    Show {
        /// As a message shows it, e.g. QUOTA_NONE
        #[arg(value_parser = code)]
        code: ErrorCode,
    },
}

fn code(text: &str) -> Result<ErrorCode, String> {
    ErrorCode::parse(&text.to_ascii_uppercase())
        .ok_or_else(|| "must be a code: `sekisho error list`".to_owned())
}

/// What stands about a code in one language.
#[derive(Debug, Serialize)]
struct Words {
    text: &'static str,
    remedy: &'static str,
    repeating: &'static str,
    changed: &'static str,
    met: &'static str,
    steps: Vec<&'static str>,
}

/// A code, as it is shown.
#[derive(Debug, Serialize)]
struct ErrorView {
    code: &'static str,
    number: u16,
    exit: u8,
    grpc: String,
    retryable: bool,
    en: Words,
    ja: Words,
    page: String,
}

impl ErrorView {
    fn new(page: &Page) -> Self {
        let words = |language| Words {
            text: page.code.text(language),
            remedy: page.code.remedy(language),
            repeating: page.repeating().of(language),
            changed: page.changed().of(language),
            met: page.met.of(language),
            steps: page.steps.iter().map(|step| step.of(language)).collect(),
        };
        Self {
            code: page.code.as_str(),
            number: page.code as u16,
            exit: page.exit() as u8,
            grpc: page.grpc(),
            retryable: page.code.is_retryable(),
            en: words(Language::En),
            ja: words(Language::Ja),
            page: page.path(),
        }
    }

    fn words(&self, language: Language) -> &Words {
        match language {
            Language::En => &self.en,
            Language::Ja => &self.ja,
        }
    }

    /// The card for people, the reader's language first.
    fn lines(&self, first: Language) -> Vec<String> {
        let second = match first {
            Language::En => Language::Ja,
            Language::Ja => Language::En,
        };
        let mut lines = vec![self.code.to_owned()];
        for language in [first, second] {
            let words = self.words(language);
            let pick = |en, ja| crate::language::pick(language, en, ja);
            lines.push(String::new());
            lines.push(format!("{} {}", words.text, words.remedy));
            lines.push(words.met.to_owned());
            let numbered = words.steps.iter().zip(1u8..);
            lines.extend(numbered.map(|(step, number)| format!("  {number}. {step}")));
            lines.push(format!(
                "{}: {}; {}: {}",
                pick("repeating it", "再試行"),
                words.repeating,
                pick("changed", "変更"),
                words.changed
            ));
        }
        lines.push(String::new());
        lines.push(format!("exit {}, gRPC {}, {}", self.exit, self.grpc, self.page));
        lines
    }
}

impl Shown for ErrorView {
    const COLUMNS: &'static [Column] = &[
        column("code", "コード"),
        column("exit", "終了"),
        wide("grpc", "gRPC"),
        wide("repeating", "再試行"),
        column("meaning", "意味"),
    ];

    fn cells(&self, language: Language) -> Vec<String> {
        let words = self.words(language);
        vec![
            self.code.to_owned(),
            self.exit.to_string(),
            self.grpc.clone(),
            words.repeating.to_owned(),
            words.text.to_owned(),
        ]
    }
}

/// A line in as many as the width asks for; what goes on of a step stands under its words.
fn folded(line: &str, width: u16) -> Vec<String> {
    let indent = if line.starts_with(' ') { "     " } else { "" };
    let parts = broken(line, usize::from(width).saturating_sub(indent.len())).into_iter();
    let first = |at: usize| if at == 0 { "" } else { indent };
    parts.enumerate().map(|(at, part)| format!("{}{part}", first(at))).collect()
}

/// Runs a verb.
///
/// # Errors
/// When stdout does not take it.
pub fn run(app: &mut App<'_>, command: &ErrorCommand) -> Result<Exit, Failure> {
    let view = |code: &ErrorCode| Page::of(*code).map(ErrorView::new);
    match command {
        ErrorCommand::List => {
            let mut all: Vec<ErrorView> = ErrorCode::ALL.iter().filter_map(view).collect();
            all.sort_by_key(|view| view.code);
            app.output.list(&all, &Listed::default())?;
        }
        ErrorCommand::Show { code } => {
            let missing = || Failure::new(ErrorCode::NotFound, code.as_str());
            let shown = view(code).ok_or_else(missing)?;
            if app.output.format.is_for_people() {
                let is_wide = app.output.format == Format::Wide;
                let width = if is_wide { u16::MAX } else { app.output.width };
                let lines = shown.lines(app.output.language);
                for line in lines.iter().flat_map(|line| folded(line, width)) {
                    app.output.line(&line)?;
                }
            } else {
                app.output.data(&shown)?;
            }
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_in_both_languages_the_readers_first() {
        let shown = ErrorView::new(Page::of(ErrorCode::QuotaNone).unwrap());
        for (first, sentence) in [(Language::En, shown.en.text), (Language::Ja, shown.ja.text)] {
            let lines = shown.lines(first);
            assert!(lines[2].starts_with(sentence), "{lines:?}");
            let text = lines.join("\n");
            for part in [shown.en.met, shown.ja.met, "docs/error-codes/QUOTA_NONE.md", "exit 6"] {
                assert!(text.contains(part), "{part}");
            }
        }
        let step = folded("  1. Look, and look again.", 20);
        assert_eq!(step, ["  1. Look, and", "     look again."]);
        assert_eq!(folded("", 20), [""]);
        assert_eq!(code("quota_none"), Ok(ErrorCode::QuotaNone));
        code("QUOTA").unwrap_err();
    }
}
