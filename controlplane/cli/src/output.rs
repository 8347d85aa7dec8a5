//! The only place that prints. Results go to stdout in the chosen form, everything else to stderr.
//!
//! Must hold: `-o json` and `-o yaml` are stable: snake_case keys, additive changes only, never translated; tables
//! are for people and stand in 80 columns with Japanese text. No secret has a type that can be shown here.

mod frame;
mod table;
mod waiting;

pub(crate) use table::broken;
pub use waiting::Waiting;

use frame::Frame;

use crate::failure::Failure;
use crate::language::{Text, pick};
use sekisho_types::error_code::{ErrorCode, Language};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// Form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people, in the width of the terminal.
    #[default]
    Table,
    /// For people, every column, never wrapped.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// Whether people read it.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Heading.
    pub heading: Text,
    /// Shown by `-o wide` and single views only.
    pub wide: bool,
}

/// A column that every table has.
#[must_use]
pub const fn column(en: &'static str, ja: &'static str) -> Column {
    Column { heading: Text::new(en, ja), wide: false }
}

/// A column of wide tables.
#[must_use]
pub const fn wide(en: &'static str, ja: &'static str) -> Column {
    Column { heading: Text::new(en, ja), wide: true }
}

/// A resource that can be shown: as JSON by `Serialize`, as a row by its cells.
pub trait Shown: Serialize {
    /// The columns, in order.
    const COLUMNS: &'static [Column];
    /// One cell for each column.
    fn cells(&self, language: Language) -> Vec<String>;
    /// Whether somebody has to look: it is red where there is colour. The cells say so without it.
    fn is_alarming(&self) -> bool {
        false
    }
}

/// What stands beside the items of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Revision that the answer is of.
    pub revision: u64,
    /// Resources that could not be asked: a cut-off site shows here, never as an empty list.
    pub unreachable: Vec<String>,
}

/// Where and how results are shown.
pub struct Output<'w> {
    /// Form of results.
    pub format: Format,
    /// Language of text for people.
    pub language: Language,
    /// Whether escape sequences may be used.
    pub color: bool,
    /// Columns of the terminal.
    pub width: u16,
    /// Word that something is waited for.
    pub waiting: Waiting,
    frame: Option<Frame>,
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Width where there is no terminal to ask.
pub const WIDTH: u16 = 80;

impl<'w> Output<'w> {
    /// An output for people in English, 80 columns, without colour; its fields are open to change.
    pub fn new(out: &'w mut dyn Write, err: &'w mut dyn Write) -> Self {
        Self {
            format: Format::Table,
            language: Language::En,
            color: false,
            width: WIDTH,
            waiting: Waiting::default(),
            frame: None,
            out,
            err,
        }
    }

    /// Where results go.
    fn out(&mut self) -> &mut dyn Write {
        self.waiting.end(self.err);
        match &mut self.frame {
            Some(frame) => frame.text(),
            None => self.out,
        }
    }

    /// Where messages go. Of a read that is made again they belong to what is shown of it.
    fn err(&mut self) -> &mut dyn Write {
        self.waiting.end(self.err);
        match &mut self.frame {
            Some(frame) => frame.text(),
            None => self.err,
        }
    }

    /// From now on only what changes from round to round is shown; `redraws` at a terminal.
    pub fn begin_rounds(&mut self, redraws: bool) {
        self.frame = Some(Frame::new(redraws));
    }

