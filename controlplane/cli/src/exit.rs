//! Exit codes: what a script can tell apart without reading text (design, section 11).
//!
//! Must hold: the numbers are a promise and never move; every error code has exactly one of them.

use crate::language::{Text, pick};
use crate::output::broken;
use sekisho_types::error_code::{ErrorCode, Kind, Language};
use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `job plan`: would be placed now.
    Ok = 0,
    /// Failed for a reason that no other code names.
    Error = 1,
    /// The command line, a file or a field is wrong.
    Usage = 2,
    /// No such resource.
    NotFound = 3,
    /// Not who may do this.
    Auth = 4,
    /// Somebody else was first.
    Conflict = 5,
    /// Quota or another precondition does not hold.
    Precondition = 6,
    /// No leader, or no member answered.
    NoLeader = 7,
    /// No answer in time; with a request id, the outcome may be unknown.
    Timeout = 8,
    /// `job plan`: would wait.
    WouldWait = 10,
    /// `job plan`: can never be placed as asked.
    Never = 11,
    /// Ctrl-C ended the looking on, and nothing else.
    Interrupted = 130,
}

impl Exit {
    /// Every exit.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Error,
        Self::Usage,
        Self::NotFound,
        Self::Auth,
        Self::Conflict,
        Self::Precondition,
        Self::NoLeader,
        Self::Timeout,
        Self::WouldWait,
        Self::Never,
        Self::Interrupted,
    ];

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> Text {
        match self {
            Self::Ok => Text::new(
                "done; `job plan`: would be placed now; also when the reader of the output left",
                "完了。`job plan`: 今すぐ配置可能。出力先が閉じられた場合も同じ",
            ),
            Self::Error => Text::new(
                "failed for a reason that no other code names; a check found something",
                "他の番号に当たらない理由で失敗。または検査で問題を発見",
            ),
            Self::Usage => Text::new(
                "the command line, a file or a field is wrong",
                "コマンドライン、ファイル、項目のいずれかが誤り",
            ),
            Self::NotFound => Text::new(
                "there is no such resource, or not for you",
                "対象が存在しないか、参照する権限がない",
            ),
            Self::Auth => Text::new("you are not who may do this", "実行する権限がない"),
            Self::Conflict => Text::new("somebody else was first", "他の変更が先に行われた"),
            Self::Precondition => Text::new(
                "quota or another precondition does not hold",
                "クォータなどの前提条件を満たさない",
            ),
            Self::NoLeader => Text::new(
                "no leader, or no member answered",
                "リーダーがいないか、応答するメンバーがない",
            ),
            Self::Timeout => Text::new(
                "no answer in time; of a change the outcome is unknown: repeat it with its --request-id",
                "時間内に応答なし。変更の結果は不明: 同じ --request-id で再実行する",
            ),
            Self::WouldWait => {
                Text::new("`job plan`: the job would wait", "`job plan`: 待機になる")
            }
            Self::Never => Text::new(
                "`job plan`: the job can never be placed as asked",
                "`job plan`: この条件では配置できない",
            ),
            Self::Interrupted => Text::new(
                "Ctrl-C ended it; what was ordered before goes on",
                "Ctrl-C で終了。すでに指示した処理は継続する",
            ),
        }
    }

    /// The exit of an error code.
    #[must_use]
    pub fn of(code: ErrorCode) -> Self {
        // A deadline is of the kind that a retry may help, like a missing leader, but scripts wait on it apart.
        if code == ErrorCode::Deadline {
            return Self::Timeout;
        }
        match code.kind() {
            Kind::Invalid => Self::Usage,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::Auth => Self::Auth,
            Kind::Never | Kind::NotYet | Kind::Precondition => Self::Precondition,
            Kind::Unavailable => Self::NoLeader,
            Kind::Unknown => Self::Timeout,
            Kind::Internal => Self::Error,
        }
    }
}

/// The page `sekisho help exit-codes`.
pub(crate) fn page(language: Language, width: usize) -> String {
    /// Columns of a number with the gap behind it.
    const NUMBER: usize = 5;
    let title = pick(
        language,
        "Exit codes, for scripts: they never change.",
        "終了コード(変更されません):",
    );
    let mut text = format!("{title}\n\n");
    for exit in Exit::ALL {
        let mut head = format!("{:>3}  ", exit as u8);
        for part in broken(exit.meaning().of(language), width.saturating_sub(NUMBER)) {
            text.push_str(&format!("{head}{part}\n"));
            head = " ".repeat(NUMBER);
        }
    }
    text
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_documentation() {
        let all = [
            (Exit::Ok, 0),
            (Exit::Error, 1),
            (Exit::Usage, 2),
            (Exit::NotFound, 3),
            (Exit::Auth, 4),
            (Exit::Conflict, 5),
            (Exit::Precondition, 6),
            (Exit::NoLeader, 7),
            (Exit::Timeout, 8),
            (Exit::WouldWait, 10),
            (Exit::Never, 11),
            (Exit::Interrupted, 130),
        ];
        for (exit, number) in all {
            assert_eq!(exit as u8, number);
        }
    }

    #[test]
    fn every_error_code_fails_and_the_known_ones_as_documented() {
        for code in ErrorCode::ALL {
            assert!((1..=8).contains(&(Exit::of(*code) as u8)), "{code}");
        }
        let table = [
            (ErrorCode::NotFound, Exit::NotFound),
            (ErrorCode::PermissionDenied, Exit::Auth),
            (ErrorCode::SignaturesMissing, Exit::Auth),
            (ErrorCode::RevisionMismatch, Exit::Conflict),
            (ErrorCode::QuotaExceeded, Exit::Precondition),
            (ErrorCode::QuotaNone, Exit::Precondition),
            (ErrorCode::OfferNone, Exit::Precondition),
            (ErrorCode::OfferFull, Exit::Precondition),
            (ErrorCode::OfferVetoed, Exit::Precondition),
            (ErrorCode::OfferReserved, Exit::Precondition),
            (ErrorCode::ReservationNoRoom, Exit::Precondition),
            (ErrorCode::ReservationFull, Exit::Precondition),
            (ErrorCode::ReservationPast, Exit::Usage),
            (ErrorCode::BudgetExhausted, Exit::Precondition),
            (ErrorCode::BudgetTooSmall, Exit::Precondition),
            (ErrorCode::TopologyNone, Exit::Precondition),
            (ErrorCode::TopologyUnmet, Exit::Precondition),
            (ErrorCode::TopologyApart, Exit::Precondition),
            (ErrorCode::PowerFull, Exit::Precondition),
            (ErrorCode::PowerTooSmall, Exit::Precondition),
            (ErrorCode::QuotaContradicts, Exit::Usage),
            (ErrorCode::TenantTree, Exit::Usage),
            (ErrorCode::BudgetPast, Exit::Usage),
            (ErrorCode::DependencyUnknown, Exit::Usage),
            (ErrorCode::DependencyNever, Exit::Precondition),
            (ErrorCode::DeadlinePast, Exit::Precondition),
            (ErrorCode::SpecUnknownField, Exit::Usage),
            (ErrorCode::NoLeader, Exit::NoLeader),
            (ErrorCode::Deadline, Exit::Timeout),
            (ErrorCode::OutcomeUnknown, Exit::Timeout),
            (ErrorCode::Internal, Exit::Error),
        ];
        for (code, exit) in table {
            assert_eq!(Exit::of(code), exit, "{code}");
        }
    }
}
