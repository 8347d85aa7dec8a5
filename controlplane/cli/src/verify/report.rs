//! What verification found, for people in two languages and for programs as data.

use super::fixes::JudgedFix;
use super::lost::{Begun, Lost};
use crate::language::{Text, pick};
use sekisho_evidence::audit_bundle::AuditBundleHead;
use sekisho_evidence::checkpoint::VerifiedCheckpoint;
use sekisho_types::error_code::Language;
use serde::Serialize;
use std::fmt;

/// Findings kept for each step: enough to see the pattern, bounded on a log that is wrong throughout.
pub const FINDINGS_MAX: usize = 20;

/// A step of verification, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The file is whole.
    File,
    /// The genesis stands and is the expected one.
    Trust,
    /// Every record is in its one form.
    Records,
    /// k operators signed exactly these records.
    Head,
    /// D1: every grant, judged again.
    Residency,
    /// Q1: no charge above its limit.
    Quota,
    /// P2: fencing epochs and desired sets.
    Fencing,
    /// P1: no device granted twice.
    Capacity,
    /// The state machine gives the same records.
    Replay,
    /// The state machine gives the image of a snapshot.
    Image,
    /// A1: what was exported earlier is a prefix, or was lost when an incarnation was opened.
    Earlier,
}

impl Step {
    /// Those of a snapshot file, in order.
    pub const SNAPSHOT: [Self; 5] =
        [Self::File, Self::Trust, Self::Records, Self::Head, Self::Image];

    /// Those of an audit bundle, in order.
    pub const BUNDLE: [Self; 9] = [
        Self::File,
        Self::Trust,
        Self::Records,
        Self::Head,
        Self::Residency,
        Self::Quota,
        Self::Fencing,
        Self::Capacity,
        Self::Replay,
    ];

    fn text(self) -> Text {
        match self {
            Self::File => Text::new("the file is whole (bytes)", "ファイルは完全 (バイト)"),
            Self::Trust => Text::new(
                "genesis signed by every operator (operators)",
                "創設文書は全事業者が署名 (事業者数)",
            ),
            Self::Records => {
                Text::new("records in their one form (records)", "記録は唯一の正規形 (記録数)")
            }
            Self::Head => Text::new(
                "head signed over exactly these records (operators)",
                "この記録群への署名 (事業者数)",
            ),
            Self::Residency => {
                Text::new("D1 placed inside its policy (grants)", "D1 ポリシー内への配置 (許可数)")
            }
            Self::Quota => {
                Text::new("Q1 never above quota (charges)", "Q1 割当枠の超過なし (課金数)")
            }
            Self::Fencing => {
                Text::new("P2 fencing and desired sets (sets)", "P2 世代管理と目標集合 (集合数)")
            }
            Self::Capacity => Text::new(
                "P1 no device granted twice (grants)",
                "P1 デバイスの二重許可なし (許可数)",
            ),
            Self::Replay => Text::new(
                "replayed to the same records (entries)",
                "再実行で同一の記録 (エントリー数)",
            ),
            Self::Earlier => Text::new(
                "A1 the earlier bundle is a prefix, but for what was lost (records)",
                "A1 以前のファイルは、失われた分を除き先頭部分と一致 (記録数)",
            ),
            Self::Image => Text::new(
                "the records give this image (entries)",
                "記録から同一の内容を再現 (エントリー数)",
            ),
        }
    }
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Result {
    /// Which.
    pub step: Step,
    /// `passed`, `failed` or `not_checked`.
    pub verdict: Verdict,
    /// Things checked, in the unit of the step.
    pub checked: u64,
    /// What is wrong, at most [`FINDINGS_MAX`].
    pub findings: Vec<String>,
    /// How much is wrong in all.
    pub violations: u64,
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Good.
    Passed,
    /// At least one violation.
    Failed,
    /// An earlier step failed.
    NotChecked,
}

/// What the bundle says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Federation.
    pub cluster: String,
    /// Which life of it.
    pub incarnation: u64,
    /// Records.
    pub records: u64,
    /// SHA-256 of the endorser bundle in the genesis: compare it with what your operators published.
    pub fingerprint: String,
    /// Operators whose signatures under the head verified.
    pub signed_by: Vec<String>,
    /// State clock of the head.
    pub time: String,
    /// Made by `sekisho dev`: one person may have signed for all.
    pub dev: bool,
    /// Every new beginning that the log tells of.
    pub openings: Vec<Begun>,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// About what.
    pub subject: Subject,
    /// Every step, in order.
    pub steps: Vec<Result>,
    /// Accepted commands of an earlier bundle that a new incarnation lost.
    pub lost: Vec<Lost>,
    /// Every fix that the log took, for who asks about places: `residency verify --bundle`.
    #[serde(skip)]
    pub fixes: Vec<JudgedFix>,
}

impl Default for Report {
    /// Of an audit bundle.
    fn default() -> Self {
        Self::over(&Step::BUNDLE)
    }
}

