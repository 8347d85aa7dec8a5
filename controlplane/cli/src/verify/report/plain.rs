//! The report in plain language, for a reader who is no engineer.
//!
//! Must hold: what a log does not prove always stands there, whatever the verdict; every line fits the width but for single
//! words that are longer; the last line is the verdict.

use super::{Finding, Report, Result, Verdict};
use crate::language::{Text, pick};
use crate::output::broken;
use crate::verify::census::Counts;
use crate::verify::lost::Lost;
use sekisho_types::error_code::Language;
use sekisho_types::jurisdiction::Area;

/// Widest text: longer lines are hard to read.
const WIDTH_MAX: usize = 100;

/// What no log of this kind proves, as programs are told it.
pub(super) const NOT_PROVEN: &[&str] = &[
    "place_beyond_the_tier",
    "what_jobs_did",
    "hardware_and_hosts",
    "unwritten_denials",
    "after_the_head",
    "collusion_of_k_operators",
    "wall_clock",
];

/// The same for people, in the same order.
const NOT_PROVEN_TEXT: [Text; 7] = [
    Text::new(
        "That a host stands where its company says. A placement under tier T1 rests on that company's signed word; only T2 and \
         above were measured.",
        "ホストが事業者の申告どおりの場所にあること。T1 の配置は事業者の署名による申告に基づきます。測定によるのは T2 以上だけです。",
    ),
    Text::new(
        "What a job did while it ran, and which data it sent over its own connections.",
        "実行中のジョブが何をしたか、またジョブ自身の通信でどのデータを送ったか。",
    ),
    Text::new(
        "That the GPUs, the hosts and the programs on them are what they say they are.",
        "GPU やホスト、その上のプログラムが申告どおりのものであること。",
    ),
    Text::new(
        "That a controller wrote down every request that it turned away. What is in its book is whole; what it kept out of it, \
         nobody learns.",
        "コントローラーが拒否した要求をすべて書き留めたこと。日誌にある内容は完全ですが、書かれなかったものは誰にも分かりません。",
    ),
    Text::new(
        "Anything after the last record, and that other people are shown the same log. Keep this file and compare it with the next \
         one, and with the files of other auditors.",
        "最後の記録より後のこと、また他の人にも同じログが示されていること。このファイルを保管し、次回のファイルや他の監査人のファイルと比べてください。",
    ),
    Text::new(
        "That the companies did not agree among themselves, as many as have to sign, to write another history before you first kept \
         a head of it.",
        "署名に必要な数の事業者が示し合わせ、あなたが最初のヘッドを保管する前に別の履歴を書いていないこと。",
    ),
    Text::new(
        "The exact time. Times are those of the controllers' clocks, which check one another to some seconds.",
        "正確な時刻。時刻はコントローラーの時計によるもので、互いに数秒の範囲で確認し合っています。",
    ),
];

/// Writes lines of a width in a language.
struct Page {
    language: Language,
    width: usize,
    lines: Vec<String>,
}

impl Page {
    fn say(&self, en: &str, ja: &str) -> String {
        pick(self.language, en.to_owned(), ja.to_owned())
    }

    /// Text after `mark`, wrapped, with what follows under it.
    fn put(&mut self, mark: &str, text: &str) {
        use unicode_width::UnicodeWidthStr as _;
        let indent = mark.width();
        for (n, part) in broken(text, self.width.saturating_sub(indent)).into_iter().enumerate() {
            let before = if n == 0 { mark.to_owned() } else { " ".repeat(indent) };
            self.lines.push(format!("{before}{part}").trim_end().to_owned());
        }
    }

    fn head(&mut self, en: &str, ja: &str) {
        let text = self.say(en, ja);
        self.lines.push(String::new());
        self.lines.push(text);
    }

    fn pair(&mut self, label: Text, value: &str) {
        let value = if value.is_empty() { "-" } else { value };
        let label = label.of(self.language);
        self.put("  ", &format!("{label}: {value}"));
    }

    fn counts(&mut self, label: Text, counts: &Counts, name: impl Fn(&str) -> String) {
        if !counts.is_empty() {
            let each = counts.iter().map(|(key, count)| format!("{} {count}", name(key)));
            let each = each.collect::<Vec<_>>().join(", ");
            self.pair(label, &each);
        }
    }
}

impl Report {
    /// The report in plain language, in lines of at most `width` columns.
    #[must_use]
    pub fn lines(&self, language: Language, width: u16) -> Vec<String> {
        let width = usize::from(width).min(WIDTH_MAX);
        let mut page = Page { language, width, lines: Vec::new() };
        let title = page.say("AUDIT REPORT", "監査報告書");
        page.put("", &title);
        self.verdict(&mut page);
        self.about(&mut page);
        page.head("What was checked, and what it means", "検査の内容と意味");
        self.checks(&mut page);
        self.happened(&mut page);
        self.not_proven(&mut page);
        self.next(&mut page);
        page.lines.push(String::new());
        self.verdict(&mut page);
        page.lines
    }

