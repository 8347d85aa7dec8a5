//! Where figures go: a table on standard output, a line of JSON for each, a page and its plots in a folder.

use super::figure::{Figures, OURS};
use super::plot;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// The lines of all figures.
pub(super) const LINES: &str = "latest.jsonl";

/// In the page, between these lines, stand the figures; the rest of it is written by hand.
const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- end of figures -->";

/// Rows of cells, aligned.
pub(super) fn text(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in table {
        for (cell, width) in row.iter().zip(&widths) {
            // Into a String nothing fails.
            write!(out, "{cell:<width$}  ").unwrap_or_default();
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

pub(super) fn markdown(table: &[Vec<String>]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut rows = table.iter();
    let Some(head) = rows.next() else { return String::new() };
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    std::iter::once(row(head)).chain([rule]).chain(rows.map(|cells| row(cells))).collect()
}

/// The page with its figures replaced.
fn page(old: &str, figures: &str) -> Result<String> {
    let (before, rest) = old.split_once(BEGIN).context("the page has no place for figures")?;
    let (_old, after) = rest.split_once(END).context("the place for figures has no end")?;
    Ok(format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))
}

/// Writes everything into `out`. `head` says how and where it was measured, a line each.
///
/// # Errors
/// The folder has no `README.md` with a place for figures, or cannot be written.
pub(super) fn save(out: &Path, figures: &Figures, head: &[String]) -> Result<()> {
    let mut lines = std::fs::File::create(out.join(LINES))?;
    for line in figures.lines() {
        writeln!(lines, "{line}")?;
    }
    let mut text: String = head.iter().map(|line| format!("- {line}\n")).collect();
    text.push('\n');
    text += &markdown(&figures.table());
    for (name, title, svg) in plot::all(figures) {
        std::fs::write(out.join(format!("{name}.svg")), svg)?;
        text += &format!("\n![{title}]({name}.svg)\n");
    }
    let path = out.join("README.md");
    let old = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    std::fs::write(&path, page(&old, &text)?)?;
    Ok(())
}

/// Puts text in the place for figures of a page, which is begun with `title` if it is not there.
///
/// # Errors
/// The page has no such place, or cannot be written.
pub(super) fn put(path: &Path, title: &str, text: &str) -> Result<()> {
    let new = || Ok(format!("# {title}\n\n{BEGIN}\n{END}\n"));
    let old = if path.exists() { std::fs::read_to_string(path) } else { new() };
    let old = old.with_context(|| path.display().to_string())?;
    std::fs::write(path, page(&old, text)?).with_context(|| path.display().to_string())
}

/// Whether a line is of a figure whose name begins so.
fn begins(line: &str, prefix: &str) -> bool {
    let line: Option<Value> = serde_json::from_str(line).ok();
    let name = line.as_ref().and_then(|line| line.get("name")).and_then(Value::as_str);
    name.is_some_and(|name| name.starts_with(prefix))
}

/// Puts lines in the place of earlier ones whose names begin with `prefix`; all others stay.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn keep(out: &Path, prefix: &str, lines: &[Value]) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let path = out.join(LINES);
    let old = if path.exists() { std::fs::read_to_string(&path)? } else { String::new() };
    let others = old.lines().filter(|line| !begins(line, prefix)).map(str::to_owned);
    let all: Vec<String> = others.chain(lines.iter().map(Value::to_string)).collect();
    std::fs::write(&path, all.join("\n") + "\n").with_context(|| path.display().to_string())
}

/// Prints the table.
///
/// # Errors
/// Nobody reads it.
pub(super) fn print(figures: &Figures, head: &[String]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in head {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "ratio: how many times better {OURS} is, above 1 is better\n")?;
    out.write_all(text(&figures.table()).as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::{Better, What};

    #[test]
    fn the_page_keeps_what_was_written_by_hand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        std::fs::write(&path, format!("# Head\n{BEGIN}\nold\n{END}\ntail\n")).unwrap();
        let mut figures = Figures::default();
        let what = What::new("writes, 1 client", "1/s", Better::More);
        figures.add(&what, OURS, 10.0, 0.0);
        figures.add(&what, "etcd", 5.0, 0.0);
        for _twice in 0..2 {
            save(dir.path(), &figures, &["made for a test".to_owned()]).unwrap();
        }
        let new = std::fs::read_to_string(&path).unwrap();
        assert!(new.starts_with("# Head\n") && new.ends_with("\ntail\n") && !new.contains("old"));
        assert_eq!(new.matches("| writes, 1 client | 1/s | 10.0 | 5.00 | 2.00 |").count(), 1);
        let lines = std::fs::read_to_string(dir.path().join("latest.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), 1);
        std::fs::write(&path, "no place").unwrap();
        assert!(save(dir.path(), &figures, &[]).is_err());
    }

    #[test]
    fn a_page_that_is_not_there_is_begun() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scale.md");
        for text in ["first", "second"] {
            put(&path, "Scale", text).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.starts_with("# Scale\n") && page.contains("second"), "{page}");
        assert!(!page.contains("first"));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(text(&[row("a", "bb"), row("ccc", "d")]), "a    bb\nccc  d\n");
    }
}
