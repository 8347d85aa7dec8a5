//! Rules for metrics: each one in the code stands in the one table, with its kind; each one in the table is recorded;
//! what a dashboard, an alert or a page names exists.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{code, inline_tests, numbered};
use crate::files::TextFile;
use crate::report::Violation;

const METRIC: &str = "metric";
/// Where every metric is explained.
const TABLE: &str = "controlplane/src/metrics/table.rs";
/// The same for readers without the source.
const PAGE: &str = "docs/metrics.md";
/// Dashboards and alert rules.
const WATCHERS: &str = "deploy/observability/";
/// Macros of the facade that record.
const MACROS: [&str; 3] = ["counter", "gauge", "histogram"];
/// Names that begin like one of ours: crates, and the modules of their logs.
const PREFIX: &str = "sekisho_";
/// What the exporter appends to a histogram's name.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Name to kind and help.
type Known<'a> = BTreeMap<&'a str, (&'static str, &'a str)>;

/// The kind of a metric.
fn kind_of(known: &Known<'_>, name: &str) -> Option<&'static str> {
    known.get(name).map(|(kind, _help)| *kind)
}

pub(super) fn check(files: &[TextFile]) -> Vec<Violation> {
    let Some(table) = files.iter().find(|file| file.path == TABLE) else { return Vec::new() };
    let (known, mut found) = (entries(&table.text), Vec::new());
    let mut used = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_rust() && file.path != TABLE) {
        uses(file, &known, &mut used, &mut found);
    }
    for name in known.keys().filter(|name| !used.contains(**name)) {
        found.push(Violation::new(
            METRIC,
            TABLE,
            format!("{name} is recorded nowhere"),
            "record it, or take it out of the table, and of dashboards and alerts",
        ));
    }
    for file in files.iter().filter(|file| file.path.starts_with(WATCHERS)) {
        watched(file, &known, &mut found);
    }
    if let Some(page) = files.iter().find(|file| file.path == PAGE) {
        for (name, (kind, help)) in &known {
            let row = format!("| `{name}` | {kind} | {help} |");
            if !page.text.lines().any(|line| line == row) {
                found.push(Violation::new(
                    METRIC,
                    PAGE,
                    format!("lacks {name}"),
                    format!("add: {row}"),
                ));
            }
        }
        watched(page, &known, &mut found);
    }
    found
}

/// Rows such as `counter("sekisho_x_total", "…"),` or `histogram_seconds("sekisho_y_seconds", …)`.
fn entries(table: &str) -> Known<'_> {
    let row = |line: &'_ str| -> Option<(usize, &'static str)> {
        let (call, _) = line.trim().split_once("(\"")?;
        let kind = MACROS.into_iter().find(|kind| call.split('_').next() == Some(kind))?;
        Some((line.find("(\"")? + 2, kind))
    };
    let named = table.lines().filter_map(|line| {
        let (at, kind) = row(line)?;
        let mut texts = line.get(at..)?.split('"');
        let (name, help) = (texts.next()?, texts.nth(1)?);
        name.starts_with(PREFIX).then_some((name, (kind, help)))
    });
    named.collect()
}

fn uses<'a>(
    file: &'a TextFile,
    known: &Known<'_>,
    used: &mut BTreeSet<&'a str>,
    found: &mut Vec<Violation>,
) {
    // Tests of the table record whatever stands there.
    let tests = if file.name() == "tests.rs" { Some(1) } else { inline_tests(&file.text) };
    let lines: Vec<(usize, &str)> = numbered(&file.text).collect();
    for (at, (number, line)) in lines.iter().enumerate() {
        if tests.is_some_and(|tests| *number >= tests) {
            return;
        }
        for kind in MACROS {
            let call = format!("metrics::{kind}!(");
            if !code(line).contains(&call) {
                continue;
            }
            let place = format!("{}:{number}", file.path);
            let rest = line.split_once(&call).map_or("", |(_, rest)| rest).trim();
            let rest = if rest.is_empty() {
                lines.get(at + 1).map_or("", |(_, l)| l.trim())
            } else {
                rest
            };
            let name = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            let Some(name) = name else {
                found.push(Violation::new(
                    METRIC,
                    place,
                    "records a metric whose name does not stand there",
                    "write the name as a literal, so that it can be found",
                ));
                continue;
            };
            used.insert(name);
            if kind_of(known, name) != Some(kind) {
                found.push(Violation::new(
                    METRIC,
                    place,
                    format!("records the {kind} {name}, which {TABLE} does not explain"),
                    "add a row with its help and unit, or use the kind that stands there",
                ));
            }
        }
    }
}

