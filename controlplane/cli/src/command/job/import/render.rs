//! A draft as the text of a spec, and as comments above it what it does not say.
//!
//! Must hold: whatever the input holds, a comment is one line and a text is read back as it was: what a literal block could not
//! carry is quoted with escapes.

use super::draft::{Draft, MIB_PER_GIB, Part, Told};
use crate::duration;
use crate::language::pick;
use sekisho_types::error_code::Language;
use sekisho_types::job::{After, Kind};
use sekisho_types::payload::Restart;
use sekisho_types::topology::{Spread, Topology};
use serde::Serialize;

/// Words that YAML may read as something else than text.
const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Characters of a quoted part in a comment; what is longer is cut, and its place says where the rest is.
const QUOTED_MAX: usize = 240;

/// Everything, for people.
pub(super) fn text(parts: &[Part], language: Language) -> String {
    let mut text = String::new();
    let mut is_first = true;
    for part in parts {
        if part.draft.is_some() && !is_first {
            text.push_str("---\n");
        }
        is_first &= part.draft.is_none();
        for told in &part.told {
            let line = comment(told, language);
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&part.draft.as_ref().map(spec).unwrap_or_default());
    }
    text
}

fn comment(told: &Told, language: Language) -> String {
    let Told { place, quoted, why } = told;
    let (line, column) = (place.line, place.column);
    let place =
        pick(language, format!("line {line}, column {column}"), format!("{line} 行 {column} 列"));
    let cut = quoted.char_indices().nth(QUOTED_MAX).map(|(at, _)| at);
    let end = if cut.is_some() { "…" } else { "" };
    let quoted = quoted.get(..cut.unwrap_or(quoted.len())).unwrap_or(quoted);
    format!("{place}: `{}{end}`: {}", one_line(quoted), one_line(why.of(language)))
}

/// Without what would end or hide a line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if is_odd(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Whether a character is not printed, or ends a line somewhere.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The spec.
pub(super) fn spec(draft: &Draft) -> String {
    let mut text = format!("name: {}\n", scalar(&draft.name));
    if let Some(tenant) = &draft.tenant {
        text.push_str(&format!("tenant: {}\n", scalar(tenant.as_str())));
    }
    text.push_str(&kind(draft.kind));
    text.push_str(&format!("group: {}\nresources:\n", draft.group));
    text.push_str(&format!("  class: {}\n", scalar(draft.class.as_str())));
    text.push_str(&format!("  gpus: {}\n", draft.gpus));
    if let Some(gib) = draft.gpu_memory_gib {
        text.push_str(&format!("  memory_gib: {gib}\n"));
    }
    if draft.class.is_shared() {
        text.push_str("  sharing: tenant\n");
    }
    text.push_str(&topology(&draft.topology));
    if let Some(name) = &draft.reservation {
        text.push_str(&format!("reservation: {}\n", scalar(name.as_str())));
    }
    text.push_str(&format!("time_limit: {}\n", duration::text(draft.time_limit_s)));
    if !draft.after.is_empty() {
        text.push_str("after:\n");
    }
    for After { job, when } in &draft.after {
        text.push_str(&format!("  - {{job: {}, when: {when}}}\n", scalar(job.as_str())));
    }
    for (field, at) in [("not_before", &draft.not_before), ("end_by", &draft.end_by)] {
        if let Some(at) = at {
            text.push_str(&format!("{field}: {}\n", at.text));
        }
    }
    if draft.run.suspicious_secret().is_some() {
        text.push_str("payload: sealed\n");
    }
    text + &run(draft)
}

/// How often it runs; of what runs once, nothing.
fn kind(kind: Kind) -> String {
    match kind {
        Kind::Batch => String::new(),
        Kind::Array { tasks, at_most } if tasks == at_most => {
            format!("array: {{tasks: {tasks}}}\n")
        }
        Kind::Array { tasks, at_most } => {
            format!("array: {{tasks: {tasks}, at_most: {at_most}}}\n")
        }
        Kind::Service { replicas, surge } => {
            format!("service: {{replicas: {replicas}, surge: {surge}}}\n")
        }
    }
}