impl Report {
    /// Nothing checked yet of these steps.
    #[must_use]
    pub fn over(steps: &[Step]) -> Self {
        let step = |step| Result {
            step,
            verdict: Verdict::NotChecked,
            checked: 0,
            findings: Vec::new(),
            violations: 0,
        };
        let steps = steps.iter().copied().map(step).collect();
        Self { subject: Subject::default(), steps, lost: Vec::new(), fixes: Vec::new() }
    }

    /// One more step.
    pub fn also(&mut self, step: Step) {
        self.steps.extend(Self::over(&[step]).steps);
    }

    /// Whether a step failed.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.steps.iter().any(|result| result.verdict == Verdict::Failed)
    }

    fn step(&mut self, step: Step) -> Option<&mut Result> {
        self.steps.iter_mut().find(|result| result.step == step)
    }

    /// A step is good.
    pub fn passed(&mut self, step: Step, checked: usize) {
        if let Some(result) = self.step(step) {
            result.checked = u64::try_from(checked).unwrap_or(u64::MAX);
            if result.verdict == Verdict::NotChecked {
                result.verdict = Verdict::Passed;
            }
        }
    }

    /// A step found something wrong; it may find more.
    pub fn failed(&mut self, step: Step, what: impl fmt::Display) {
        if let Some(result) = self.step(step) {
            result.verdict = Verdict::Failed;
            result.violations = result.violations.saturating_add(1);
            if result.findings.len() < FINDINGS_MAX {
                result.findings.push(what.to_string());
            }
        }
    }

    /// Takes over what the file says about itself.
    pub fn describe(&mut self, head: &AuditBundleHead) {
        let genesis = &head.genesis.genesis;
        self.subject = Subject {
            cluster: head.cluster.to_string(),
            incarnation: head.incarnation.0,
            records: head.count,
            fingerprint: genesis.bundle.hash().map(|hash| hash.to_string()).unwrap_or_default(),
            dev: genesis.dev,
            ..Subject::default()
        };
    }

    /// Takes over who signed.
    pub fn signed_by(&mut self, signed: &VerifiedCheckpoint) {
        self.subject.signed_by = signed.operators.iter().map(ToString::to_string).collect();
        self.subject.time = signed.checkpoint.time.to_string();
    }

    /// Whether every step passed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|result| result.verdict == Verdict::Passed)
    }

    /// The report in plain language.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        let say = |en: &str, ja: &str| pick(language, en.to_owned(), ja.to_owned());
        let about = &self.subject;
        let mut lines = Vec::new();
        if !about.cluster.is_empty() {
            let (federation, life) = (say("federation", "連合"), say("incarnation", "世代"));
            lines.push(format!("{federation}: {} ({life} {})", about.cluster, about.incarnation));
            lines.push(format!("{}: {}", say("fingerprint", "指紋"), about.fingerprint));
            let signers = about.signed_by.join(", ");
            lines.push(format!("{}: {signers}  {}", say("signed by", "署名者"), about.time));
        }
        lines.extend(about.openings.iter().map(|begun| begun.line(language)));
        if about.dev {
            lines.push(say(
                "made by `sekisho dev`: one person may have signed for all operators",
                "`sekisho dev` による作成: 一人が全事業者を代表して署名している可能性があります",
            ));
        }
        if !self.lost.is_empty() {
            let count = self.lost.len();
            lines.push(pick(
                language,
                format!("commands that the new incarnation lost: {count}"),
                format!("新しい世代で失われた操作: {count} 件"),
            ));
        }
        for Lost { record, time, actor, command } in &self.lost {
            lines.push(format!("      {record}  {time}  {command}  {actor}"));
        }
        lines.extend(self.verdicts(language));
        lines
    }

    /// Step by step, and the verdict over all.
    #[must_use]
    pub fn verdicts(&self, language: Language) -> Vec<String> {
        let say = |en: &str, ja: &str| pick(language, en.to_owned(), ja.to_owned());
        let mut lines = Vec::new();
        for result in &self.steps {
            let mark = match result.verdict {
                Verdict::Passed => say("good", "適合"),
                Verdict::Failed => say("BAD ", "違反"),
                Verdict::NotChecked => say("-   ", "未検"),
            };
            lines.push(format!("{mark}  {}: {}", result.step.text().of(language), result.checked));
            lines.extend(result.findings.iter().map(|finding| format!("      {finding}")));
            let kept = u64::try_from(result.findings.len()).unwrap_or(u64::MAX);
            let more = result.violations.saturating_sub(kept);
            if more > 0 {
                lines.push(pick(
                    language,
                    format!("      and {more} more"),
                    format!("      ほか {more} 件"),
                ));
            }
        }
        lines.push(if self.is_good() {
            say("verified: every check passed", "検証成功: すべての検査に適合しました")
        } else {
            say(
                "NOT VERIFIED: do not rely on this file",
                "検証失敗: このファイルを信頼しないでください",
            )
        });
        lines
    }
}