/// Words of a watcher that look like a metric of ours and are none.
fn watched(file: &TextFile, known: &Known<'_>, found: &mut Vec<Violation>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    for (number, line) in numbered(&file.text) {
        for word in line.split(|c| !is_word(c)).filter(|word| word.starts_with(PREFIX)) {
            let part = PARTS.iter().find_map(|part| word.strip_suffix(part));
            let part = part.filter(|base| kind_of(known, base) == Some("histogram"));
            if !known.contains_key(word) && part.is_none() {
                found.push(Violation::new(
                    METRIC,
                    format!("{}:{number}", file.path),
                    format!("names {word}, which no program shows"),
                    format!("{TABLE} lists what there is"),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "pub const CONTROLLER: &[Metric] = &[\n    counter(\"sekisho_x_total\", \"Xs.\"),\n    \
                        histogram_seconds(\"sekisho_y_seconds\", \"Ys.\"),\n];\n";

    fn broken(files: &[(&str, &str)]) -> Vec<String> {
        let mut files: Vec<TextFile> =
            files.iter().map(|(path, text)| TextFile::new(*path, *text)).collect();
        files.push(TextFile::new(TABLE, ROWS));
        check(&files).into_iter().map(|violation| violation.place).collect()
    }

    const GOOD: (&str, &str) = (
        "agent/src/a.rs",
        "fn a() {\n    metrics::counter!(\"sekisho_x_total\", \"by\" => \"a\").increment(1);\n    \
         metrics::histogram!(\n        \"sekisho_y_seconds\"\n    );\n}\n\
         #[cfg(test)]\nmod tests {\n    fn b() { metrics::gauge!(\"sekisho_other\"); }\n}\n",
    );

    #[test]
    fn what_is_recorded_and_explained_is_quiet() {
        let dashboard = (
            "deploy/observability/a.json",
            "rate(sekisho_x_total[5m]) histogram_quantile(0.9, sekisho_y_seconds_bucket)",
        );
        assert_eq!(broken(&[GOOD, dashboard]), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_explained_or_of_another_kind_or_without_a_name_is_refused() {
        for line in [
            "metrics::counter!(\"sekisho_z_total\").increment(1);",
            "metrics::gauge!(\"sekisho_x_total\").set(1.0);",
            "metrics::counter!(name).increment(1);",
        ] {
            assert_eq!(broken(&[GOOD, ("proto/src/b.rs", line)]), ["proto/src/b.rs:1"], "{line}");
        }
        // In a comment or a text it is none.
        let quiet = "// metrics::counter!(name)\nlet a = \"metrics::counter!(name)\";";
        assert_eq!(broken(&[GOOD, ("proto/src/b.rs", quiet)]), Vec::<String>::new());
    }

    #[test]
    fn what_nobody_records_and_what_nobody_shows_is_refused() {
        assert_eq!(broken(&[]), [TABLE, TABLE]);
        for text in ["sekisho_z_total > 0", "sekisho_x_total_bucket", "sekisho_y_seconds_total"] {
            let alerts = ("deploy/observability/alerts.yml", text);
            assert_eq!(broken(&[GOOD, alerts]), ["deploy/observability/alerts.yml:1"], "{text}");
        }
        let rows =
            "| `sekisho_x_total` | counter | Xs. |\n| `sekisho_y_seconds` | histogram | Ys. |\n";
        assert_eq!(broken(&[GOOD, ("docs/metrics.md", rows)]), Vec::<String>::new());
        let page = rows.replace("Ys.", "Zs.");
        assert_eq!(broken(&[GOOD, ("docs/metrics.md", &page)]), ["docs/metrics.md"]);
    }
}