/// Where members stand, as far as it is asked for.
fn topology(topology: &Topology) -> String {
    let mut rows = String::new();
    if let Some(within) = topology.within {
        rows.push_str(&format!("  within: {within}\n"));
    }
    if let Some(Spread { over, at_least }) = topology.spread {
        rows.push_str(&format!("  spread: {{over: {over}, at_least: {at_least}}}\n"));
    }
    for (field, marks) in [("apart", &topology.apart), ("marks", &topology.marks)] {
        let marks: Vec<String> = marks.iter().map(|mark| scalar(mark.as_str())).collect();
        if !marks.is_empty() {
            rows.push_str(&format!("  {field}: [{}]\n", marks.join(", ")));
        }
    }
    if rows.is_empty() { rows } else { format!("topology:\n{rows}") }
}

fn run(draft: &Draft) -> String {
    let run = &draft.run;
    let mut text = "run:\n  command:\n".to_owned();
    for argument in &run.command {
        text.push_str(&format!("    - {}", argument_text(argument)));
    }
    let mut rest = String::new();
    if !run.env.is_empty() {
        rest.push_str("  env:\n");
    }
    for (name, value) in &run.env {
        rest.push_str(&format!("    {}: {}\n", scalar(name), quoted(value)));
    }
    if let Some(dir) = &run.working_dir {
        rest.push_str(&format!("  working_dir: {}\n", scalar(dir)));
    }
    if let Some(mib) = run.memory_mib {
        rest.push_str(&format!("  memory_gib: {}\n", mib / MIB_PER_GIB));
    }
    if let Some(milli) = run.cpu_milli {
        rest.push_str(&format!("  cpus: {}\n", cpus(milli)));
    }
    match run.restart {
        Restart::Never => {}
        Restart::OnFailure { attempts, delay_s } => {
            let delay = duration::text(u64::from(delay_s));
            rest.push_str("  restart:\n    policy: on-failure\n");
            rest.push_str(&format!("    attempts: {attempts}\n    delay: {delay}\n"));
        }
    }
    text + &rest
}

fn cpus(milli: u32) -> String {
    let (whole, part) = (milli / 1000, milli % 1000);
    if part == 0 {
        return whole.to_string();
    }
    format!("{whole}.{part:03}").trim_end_matches('0').to_owned()
}

/// An item of the list of arguments: text of several lines as a block, where one can carry it.
fn argument_text(text: &str) -> String {
    if !is_block(text) {
        return format!("{}\n", scalar(text));
    }
    let mut block = if text.ends_with('\n') { "|\n" } else { "|-\n" }.to_owned();
    for line in text.lines() {
        let indent = if line.is_empty() { "" } else { "      " };
        block.push_str(&format!("{indent}{line}\n"));
    }
    block
}

/// Whether a literal block gives back exactly this.
fn is_block(text: &str) -> bool {
    let begins = text.starts_with(|c: char| !c.is_whitespace());
    let body = text.strip_suffix('\n').unwrap_or(text);
    let last = body.rsplit('\n').next().unwrap_or_default();
    let ends = last.chars().any(|c| !c.is_whitespace());
    let is_plain = |c: char| c == '\n' || c == '\t' || !is_odd(c);
    text.contains('\n') && begins && ends && text.chars().all(is_plain)
}

/// A text on one line, without quotes where it cannot be read as anything else.
fn scalar(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    if begins && text.chars().all(is_safe) && !is_word { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Nothing that is odd lies beyond four digits.
            c if is_odd(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Everything, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    /// The spec as YAML; null: nothing of this part is a job.
    spec: Option<String>,
    not_carried: Vec<Left>,
}

#[derive(Debug, Serialize)]
struct Left {
    line: u64,
    column: u64,
    text: String,
    why: String,
}

/// Everything, for programs; in English.
pub(super) fn data(parts: &[Part]) -> Data {
    let left = |told: &Told| Left {
        line: told.place.line,
        column: told.place.column,
        text: told.quoted.clone(),
        why: told.why.of(Language::En).to_owned(),
    };
    let item = |part: &Part| Item {
        spec: part.draft.as_ref().map(spec),
        not_carried: part.told.iter().map(left).collect(),
    };
    Data { items: parts.iter().map(item).collect() }
}
