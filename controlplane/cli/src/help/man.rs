//! `sekisho man`: one page for each verb, in both languages.
//!
//! Must hold: the same bytes from the same program, so that a package that holds them can be built again.

use super::dressed;
use crate::failure::{Failure, of_file};
use crate::language::pick;
use clap::Command;
use sekisho_transport::part;
use sekisho_types::error_code::Language;
use std::path::{Path, PathBuf};

/// Headings that the library writes, and what they are in Japanese.
const HEADINGS: &[(&str, &str)] = &[
    ("NAME", "名前"),
    ("SYNOPSIS", "書式"),
    ("DESCRIPTION", "説明"),
    ("OPTIONS", "オプション"),
    ("SUBCOMMANDS", "コマンド"),
    ("EXTRA", "例"),
    ("VERSION", "バージョン"),
];

/// Writes the pages under `dir`: `man1/` in English, `ja/man1/` in Japanese. Says how many.
///
/// # Errors
/// `INVALID_ARGUMENT` for a folder that cannot be written.
pub(crate) fn write(dir: &Path) -> Result<usize, Failure> {
    let mut count = 0usize;
    for language in [Language::En, Language::Ja] {
        let folder = dir.join(pick(language, "man1", "ja/man1"));
        std::fs::create_dir_all(&folder).map_err(|error| of_file(&folder, &error))?;
        for (name, text) in pages(language)? {
            part::replace(&folder.join(name), text.as_bytes())?;
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}

/// Every page by its file's name.
///
/// # Errors
/// `INVALID_ARGUMENT` if one cannot be rendered.
pub(super) fn pages(language: Language) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut pages = Vec::new();
    add(&dressed(language), language, &mut pages)?;
    Ok(pages)
}

fn add(
    command: &Command,
    language: Language,
    pages: &mut Vec<(PathBuf, String)>,
) -> Result<(), Failure> {
    let man = clap_mangen::Man::new(command.clone()).source("Sekisho").manual("Sekisho");
    let name = PathBuf::from(man.get_filename());
    let mut bytes = Vec::new();
    man.render(&mut bytes).map_err(|error| of_file(&name, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| of_file(&name, &error))?;
    pages.push((name, headed(&text, language)));
    let shown = |verb: &&Command| !verb.is_hide_set() && verb.get_name() != "help";
    command.get_subcommands().filter(shown).try_for_each(|verb| add(verb, language, pages))
}

fn headed(text: &str, language: Language) -> String {
    if language == Language::En {
        return text.to_owned();
    }
    let line = |line: &str| {
        let heading = line
            .strip_prefix(".SH ")
            .and_then(|heading| HEADINGS.iter().find(|(en, _)| heading.trim_matches('"') == *en));
        heading.map_or_else(|| line.to_owned(), |(_, ja)| format!(".SH {ja}"))
    };
    text.lines().map(line).fold(String::new(), |text, line| text + &line + "\n")
}
