//! The steps of verification, in order: their codes, their names, and what each means to a reader who is no engineer.

use crate::language::Text;
use serde::Serialize;

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
    /// A head that the auditor kept is one of this log's.
    Seen,
    /// Every head that an agent saw is one of this log's.
    Countersigned,
    /// D1: every grant, judged again.
    Residency,
    /// Q1: no charge above quota, hard budget or offer, and none against a veto.
    Quota,
    /// P2: fencing epochs and desired sets.
    Fencing,
    /// P1: no device granted twice.
    Capacity,
    /// A3: what two operators have to sign, and what a break-glass allowed.
    Access,
    /// D4: agents' refusals are their own word.
    Receipts,
    /// The state machine gives the same records.
    Replay,
    /// A2: members' journals of denials.
    Denials,
    /// Nobody holds evidence of two histories.
    Forks,
    /// The state machine gives the image of a snapshot.
    Image,
    /// A1: what was exported earlier is a prefix, or was lost when an incarnation was opened.
    Earlier,
    /// One record is in the log.
    Inclusion,
}

impl Step {
    /// Those of a snapshot file, in order.
    pub const SNAPSHOT: [Self; 5] =
        [Self::File, Self::Trust, Self::Records, Self::Head, Self::Image];

    /// Those of an audit bundle, in order.
    pub const BUNDLE: [Self; 14] = [
        Self::File,
        Self::Trust,
        Self::Records,
        Self::Head,
        Self::Countersigned,
        Self::Residency,
        Self::Quota,
        Self::Fencing,
        Self::Capacity,
        Self::Access,
        Self::Receipts,
        Self::Replay,
        Self::Denials,
        Self::Forks,
    ];

    /// Those of the proof of one record, in order.
    pub const PROOF: [Self; 4] = [Self::File, Self::Trust, Self::Head, Self::Inclusion];