    /// Shows what is new in this round.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn end_round(&mut self) -> Result<(), Failure> {
        let Some(mut frame) = self.frame.take() else { return Ok(()) };
        let (text, lines) = frame.end();
        let shown = if self.format.is_for_people() {
            self.bytes(&text)
        } else {
            lines.iter().try_for_each(|line| self.event(line))
        };
        self.frame = Some(frame);
        shown
    }

    /// Whether programs get this as an item of a round.
    fn takes_item<T: Serialize>(&mut self, value: &T) -> Result<bool, Failure> {
        let Some(frame) = &mut self.frame else { return Ok(false) };
        let item = serde_json::to_value(value)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        frame.item(item);
        Ok(true)
    }

    /// One of two texts, in the language of the reader.
    #[must_use]
    pub fn pick<T>(&self, en: T, ja: T) -> T {
        pick(self.language, en, ja)
    }

    /// A list.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn list<T: Shown>(&mut self, items: &[T], beside: &Listed) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Whole<'a, T> {
            items: &'a [T],
            revision: u64,
            unreachable: &'a [String],
        }
        if !self.format.is_for_people() {
            if self.frame.is_some() {
                return items.iter().try_for_each(|item| self.takes_item(item).map(drop));
            }
            let Listed { revision, unreachable } = beside;
            return self.data(&Whole { items, revision: *revision, unreachable });
        }
        if items.is_empty() {
            let none = self.pick("(none)", "(なし)");
            writeln!(self.err(), "{none}")?;
        } else {
            let text = table::rows(items, self.format, self.language, self.look());
            writeln!(self.out(), "{text}")?;
        }
        for site in &beside.unreachable {
            let line = self.pick(format!("unreachable: {site}"), format!("応答なし: {site}"));
            writeln!(self.err(), "{line}")?;
        }
        Ok(())
    }

    /// One resource.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn one<T: Shown>(&mut self, item: &T) -> Result<(), Failure> {
        if !self.format.is_for_people() {
            return self.data(item);
        }
        let text = table::card(item, self.language, self.look());
        Ok(writeln!(self.out(), "{text}")?)
    }

    fn look(&self) -> table::Look {
        table::Look { width: self.width, color: self.color }
    }

    /// A value as JSON or YAML.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn data<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        if self.takes_item(value)? {
            return Ok(());
        }
        let bad =
            |error: &dyn std::fmt::Display| Failure::new(ErrorCode::Internal, error.to_string());
        let text = if self.format == Format::Yaml {
            serde_saphyr::to_string(value).map_err(|error| bad(&error))?
        } else {
            serde_json::to_string_pretty(value).map_err(|error| bad(&error))?
        };
        Ok(writeln!(self.out(), "{}", text.trim_end())?)
    }

    /// One of several results that come one after the other: a line of JSON, or a YAML document.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn event<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let bad =
            |error: &dyn std::fmt::Display| Failure::new(ErrorCode::Internal, error.to_string());
        if self.format == Format::Yaml {
            let text = serde_saphyr::to_string(value).map_err(|error| bad(&error))?;
            writeln!(self.out(), "---\n{}", text.trim_end())?;
        } else {
            let text = serde_json::to_string(value).map_err(|error| bad(&error))?;
            writeln!(self.out(), "{text}")?;
        }
        Ok(self.out().flush()?)
    }

    /// The result of a change: a sentence for people, data for programs, then the command that comes next.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn changed(&mut self, change: &Change<'_>) -> Result<(), Failure> {
        if !self.format.is_for_people() {
            return self.data(change);
        }
        let verb = change.done.of(self.language);
        let checked = self.pick("valid; nothing changed", "検証のみ、変更なし");
        let at = self.pick("revision", "リビジョン");
        for name in change.name.into_iter().chain(change.names.iter().map(String::as_str)) {
            if change.validate_only {
                writeln!(self.out(), "{name}: {checked}")?;
            } else {
                writeln!(self.out(), "{name} {verb} ({at} {})", change.revision)?;
            }
        }
        if let Some(next) = &change.next {
            self.next(next)?;
        }
        Ok(())
    }

    /// A file that was written, of so many bytes, and the command that comes next.
    ///
    /// # Errors
    /// When stdout or stderr does not take it.
    pub fn written(&mut self, path: &Path, bytes: usize, next: &str) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Written {
            file: String,
            bytes: usize,
        }
        let file = path.display().to_string();
        if !self.format.is_for_people() {
            return self.data(&Written { file, bytes });
        }
        let size = self.pick(format!("{bytes} bytes"), format!("{bytes} バイト"));
        self.line(&format!("{file}: {size}"))?;
        self.next(next)
    }

    /// Tells the command that comes next, on stderr.
    ///
    /// # Errors
    /// When stderr does not take it.
    pub fn next(&mut self, command: &str) -> Result<(), Failure> {
        let line = self.pick(format!("next: {command}"), format!("次の操作: {command}"));
        self.note(&line)
    }

    /// A result line for people.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out(), "{text}")?)
    }

    /// A sentence for people, in as many lines as the width asks for.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn sentence(&mut self, text: &str) -> Result<(), Failure> {
        if self.format == Format::Wide {
            return self.line(text);
        }
        broken(text, usize::from(self.width)).iter().try_for_each(|line| self.line(line))
    }

    /// Bytes as they are: a job's output.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out().write_all(bytes)?;
        Ok(self.out().flush()?)
    }

    /// Bytes as they are, on stderr: a job's messages.
    ///
    /// # Errors
    /// When stderr does not take it.
    pub fn error_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.err().write_all(bytes)?;
        Ok(self.err().flush()?)
    }

    /// A message beside the result, on stderr.
    ///
    /// # Errors
    /// When stderr does not take it.
    pub fn note(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.err(), "{text}")?)
    }

    /// Everything that was said has gone out.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.waiting.end(self.err);
        Ok(self.out.flush()?)
    }

    /// A failure, on stderr. Nothing is left to do if stderr does not take it.
    pub fn fail(&mut self, failure: &Failure) {
        if failure.reader_left {
            return;
        }
        let lines = failure.lines(self.language);
        let err = self.err();
        let result: io::Result<()> = lines.iter().try_for_each(|line| writeln!(err, "{line}"));
        drop(result);
    }
}

/// A change that took effect (or, with `validate_only`, would).
#[derive(Debug, Serialize)]
pub struct Change<'a> {
    /// Resource name; of a batch, `names` in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// Resource names of a batch.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub names: &'a [String],
    /// Log index of the entry.
    pub revision: u64,
    /// The intention's id.
    pub request_id: String,
    /// Nothing was changed.
    pub validate_only: bool,
    /// The approval that the change waits for, or was made by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<&'a str>,
    /// What was done, for people.
    #[serde(skip)]
    pub done: Text,
    /// The command that comes next, for people.
    #[serde(skip)]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests;
