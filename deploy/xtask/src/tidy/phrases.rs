//! What is translated stands somewhere: the English side of each phrase is what a source says.
//!
//! Must hold: a sentence that is changed where it is said cannot lose its Japanese side without a word about it.

use std::collections::BTreeSet;

use super::scan::numbered;
use crate::files::TextFile;
use crate::report::Violation;

const PHRASE: &str = "phrase";
/// The table of phrases.
const TABLE: &str = "proto/src/phrase/table.rs";

pub(super) fn check(files: &[TextFile]) -> Vec<Violation> {
    let Some(table) = files.iter().find(|file| file.path == TABLE) else { return Vec::new() };
    let mut said = BTreeSet::new();
    let sources =
        files.iter().filter(|file| file.is_rust() && !file.path.starts_with("proto/src/phrase"));
    for file in sources {
        said.extend(literals(&file.text).map(|literal| places(&literal)));
    }
    let nobody = |(number, english): (usize, &str)| {
        (!said.contains(&places(english))).then(|| {
            Violation::new(
                PHRASE,
                format!("{TABLE}:{number}"),
                format!("nobody says: {english}"),
                "write it as the source does, or take it out",
            )
        })
    };
    numbered(&table.text).filter_map(english).filter_map(nobody).collect()
}

/// The English side in a row such as `"tenant {tenant}" = "…";`.
fn english((number, line): (usize, &str)) -> Option<(usize, &str)> {
    let (english, rest) = line.trim().strip_prefix('"')?.split_once('"')?;
    rest.trim_start().starts_with('=').then_some((number, english))
}

/// A template without the names of its places.
fn places(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        text.push_str("{}");
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text
}

/// Text literals of a source, those over several lines put together.
fn literals(source: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in source.lines() {
        let is_open = open.is_some();
        let line = if is_open { line.trim_start() } else { line };
        if !is_open && line.trim_start().starts_with("//") {
            continue;
        }
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, &mut open) {
                ('"', None) => open = Some(String::new()),
                ('"', Some(_)) => found.extend(open.take()),
                // A line that goes on behind its end.
                ('\\', Some(_)) if chars.peek().is_none() => {}
                ('\\', Some(text)) => text.extend(chars.next()),
                (c, Some(text)) => text.push(c),
                ('\'', None) if chars.peek() == Some(&'"') => {
                    chars.next();
                }
                (_, None) => {}
            }
        }
        // Not one of ours goes over a line without a mark; what is left open was none.
        if open.is_some() && !line.ends_with('\\') {
            open = None;
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "phrases! {\n    \"{who} may hold {limit}\" = \"…\";\n    \"must be `a`\" =\n        \"…\";\n}\n";

    fn places_of(source: &str) -> Vec<String> {
        let files = [TextFile::new(TABLE, ROWS), TextFile::new("agent/src/a.rs", source)];
        check(&files).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn a_phrase_that_a_source_says_is_quiet() {
        for source in [
            "let a = format!(\"{tenant} may hold {}\", x); b(\"must be `a`\")",
            "let a = format!(\n    \"{tenant:?} may \\\n     hold {limit}\"); let c = '\"'; b(\"must be `a`\")",
        ] {
            assert_eq!(places_of(source), [] as [&str; 0], "{source}");
        }
    }

    #[test]
    fn a_phrase_that_nobody_says_is_refused() {
        let both = [format!("{TABLE}:2"), format!("{TABLE}:3")];
        assert_eq!(places_of("// \"{} may hold {}\" \"must be `a`\""), both);
        assert_eq!(places_of("a(\"{} may hold\", \"{} may hold {} more\", \"must be `b`\")"), both);
    }
}