    /// Of its findings. Never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::File => "FILE_DAMAGED",
            Self::Trust => "TRUST_UNKNOWN",
            Self::Records => "RECORD_MALFORMED",
            Self::Head => "HEAD_NOT_SIGNED",
            Self::Seen => "HEAD_NOT_A_PREFIX",
            Self::Countersigned => "HEAD_SHOWN_ELSEWHERE",
            Self::Residency => "D1_OUTSIDE_RULES",
            Self::Quota => "Q1_OVER_QUOTA",
            Self::Fencing => "P2_NOT_FENCED",
            Self::Capacity => "P1_GRANTED_TWICE",
            Self::Access => "A3_NOT_ALLOWED",
            Self::Receipts => "RECEIPT_INVALID",
            Self::Replay => "RECORD_NOT_DERIVED",
            Self::Denials => "JOURNAL_ALTERED",
            Self::Forks => "LOG_FORKED",
            Self::Image => "IMAGE_NOT_DERIVED",
            Self::Earlier => "EARLIER_NOT_A_PREFIX",
            Self::Inclusion => "RECORD_NOT_INCLUDED",
        }
    }

    /// Whether a report may be good without it: it needs what a member may not have told.
    #[must_use]
    pub const fn may_be_left_out(self) -> bool {
        matches!(self, Self::Denials | Self::Forks)
    }

    /// Why it could not be done where members told nothing of themselves.
    pub(super) const fn left_out(self) -> Option<Text> {
        if self.may_be_left_out() {
            return Some(Text::new(
                "not every controller told what it keeps",
                "保管内容を示していないコントローラーがあります",
            ));
        }
        None
    }

    /// Its name, with what it counts.
    pub(super) const fn name(self) -> Text {
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
            Self::Seen => Text::new(
                "the heads that you kept are of this log (heads)",
                "保管していたヘッドはこのログのもの (ヘッド数)",
            ),
            Self::Countersigned => Text::new(
                "hosts were shown this same log (countersignatures)",
                "ホストも同じログを見た (副署数)",
            ),
            Self::Residency => {
                Text::new("D1 placed inside the rules (grants)", "D1 規則内への配置 (許可数)")
            }
            Self::Quota => Text::new(
                "Q1 never above quota, budget or offer (charges)",
                "Q1 割当枠・予算・提供の超過なし (課金数)",
            ),
            Self::Fencing => {
                Text::new("P2 fencing and desired sets (sets)", "P2 世代管理と目標集合 (集合数)")
            }
            Self::Capacity => Text::new(
                "P1 no device granted twice (grants)",
                "P1 デバイスの二重許可なし (許可数)",
            ),
            Self::Access => Text::new(
                "A3 approvals and break-glasses within their bounds (records)",
                "A3 承認と緊急権限は範囲内 (記録数)",
            ),
            Self::Receipts => Text::new(
                "D4 refusals are the hosts' own word (receipts)",
                "D4 拒否はホスト自身の署名 (受領書数)",
            ),
            Self::Replay => Text::new(
                "replayed to the same records (entries)",
                "再実行で同一の記録 (エントリー数)",
            ),
            Self::Denials => Text::new(
                "A2 journals of denials are whole (entries)",
                "A2 拒否日誌は完全 (項目数)",
            ),
            Self::Forks => {
                Text::new("no evidence of a second history (pieces)", "別の履歴の証拠なし (証拠数)")
            }
            Self::Earlier => Text::new(
                "A1 the earlier bundle is a prefix, but for what was lost (records)",
                "A1 以前のファイルは、失われた分を除き先頭部分と一致 (記録数)",
            ),
            Self::Image => Text::new(
                "the records give this image (entries)",
                "記録から同一の内容を再現 (エントリー数)",
            ),
            Self::Inclusion => Text::new(
                "the record is in the signed log (records)",
                "記録は署名されたログの一部 (記録数)",
            ),
        }
    }

    /// What it means.
    #[expect(clippy::too_many_lines, reason = "one text for each step, and nothing else")]
    pub(super) const fn meaning(self) -> Text {
        match self {
            Self::File => Text::new(
                "The file arrived as it was written.",
                "ファイルは書き出されたときのまま届いています。",
            ),
            Self::Trust => Text::new(
                "Every founding company signed the document that says whose signatures count. Whether it is the right document, the fingerprint tells.",
                "誰の署名が有効かを定めた文書に、創設時の全事業者が署名しています。正しい文書であるかどうかは指紋で確認します。",
            ),
            Self::Records => Text::new(
                "Each record can be read in one way only, and they stand in the order of time.",
                "各記録の読み方は一通りだけで、時刻の順に並んでいます。",
            ),
            Self::Head => Text::new(
                "Enough different companies signed for exactly these records: none was changed, added, left out or moved.",
                "必要な数の異なる事業者が、ちょうどこの記録群に署名しています。変更・追加・削除・並べ替えはありません。",
            ),
            Self::Seen => Text::new(
                "What you were shown before is still in the log, unchanged.",
                "以前に示された内容は、変更されずにログに残っています。",
            ),
            Self::Countersigned => Text::new(
                "The GPU hosts signed for what they were shown, and it was this log. Nobody showed them another one.",
                "GPU ホストは見せられた内容に署名しており、それはこのログでした。別のログを見せられたホストはありません。",
            ),
            Self::Residency => Text::new(
                "Each job was allowed to start only at a place that the rules of that moment permit. Judged again here, from the rules and the signed evidence of each place.",
                "各ジョブは、その時点の規則が認める場所でのみ開始を許可されました。規則と場所の署名済み証拠から、ここで改めて判定しました。",
            ),
            Self::Quota => Text::new(
                "No customer was given more GPUs than was agreed, or more than its budget, and no company more work than it \
                 offered to take. Summed up again here.",
                "どの利用者にも、合意した数や予算を超える GPU は割り当てられていません。どの事業者にも、提供した範囲を超える作業は割り当てられていません。ここで改めて集計しました。",
            ),
            Self::Fencing => Text::new(
                "Each permission was made out to one host that was in good standing, and old permissions cannot come back.",
                "各許可は有効な 1 台のホストに宛てられており、古い許可が再び使われることはありません。",
            ),
            Self::Capacity => Text::new(
                "No GPU was promised to two jobs at once.",
                "同じ GPU を同時に二つのジョブに割り当てたことはありません。",
            ),
            Self::Access => Text::new(
                "What takes two companies was signed by two, in time. Whoever took the emergency right used it only while \
                 it was open; each use is listed.",
                "2社の同意を要する変更には、期限内に2社の署名があります。緊急権限は有効な間だけ使われ、各実行は一覧に示されています。",
            ),
            Self::Receipts => Text::new(
                "Where a host refused a job, the refusal is signed by that host.",
                "ホストがジョブを拒否した記録には、そのホスト自身の署名があります。",
            ),
            Self::Replay => Text::new(
                "Every decision, made again on this machine, comes out the same. No record was made up.",
                "すべての決定をこのマシンで再実行し、同じ結果になりました。捏造された記録はありません。",
            ),
            Self::Denials => Text::new(
                "Each controller keeps its own book of the requests that it turned away; the books match what the log recorded of them.",
                "各コントローラーは拒否した要求を自身の日誌に記します。日誌はログに記録された内容と一致します。",
            ),
            Self::Forks => Text::new(
                "No controller holds proof that somebody signed two different histories.",
                "二つの異なる履歴への署名を示す証拠を持つコントローラーはありません。",
            ),
            Self::Earlier => Text::new(
                "The file of then is the beginning of the file of now.",
                "以前のファイルは、今回のファイルの先頭部分です。",
            ),
            Self::Image => Text::new(
                "The saved state is what the records lead to.",
                "保存された状態は、記録から得られるものです。",
            ),
            Self::Inclusion => Text::new(
                "This very record is one of those that the companies signed for.",
                "この記録は、事業者が署名した記録群の一つです。",
            ),
        }
    }
}
