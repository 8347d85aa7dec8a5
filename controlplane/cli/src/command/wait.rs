//! What something waits for that only a host or the end of a lease can give, in words.

use crate::app::App;
use crate::failure::Failure;
use crate::language::pick;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::wait::Cause;
use sekisho_types::error_code::Language;
use sekisho_types::id::NodeId;
use serde::Serialize;

/// A wait.
#[derive(Debug, Clone, Serialize)]
pub(super) struct WaitView {
    cause: &'static str,
    placement: String,
    node: String,
    for_ms: u64,
    left_ms: Option<u64>,
}

impl From<v1::Wait> for WaitView {
    fn from(wait: v1::Wait) -> Self {
        let cause = match wait.cause() {
            Cause::Unspecified => "unknown",
            Cause::Lease => "lease",
            Cause::Teardown => "teardown",
            Cause::Host => "host",
        };
        let v1::Wait { placement, node, for_ms, left_ms, .. } = wait;
        Self { cause, placement, node, for_ms, left_ms }
    }
}

/// Whole seconds, up: a bound must not be shown shorter than it is.
fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000)
}

/// `, at the latest in 14 s`.
fn bound(language: Language, left_ms: Option<u64>) -> String {
    left_ms.map_or_else(String::new, |left| {
        let left = seconds(left);
        pick(language, format!(", at the latest in {left} s"), format!("(遅くとも {left} 秒後)"))
    })
}

impl WaitView {
    /// For people.
    pub(super) fn words(&self, language: Language) -> String {
        let node =
            NodeId::from_name(&self.node).map_or_else(|| self.node.clone(), |id| id.to_string());
        let (since, placement) = (self.for_ms / 1000, &self.placement);
        let bound = bound(language, self.left_ms);
        match self.cause {
            "lease" => pick(
                language,
                format!("waits until the lease of {node} is over{bound}: not heard for {since} s"),
                format!("{node} のリースの終了を待っています{bound}: {since} 秒間応答なし"),
            ),
            "teardown" => pick(
                language,
                format!(
                    "waits until {node} confirms that {placement} is dead{bound}: stopping for {since} s"
                ),
                format!("{node} で {placement} の停止確認を待っています{bound}: 停止中 {since} 秒"),
            ),
            "host" => pick(
                language,
                format!(
                    "waits until {node} tells that {placement} has ended: no lease ends it, it runs to completion"
                ),
                format!(
                    "{node} からの {placement} の終了報告を待っています: リースによらず完了まで実行されます"
                ),
            ),
            _ => pick(language, format!("waits for {node}"), format!("{node} を待っています")),
        }
    }
}

/// How a node stands to the leader.
#[derive(Debug)]
pub(super) struct ContactView(pub(super) v1::Contact);

impl Serialize for ContactView {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            state: &'static str,
            silent_ms: u64,
            left_ms: Option<u64>,
            expiring: bool,
        }
        let state = match self.0.state() {
            v1::contact::State::Unspecified => "unknown",
            v1::contact::State::Live => "live",
            v1::contact::State::Silent => "silent",
        };
        let v1::Contact { silent_ms, left_ms, expiring, .. } = self.0;
        Fields { state, silent_ms, left_ms, expiring }.serialize(to)
    }
}

impl ContactView {
    /// For people.
    pub(super) fn words(&self, language: Language) -> String {
        contact(language, &self.0)
    }

    /// What is to be said beside the state; empty while all is well.
    pub(super) fn beside(&self, language: Language) -> String {
        match self.0.state() {
            v1::contact::State::Silent => format!(" ({})", self.words(language)),
            v1::contact::State::Live | v1::contact::State::Unspecified => String::new(),
        }
    }
}

fn contact(language: Language, contact: &v1::Contact) -> String {
    let since = contact.silent_ms / 1000;
    let bound = bound(language, contact.left_ms);
    match contact.state() {
        v1::contact::State::Live => pick(language, "live", "応答あり").to_owned(),
        v1::contact::State::Silent if contact.expiring => pick(
            language,
            format!("lease is being taken back{bound}"),
            format!("リースを回収中{bound}"),
        ),
        v1::contact::State::Silent => pick(
            language,
            format!("not heard for {since} s, its lease is over{bound}"),
            format!("{since} 秒間応答なし、リース終了{bound}"),
        ),
        v1::contact::State::Unspecified => {
            pick(language, "not known here", "このメンバーでは不明").to_owned()
        }
    }
}

/// Tells of each wait on a line of its own.
pub(super) fn tell(app: &mut App<'_>, waits: &[WaitView]) -> Result<(), Failure> {
    waits.iter().try_for_each(|wait| {
        let line = wait.words(app.output.language);
        app.output.line(&line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(cause: Cause, left_ms: Option<u64>) -> WaitView {
        WaitView::from(v1::Wait {
            cause: cause.into(),
            placement: "p-1-42-0".into(),
            node: "sites/ishikari-1/nodes/n-01".into(),
            for_ms: 9_100,
            left_ms,
        })
    }

    #[test]
    fn a_wait_says_for_whom_and_until_when_at_the_latest() {
        let lease = wait(Cause::Lease, Some(13_001));
        assert_eq!(
            lease.words(Language::En),
            "waits until the lease of ishikari-1/n-01 is over, at the latest in 14 s: not heard for 9 s"
        );
        assert_eq!(
            lease.words(Language::Ja),
            "ishikari-1/n-01 のリースの終了を待っています(遅くとも 14 秒後): 9 秒間応答なし"
        );
        let teardown = wait(Cause::Teardown, Some(60_000));
        let text = teardown.words(Language::En);
        assert!(
            text.contains("p-1-42-0 is dead, at the latest in 60 s: stopping for 9 s"),
            "{text}"
        );
        // Without a bound none is made up.
        for cause in [Cause::Lease, Cause::Teardown, Cause::Host, Cause::Unspecified] {
            for language in [Language::En, Language::Ja] {
                let text = wait(cause, None).words(language);
                assert!(!text.contains("latest") && !text.contains("遅くとも"), "{text}");
                assert_eq!(text.is_ascii(), language == Language::En, "{text}");
            }
        }
    }

    #[test]
    fn how_a_node_stands_is_told_in_both_languages() {
        let silent = v1::Contact {
            state: v1::contact::State::Silent.into(),
            silent_ms: 9_000,
            left_ms: Some(11_000),
            expiring: false,
        };
        let en = contact(Language::En, &silent);
        assert_eq!(en, "not heard for 9 s, its lease is over, at the latest in 11 s");
        assert!(!contact(Language::Ja, &silent).is_ascii());
        let taken = v1::Contact { expiring: true, ..silent };
        assert!(contact(Language::En, &taken).starts_with("lease is being taken back"));
        assert_eq!(contact(Language::En, &v1::Contact::default()), "not known here");
    }
}