    /// Step by step, and the verdict over all.
    #[must_use]
    pub fn verdicts(&self, language: Language, width: u16) -> Vec<String> {
        let width = usize::from(width).min(WIDTH_MAX);
        let mut page = Page { language, width, lines: Vec::new() };
        self.checks(&mut page);
        self.verdict(&mut page);
        page.lines
    }

    fn verdict(&self, page: &mut Page) {
        let text = if !self.is_good() {
            page.say(
                "NOT VERIFIED: do not rely on this file",
                "検証失敗: このファイルを信頼しないでください",
            )
        } else if self.is_complete() {
            page.say("verified: every check passed", "検証成功: すべての検査に適合しました")
        } else {
            page.say(
                "verified: what could be checked passed; something is missing, see \"not checked\"",
                "検証成功: 検査できた項目はすべて適合しました。不足があります (「未検」を参照)",
            )
        };
        page.put("", &text);
    }

    fn about(&self, page: &mut Page) {
        let about = &self.subject;
        if about.cluster.is_empty() {
            return;
        }
        page.head("What was examined", "検査の対象");
        let life = page.say("incarnation", "世代");
        let federation = format!("{} ({life} {})", about.cluster, about.incarnation);
        page.pair(Text::new("federation", "連合"), &federation);
        page.pair(Text::new("fingerprint", "指紋"), &about.fingerprint);
        if !about.from.is_empty() {
            let period = format!("{} - {}", about.from, about.to);
            page.pair(Text::new("period", "期間"), &period);
        }
        page.pair(Text::new("records", "記録数"), &about.records.to_string());
        if !about.operators.is_empty() {
            page.pair(Text::new("companies", "事業者"), &about.operators.join(", "));
        }
        if !about.signed_by.is_empty() {
            let by = format!("{} ({})", about.signed_by.join(", "), about.time);
            page.pair(Text::new("signed by", "署名者"), &by);
            let needed = about.k.to_string();
            page.pair(Text::new("signatures needed", "必要な署名数"), &needed);
            page.pair(Text::new("head", "ヘッド"), &about.root);
        }
        for begun in &about.openings {
            page.put("  ", &begun.line(page.language));
        }
        for glass in &about.break_glasses {
            for line in glass.lines(page.language) {
                page.put("  ", &line);
            }
        }
        if about.dev {
            let text = page.say(
                "made by `sekisho dev`: one person may have signed for all operators",
                "`sekisho dev` による作成: 一人が全事業者を代表して署名している可能性があります",
            );
            page.put("  ", &text);
        }
    }

    fn checks(&self, page: &mut Page) {
        for result in &self.steps {
            let mark = match result.verdict {
                Verdict::Passed => page.say("good  ", "適合  "),
                Verdict::Failed => page.say("BAD   ", "違反  "),
                Verdict::NotChecked => page.say("-     ", "未検  "),
            };
            let name = result.step.name().of(page.language);
            let not = if result.verdict == Verdict::NotChecked {
                page.say("not checked", "未検査")
            } else {
                result.checked.to_string()
            };
            page.put(&mark, &format!("{name}: {not}"));
            if result.verdict == Verdict::Passed {
                page.put("      ", result.step.meaning().of(page.language));
            }
            // Without missing members it was an earlier step that stood in the way.
            let missing = !self.counts.missing_members.is_empty();
            if let Some(why) = result.step.left_out()
                && result.verdict == Verdict::NotChecked
                && missing
            {
                page.put("      ", why.of(page.language));
            }
            findings(page, result);
        }
    }

