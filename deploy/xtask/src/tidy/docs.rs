//! Rules for documents: links lead somewhere, and every error code has its page.

use std::collections::BTreeSet;

use super::scan::numbered;
use crate::files::TextFile;
use crate::report::Violation;

const LINK: &str = "link";
const CODE: &str = "error-code";
const PAGES: &str = "docs/error-codes/";
/// Where `ErrorCode` writes its wire form.
const CODES: &str = "proto/types/src/error_code";

/// Relative links in Markdown that lead to no file, or to no heading of that file.
pub(super) fn links(files: &[TextFile]) -> Vec<Violation> {
    let mut known: BTreeSet<&str> = files.iter().map(|f| f.path.as_str()).collect();
    for file in files {
        let mut dir = file.dir();
        while !dir.is_empty() && known.insert(dir) {
            dir = dir.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.path.ends_with(".md")) {
        for (number, target) in targets(&file.text) {
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let goal = if path.is_empty() { file.path.clone() } else { resolve(file.dir(), path) };
            let is_file = goal.is_empty() || known.contains(goal.as_str());
            let page = files.iter().find(|f| f.path == goal && f.path.ends_with(".md"));
            let is_heading =
                heading.is_empty() || page.is_none_or(|p| anchors(&p.text).contains(heading));
            if !is_file || !is_heading {
                found.push(Violation::new(
                    LINK,
                    format!("{}:{number}", file.path),
                    format!("links to {target}, which is not there"),
                    "correct the link, or write the page",
                ));
            }
        }
    }
    found
}

/// Relative targets of links outside code, with their lines.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (number, line) in numbered(text) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        let prose = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let mut rest = prose.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let (target, next) = after.split_once(')').unwrap_or((after, ""));
            // A title may follow the target.
            let target = target.split_whitespace().next().unwrap_or("");
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !is_outside {
                found.push((number, target.to_owned()));
            }
            rest = next;
        }
    }
    found
}

fn resolve(dir: &str, path: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// The anchors that a forge makes of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if !is_code && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// Codes without a page and pages without a code.
pub(super) fn error_codes(files: &[TextFile]) -> Vec<Violation> {
    let pages: BTreeSet<&str> = files
        .iter()
        .filter_map(|f| f.path.strip_prefix(PAGES))
        .filter_map(|name| name.split(['.', '/']).next())
        .filter(|name| *name != "README")
        .collect();
    let sources = files.iter().filter(|f| f.path.starts_with(CODES) && f.is_rust());
    let codes: BTreeSet<&str> = sources.flat_map(|f| f.text.lines()).filter_map(code).collect();
    if codes.is_empty() {
        return Vec::new();
    }
    let lacking = codes
        .difference(&pages)
        .map(|code| Violation::new(CODE, *code, "has no page", format!("write {PAGES}{code}.md")));
    let stale = pages.difference(&codes).map(|page| {
        Violation::new(CODE, *page, "has a page and is no code", format!("remove {PAGES}{page}.md"))
    });
    lacking.chain(stale).collect()
}

/// The code in a line such as `NodeUnknown = 7, "NODE_UNKNOWN", NotFound,` of the table, or
/// `Self::NodeUnknown => "NODE_UNKNOWN",` of a match.
fn code(line: &str) -> Option<&str> {
    let (before, after) = line.split_once('"')?;
    let (code, _) = after.split_once('"')?;
    let before = before.trim_end();
    let is_numbered = before
        .strip_suffix(',')
        .and_then(|b| b.rsplit_once("= "))
        .is_some_and(|(_, number)| number.parse::<u32>().is_ok());
    let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_entry = is_numbered || before.ends_with("=>");
    (is_entry && code.len() > 2 && code.chars().all(is_code)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Vec<String> {
        let files = [
            TextFile::new("docs/adr/0001.md", text),
            TextFile::new("docs/STYLE.md", "# Style\n\n## One word each\n"),
            TextFile::new("README.md", ""),
        ];
        links(&files).into_iter().map(|v| v.place).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_quiet() {
        let text = "[a](../STYLE.md) [b](../STYLE.md#one-word-each) [c](../../README.md) [d](../adr/) \
                    [e](https://example.com/x) [f](mailto:a@example.com) [g](.. \"title\")";
        assert_eq!(page(text), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_are_refused() {
        for text in ["[a](STYLE.md)", "[a](../STYLE.md#two-words)", "[a](#none)", "[a](../../x/)"] {
            assert_eq!(page(&format!("intro\n{text}")), ["docs/adr/0001.md:2"], "{text}");
        }
    }

    #[test]
    fn links_in_code_are_not_links() {
        assert_eq!(page("`[a](x.md)`\n```\n[a](x.md)\n```\n"), Vec::<String>::new());
    }

    fn codes(pages: &[&str]) -> Vec<String> {
        let source = "codes! {\n  NodeUnknown = 7, \"NODE_UNKNOWN\", NotFound,\n}\n\
                      match self {\n  A => \"not a code\",\n}\nassert_eq!(x, \"NOT_ONE\");";
        let mut files = vec![TextFile::new("proto/types/src/error_code.rs", source)];
        files.extend(pages.iter().map(|p| TextFile::new(format!("{PAGES}{p}"), "")));
        error_codes(&files).into_iter().map(|v| format!("{} {}", v.place, v.what)).collect()
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        assert_eq!(
            codes(&["README.md", "NODE_UNKNOWN.md", "NODE_UNKNOWN.ja.md"]),
            Vec::<String>::new()
        );
        assert_eq!(codes(&["NODE_UNKNOWN.md", "GONE.md"]), ["GONE has a page and is no code"]);
        assert_eq!(codes(&["GONE.md"])[0], "NODE_UNKNOWN has no page");
        assert_eq!(codes(&[]), ["NODE_UNKNOWN has no page"]);
    }
}
