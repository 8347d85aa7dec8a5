//! `sekisho residency verify --bundle`: the fixes of an audit bundle, judged again with no cluster at hand.
//!
//! Must hold: exit 0 only if the bundle verifies as a whole, and so each fix in it; what is shown of a fix was reached from the
//! signatures in the log, by the landmarks, keys and tags that the log had by then.

use crate::app::App;
use crate::command::{audit, instant, verdict, yes_no};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Column, Listed, Output, Shown, column, wide};
use crate::verify;
use crate::verify::fixes::{JudgedFix, Reached};
use crate::verify::report::Report;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{NodeId, OperatorId};
use sekisho_types::residency::Tier;
use serde::Serialize;
use std::path::Path;

/// A fix, as people and programs read it.
#[derive(Debug, Serialize)]
struct FixRow {
    record: usize,
    time_ms: u64,
    node: String,
    landmarks: usize,
    holds: bool,
    /// `proven`, `unknown` or `inconsistent`; none if it does not hold.
    verdict: Option<&'static str>,
    tier: Option<String>,
    f: Option<u32>,
    /// Of T3, which is proven.
    prefecture: Option<String>,
    excluding: Vec<String>,
    problem: Option<String>,
}

impl FixRow {
    fn of(fix: &JudgedFix) -> Self {
        let row = Self {
            record: fix.record,
            time_ms: fix.time.0,
            node: fix.node.to_string(),
            landmarks: fix.landmarks,
            holds: fix.outcome.is_ok(),
            verdict: None,
            tier: None,
            f: None,
            prefecture: None,
            excluding: Vec::new(),
            problem: fix.outcome.as_ref().err().cloned(),
        };
        let Ok(reached) = &fix.outcome else { return row };
        let not_proven = Some(Tier::BASELINE.to_string());
        match reached {
            Reached::Proven { f, prefecture, excluding } => Self {
                verdict: Some("proven"),
                tier: Some(match prefecture {
                    Some(_) => Tier::SiteProven.to_string(),
                    None => Tier::CountryProven.to_string(),
                }),
                f: Some(*f),
                prefecture: prefecture.map(|area| area.label()),
                excluding: excluding.iter().map(OperatorId::to_string).collect(),
                ..row
            },
            Reached::Unknown => Self { verdict: Some("unknown"), tier: not_proven, ..row },
            Reached::Inconsistent => {
                Self { verdict: Some("inconsistent"), tier: not_proven, ..row }
            }
        }
    }
}

impl Shown for FixRow {
    const COLUMNS: &'static [Column] = &[
        column("time", "時刻"),
        column("node", "ノード"),
        column("landmarks", "ランドマーク数"),
        column("verdict", "判定"),
        column("tier", "証明段階"),
        column("f", "f"),
        wide("prefecture", "都道府県"),
        column("excluding", "除外"),
        column("holds", "成立"),
        wide("record", "記録"),
        wide("why", "理由"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            instant(self.time_ms / 1000 * 1000).replace(".000Z", "Z"),
            self.node.clone(),
            self.landmarks.to_string(),
            self.verdict.unwrap_or("-").to_owned(),
            or_none(self.tier.clone()),
            or_none(self.f.map(|f| f.to_string())),
            or_none(self.prefecture.clone()),
            self.excluding.join(", "),
            yes_no(language, self.holds),
            self.record.to_string(),
            self.problem.clone().unwrap_or_default(),
        ]
    }
}

/// For programs.
#[derive(Debug, Serialize)]
struct Whole<'r> {
    verified: bool,
    fixes: &'r [FixRow],
    #[serde(flatten)]
    report: &'r Report,
}

fn tell(
    output: &mut Output<'_>,
    report: &Report,
    node: Option<&NodeId>,
    trusted: Option<&SignedGenesis>,
) -> Result<Exit, Failure> {
    let wanted = |fix: &&JudgedFix| node.is_none_or(|node| fix.node == *node);
    let rows: Vec<FixRow> = report.fixes.iter().filter(wanted).map(FixRow::of).collect();
    if let Some(node) = node.filter(|_| rows.is_empty() && report.is_good()) {
        let none = output.pick(
            format!("the bundle has no fix of {node}"),
            format!("このファイルに {node} の測位結果はありません"),
        );
        return Err(Failure::new(ErrorCode::NotFound, none));
    }
    let whole = Whole { verified: report.is_good(), fixes: &rows, report };
    if output.format.is_for_people() {
        output.list(&rows, &Listed::default())?;
        let bad = rows.iter().filter(|row| !row.holds);
        for FixRow { node, record, problem, .. } in bad {
            let why = problem.as_deref().unwrap_or_default();
            let line = output.pick(
                format!("does not hold: the fix of {node} in record {record}: {why}"),
                format!("成立しません: 記録 {record} の {node} の測位結果: {why}"),
            );
            output.line(&line)?;
        }
    }
    verdict::tell(output, report, trusted, &report.lines(output.language, output.width), &whole)
}

