//! What stands about an error code beside its sentence and its remedy: who meets it and when, and what to do, step by
//! step. Shown by `sekisho error show`; the pages in `docs/error-codes` are made of it (`SEKISHO_GOLDEN=write`).
//!
//! Must hold: every code has exactly one page, in both languages, and a page names only commands that exist. It lives
//! here and not beside the table, because only this program shows it: no server carries it.

use crate::exit::Exit;
use sekisho_proto::status::grpc;
use sekisho_types::error_code::{ErrorCode, Kind, Text};

/// Pages of one subject.
macro_rules! pages {
    ($($code:ident: met $en:literal $ja:literal; $(step $step_en:literal $step_ja:literal;)+ said $said:literal;)+) => {
        pub(super) const PAGES: &[super::Page] = &[$(super::Page {
            code: sekisho_types::error_code::ErrorCode::$code,
            met: sekisho_types::error_code::Text::new($en, $ja),
            steps: &[$(sekisho_types::error_code::Text::new($step_en, $step_ja)),+],
            said: $said,
        }),+];
    };
}

mod access;
mod audit;
mod charge;
mod device;
mod grant;
mod node;
mod payload;
mod people;
mod placement;
mod power;
mod request;
mod service;
mod start;
mod topology;

/// Where the pages are, from the top of the source.
const DIRECTORY: &str = "docs/error-codes";

/// The pages, subject by subject.
const SUBJECTS: [&[Page]; 14] = [
    placement::PAGES,
    device::PAGES,
    start::PAGES,
    charge::PAGES,
    topology::PAGES,
    power::PAGES,
    request::PAGES,
    access::PAGES,
    people::PAGES,
    node::PAGES,
    grant::PAGES,
    payload::PAGES,
    audit::PAGES,
    service::PAGES,
];

/// What stands about one code.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The code.
    pub code: ErrorCode,
    /// Who meets it, and when: calls and commands.
    pub met: Text,
    /// What to do, in this order.
    pub steps: &'static [Text],
    /// The words behind the code's sentence in an example.
    pub said: &'static str,
}

impl Page {
    /// The page of a code.
    #[must_use]
    pub fn of(code: ErrorCode) -> Option<&'static Self> {
        SUBJECTS.iter().flat_map(|pages| pages.iter()).find(|page| page.code == code)
    }

    /// Where the page is, from the top of the source.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{DIRECTORY}/{}.md", self.code)
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::of(self.code)
    }

    /// The gRPC code as it stands in its specification: `NOT_FOUND`.
    #[must_use]
    pub fn grpc(&self) -> String {
        let mut name = String::new();
        for letter in format!("{:?}", grpc(self.code)).chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    /// What kind of refusal it is.
    #[must_use]
    pub fn kind(&self) -> Text {
        match self.code.kind() {
            Kind::Never => Text::new("can never be done as asked", "このままでは実現できません"),
            Kind::NotYet => Text::new("cannot be done now", "現在は実現できません"),
            Kind::Invalid => Text::new("the request is malformed", "リクエストに誤りがあります"),
            Kind::NotFound => Text::new(
                "does not exist, or must not be known to",
                "存在しない、または存在を知る権限がありません",
            ),
            Kind::Conflict => Text::new("somebody else was first", "ほかの操作が先に行われました"),
            Kind::Precondition => {
                Text::new("the state does not allow it", "現在の状態では許可されません")
            }
            Kind::Auth => Text::new("who asks does not suffice", "呼び出し元の権限が足りません"),
            Kind::Unavailable => Text::new("not reachable now", "現在は応答できません"),
            Kind::Unknown => Text::new("the outcome is not known", "結果が不明です"),
            Kind::Internal => Text::new("a fault of ours", "Sekisho側の障害です"),
        }
    }

    /// Whether repeating the same helps.
    #[must_use]
    pub fn repeating(&self) -> Text {
        match self.code.kind() {
            Kind::Never | Kind::Invalid | Kind::Precondition | Kind::Auth | Kind::NotFound => {
                Text::new("does not help", "再試行しても解決しません")
            }
            Kind::Conflict => {
                Text::new("does not help before it was read again", "読み直すまでは解決しません")
            }
            Kind::NotYet => Text::new("helps later", "時間をおくと成功する可能性があります"),
            Kind::Unavailable | Kind::Unknown => {
                Text::new("helps, with the same request id", "同じリクエストIDでの再試行が有効です")
            }
            Kind::Internal => {
                Text::new("only after a look at what was done", "結果を確認した後に限ります")
            }
        }
    }

    /// What the failed call changed.
    #[must_use]
    pub fn changed(&self) -> Text {
        let unknown = self.code == ErrorCode::Deadline
            || matches!(self.code.kind(), Kind::Unknown | Kind::Internal);
        if unknown { Text::new("unknown", "不明") } else { Text::new("nothing", "なし") }
    }
}

#[cfg(test)]
mod tests;
