//! One page of help, laid out by display width.

use crate::language::pick;
use crate::output::broken;
use clap::{Arg, Command};
use sekisho_types::error_code::Language;
use unicode_width::UnicodeWidthStr as _;

/// A name that is wider has its text on the next line, so that one long option does not push all texts to the right.
const NAME_MAX: usize = 26;
/// Before a name.
const INDENT: usize = 2;
/// Between the widest name and the texts.
const GAP: usize = 2;

/// A name and its text.
type Line = (String, String);

/// The page of a built command whose texts are in `language` already.
pub(super) fn page(command: &Command, language: Language, width: usize) -> String {
    let mut text = String::new();
    if let Some(about) = command.get_about() {
        push(&mut text, "", &about.to_string(), width);
        text.push('\n');
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage:").trim();
    push(&mut text, pick(language, "Usage: ", "使い方: "), usage, width);
    for (heading, lines) in sections(command, language) {
        text.push_str(&format!("\n{heading}:\n"));
        section(&mut text, &lines, width);
    }
    if let Some(after) = command.get_after_help() {
        // It is laid out by whoever wrote it.
        text.push_str(&format!("\n{}\n", after.to_string().trim_end()));
    }
    text
}

fn sections(command: &Command, language: Language) -> Vec<(String, Vec<Line>)> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verbs = verbs.map(|verb| {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        (verb.get_name().to_owned(), about)
    });
    let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    let positional = shown().filter(|arg| arg.is_positional()).map(line);
    let own = shown().filter(|arg| !arg.is_positional() && arg.get_help_heading().is_none());
    let mut sections: Vec<(String, Vec<Line>)> = vec![
        (pick(language, "Commands", "コマンド").to_owned(), verbs.collect()),
        (pick(language, "Arguments", "引数").to_owned(), positional.collect()),
        (pick(language, "Options", "オプション").to_owned(), own.map(line).collect()),
    ];
    for arg in shown().filter(|arg| !arg.is_positional()) {
        let Some(heading) = arg.get_help_heading() else { continue };
        match sections.iter_mut().find(|(known, _)| known == heading) {
            Some((_, lines)) => lines.push(line(arg)),
            None => sections.push((heading.to_owned(), vec![line(arg)])),
        }
    }
    sections.retain(|(_, lines)| !lines.is_empty());
    sections
}

/// How an option is written, with its text.
fn line(arg: &Arg) -> Line {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let name = arg.to_string();
    let name = match arg.get_short() {
        _ if arg.is_positional() => name,
        Some(short) if arg.get_long().is_some() => format!("-{short}, {name}"),
        Some(_) => name,
        None => format!("    {name}"),
    };
    (name, help)
}

fn section(text: &mut String, lines: &[Line], width: usize) {
    let names = lines.iter().map(|(name, _)| name.width()).filter(|width| *width <= NAME_MAX);
    let column = names.max().unwrap_or(0).saturating_add(INDENT).saturating_add(GAP);
    for (name, help) in lines {
        let head = format!("{}{name}", " ".repeat(INDENT));
        if head.width().saturating_add(GAP) > column {
            text.push_str(&head);
            text.push('\n');
            push(text, &" ".repeat(column), help, width);
        } else {
            let pad = " ".repeat(column.saturating_sub(head.width()));
            push(text, &format!("{head}{pad}"), help, width);
        }
    }
}

/// `words` behind `head`, further lines under their first word.
fn push(text: &mut String, head: &str, words: &str, width: usize) {
    let indent = " ".repeat(head.width());
    let mut head = head;
    for part in broken(words, width.saturating_sub(indent.len())) {
        text.push_str(format!("{head}{part}").trim_end());
        text.push('\n');
        head = &indent;
    }
}
