//! The page on explanations has a row for each token, and no other.

use crate::Basis;
use crate::explain::codes;
use sekisho_types::error_code::{ErrorCode, Kind};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../../docs/explain.md");

/// Tokens of each row under a heading, and the cell behind them.
fn rows(heading: &str) -> Vec<(Vec<&'static str>, &'static str)> {
    let (_, text) = PAGE.split_once(heading).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let tokens = cells.next()?.split('`').skip(1).step_by(2).collect::<Vec<_>>();
        (!tokens.is_empty()).then(|| (tokens, cells.next().unwrap_or_default()))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn each_code_of_an_explanation_has_a_row_that_says_whether_waiting_helps() {
    let known: BTreeMap<&str, ErrorCode> = codes().map(|code| (code.as_str(), code)).collect();
    let rows = rows("## The funnel");
    let told: Vec<&str> = rows.iter().flat_map(|(tokens, _)| tokens.iter().copied()).collect();
    let once: BTreeSet<&str> = told.iter().copied().collect();
    assert_eq!(once.len(), told.len(), "each once: {told:?}");
    assert_eq!(once, known.keys().copied().collect(), "docs/explain.md, table of the funnel");
    for (tokens, it) in rows {
        let mut says: Vec<&str> = Vec::new();
        for token in &tokens {
            // What a submission would be refused for never comes true either.
            let never = matches!(known[token].kind(), Kind::Never | Kind::Invalid);
            let word = if never { "never" } else { "waits" };
            if says.last() != Some(&word) {
                says.push(word);
            }
        }
        assert_eq!(says.join(", "), it, "{tokens:?}");
    }
}

#[test]
fn each_basis_of_an_estimate_has_a_row() {
    let told: Vec<&str> = rows("## When").into_iter().flat_map(|(tokens, _)| tokens).collect();
    assert_eq!(told, Basis::ALL.map(Basis::as_str));
}