    fn happened(&self, page: &mut Page) {
        let counts = &self.counts;
        if counts.entries == 0 {
            return;
        }
        page.head("What happened", "出来事");
        let same = str::to_owned;
        let place = |code: &str| Area::resolve(code).map_or_else(|_| code.to_owned(), Area::label);
        page.pair(Text::new("commands", "操作"), &counts.entries.to_string());
        page.pair(Text::new("placements", "配置"), &counts.placements.to_string());
        let by = &counts.placements_by_prefecture;
        page.counts(Text::new("by prefecture", "都道府県別"), by, place);
        let by = &counts.placements_by_operator;
        page.counts(Text::new("by company", "事業者別"), by, same);
        page.counts(Text::new("by customer", "利用者別"), &counts.placements_by_tenant, same);
        page.counts(Text::new("rejected", "却下"), &counts.rejections, same);
        page.counts(Text::new("refused by hosts", "ホストによる拒否"), &counts.refusals, same);
        page.counts(Text::new("taken away", "取消・除外"), &counts.revocations, same);
        page.counts(Text::new("turned away", "要求の拒否"), &counts.denials_by_member, same);
        page.counts(Text::new("turned away for", "拒否の理由"), &counts.denials_by_code, same);
        for (member, why) in &counts.missing_members {
            let value = format!("{member}: {why}");
            page.pair(Text::new("journal missing", "日誌なし"), &value);
        }
        for sum in &self.quotas {
            let value = page.say("own quota", "自身の割当枠");
            let most = page.say("most at once", "同時最大");
            let now = page.say("at the end", "終了時");
            let value = format!(
                "{} {}, {}: {value} {}, {most} {}, {now} {}",
                sum.tenant,
                sum.class,
                place(&sum.area),
                sum.limit,
                sum.peak,
                sum.charged
            );
            page.pair(Text::new("GPUs", "GPU"), &value);
        }
        self.told_lost(page);
    }

    fn told_lost(&self, page: &mut Page) {
        if self.lost.is_empty() {
            return;
        }
        let count = self.lost.len();
        let text = pick(
            page.language,
            format!("commands that the new incarnation lost: {count}"),
            format!("新しい世代で失われた操作: {count} 件"),
        );
        page.put("  ", &text);
        for Lost { record, time, actor, command } in &self.lost {
            page.lines.push(format!("      {record}  {time}  {command}  {actor}"));
        }
    }

    fn not_proven(&self, page: &mut Page) {
        page.head("What this log does not prove", "このログが証明しないこと");
        for text in NOT_PROVEN_TEXT {
            page.put("  - ", text.of(page.language));
        }
    }

    fn next(&self, page: &mut Page) {
        page.head("What to do next", "次にすること");
        for text in self.advice() {
            page.put("  - ", text.of(page.language));
        }
    }

    fn advice(&self) -> Vec<Text> {
        if !self.is_good() {
            return vec![
                Text::new(
                    "Keep this file as it is, and do not act on what it says.",
                    "このファイルをそのまま保管し、内容に基づく判断をしないでください。",
                ),
                Text::new(
                    "Export again from a controller of another company, and verify that file. A damaged transfer fails at the \
                     first check; anything behind it is for the companies and the regulator to explain.",
                    "別の事業者のコントローラーから改めて書き出し、検証してください。転送中の破損なら最初の検査で分かります。それ以降の違反は、事業者と監督機関による説明が必要です。",
                ),
            ];
        }
        let mut advice = Vec::new();
        if !self.subject.trusted {
            advice.push(Text::new(
                "Compare the fingerprint above, by voice, with at least two of the companies, or with what they published; or pass \
                 --genesis FILE.",
                "上記の指紋を、少なくとも 2 社に電話などで確認するか、公表値と照合してください。または --genesis FILE を指定してください。",
            ));
        }
        if self.steps.iter().any(|result| !result.notes.is_empty()) {
            advice.push(Text::new(
                "Ask the companies about each line marked \"look\".",
                "「要確認」の各行について、事業者に説明を求めてください。",
            ));
        }
        if !self.counts.missing_members.is_empty() {
            advice.push(Text::new(
                "Export again when the controllers answer whose journals are missing.",
                "日誌のないコントローラーが応答するようになったら、改めて書き出してください。",
            ));
        }
        advice.push(Text::new(
            "Keep this file. Next time: sekisho audit verify NEW --earlier THIS.",
            "このファイルを保管してください。次回は sekisho audit verify 新 --earlier 旧 で検証します。",
        ));
        advice
    }
}

fn findings(page: &mut Page, result: &Result) {
    for finding in &result.findings {
        page.put("      ", &finding.to_string());
    }
    let kept = u64::try_from(result.findings.len()).unwrap_or(u64::MAX);
    let more = result.violations.saturating_sub(kept);
    if more > 0 {
        let text = pick(page.language, format!("and {more} more"), format!("ほか {more} 件"));
        page.put("      ", &text);
    }
    for Finding { record, detail, .. } in &result.notes {
        let at = record.map(|record| format!("record {record}: ")).unwrap_or_default();
        let look = page.say("look: ", "要確認: ");
        page.put("      ", &format!("{look}{at}{detail}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::report::Step;

    #[test]
    fn what_is_not_proven_is_told_to_people_and_programs_alike() {
        assert_eq!(NOT_PROVEN.len(), NOT_PROVEN_TEXT.len());
        for (language, words) in [
            (Language::En, "What this log does not prove"),
            (Language::Ja, "このログが証明しないこと"),
        ] {
            let bad = Report::over(&[Step::File]).lines(language, 80).join("\n");
            assert!(bad.contains(words), "{bad}");
        }
    }
}