pub(super) fn run(
    app: &mut App<'_>,
    file: &Path,
    node: Option<&NodeId>,
    trusted: Option<&SignedGenesis>,
) -> Result<Exit, Failure> {
    let report = verify::verify(&audit::read(file)?, trusted);
    tell(&mut app.output, &report, node, trusted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use crate::verify::report::Step;
    use sekisho_types::jurisdiction::Area;
    use sekisho_types::time::Timestamp;

    fn fix(record: usize, node: &str, outcome: Result<Reached, String>) -> JudgedFix {
        let (time, node) = (Timestamp(1_780_000_000_000), node.parse().unwrap());
        JudgedFix { record, time, node, landmarks: 2, outcome }
    }

    /// A bundle with a proven node, one that may be anywhere and, unless it is good, one whose fix does not hold.
    fn report(good: bool) -> Report {
        let mut report = Report::over(&[Step::Residency]);
        let excluding = vec!["kanto".parse().unwrap(), "naniwa".parse().unwrap()];
        let proven = Reached::Proven { f: 1, prefecture: None, excluding };
        report.fixes.push(fix(7, "tokyo-1/n-01", Ok(proven)));
        report.fixes.push(fix(8, "sakai-1/n-01", Ok(Reached::Unknown)));
        let prefecture = Area::resolve("JP-01").ok();
        let near = Reached::Proven { f: 0, prefecture, excluding: Vec::new() };
        report.fixes.push(fix(8, "north/n-01", Ok(near)));
        report.passed(Step::Residency, 2);
        if !good {
            report.fixes.push(fix(9, "tokyo-1/n-01", Err("no transcript counts".to_owned())));
            report.failed(Step::Residency, "record 9");
        }
        report
    }

    fn told(
        good: bool,
        node: Option<&str>,
        how: (Format, Language),
    ) -> Result<[String; 2], Failure> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        (output.format, output.language) = how;
        let node = node.map(|node| node.parse().unwrap());
        let exit = tell(&mut output, &report(good), node.as_ref(), None)?;
        Ok([String::from_utf8(out).unwrap(), format!("{exit:?}")])
    }

    #[test]
    fn each_fix_is_a_line_and_one_that_does_not_hold_ends_with_1() {
        let en = (Format::Table, Language::En);
        let [out, exit] = told(true, None, en).unwrap();
        for part in ["tokyo-1/n-01", "proven", "kanto, naniwa", "unknown", "T2", "T3", "verified: "]
        {
            assert!(out.contains(part), "{part} in {out}");
        }
        assert_eq!(exit, "Ok");
        let [out, exit] = told(false, None, en).unwrap();
        let why = "does not hold: the fix of tokyo-1/n-01 in record 9: no transcript counts";
        assert!(out.contains(why) && out.contains("NOT VERIFIED"), "{out}");
        assert_eq!(exit, "Error");
        let [out, exit] = told(false, Some("sakai-1/n-01"), (Format::Table, Language::Ja)).unwrap();
        assert!(out.contains("sakai-1/n-01") && !out.contains("tokyo-1/n-01"), "{out}");
        assert_eq!(exit, "Error", "the bundle as a whole does not hold");
    }

    #[test]
    fn programs_get_the_fixes_beside_the_report_and_a_node_without_one_is_not_found() {
        let json = (Format::Json, Language::En);
        let [out, exit] = told(false, Some("tokyo-1/n-01"), json).unwrap();
        let data: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((data["verified"].as_bool(), exit.as_str()), (Some(false), "Error"));
        let fixes = data["fixes"].as_array().unwrap();
        assert_eq!((fixes.len(), &fixes[0]["f"], &fixes[0]["tier"]), (2, &1.into(), &"T2".into()));
        let [out, _] = told(true, Some("north/n-01"), (Format::Json, Language::En)).unwrap();
        assert!(out.contains("\"T3\"") && out.contains("北海道"), "{out}");
        assert_eq!((&fixes[1]["holds"], &fixes[1]["record"]), (&false.into(), &9.into()));
        assert_eq!(data["steps"][0]["step"], "residency");
        let none = told(true, Some("hokuto-1/n-09"), json).unwrap_err();
        assert_eq!(none.code, ErrorCode::NotFound);
    }
}
