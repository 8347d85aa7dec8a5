//! A node of which there are two: what was seen, and the word that one is left.

use super::super::instant;
use crate::app::App;
use crate::ask;
use crate::failure::Failure;
use crate::language::{Text, pick};
use sekisho_fsm::command::Command;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::quarantine::Why;
use sekisho_types::error_code::Language;
use sekisho_types::id::NodeId;
use serde::Serialize;

/// Why a node is in quarantine.
#[derive(Debug, Serialize)]
pub(super) struct QuarantineView {
    since_ms: u64,
    revision: u64,
    #[serde(flatten)]
    why: Option<Seen>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
enum Seen {
    Sessions { open: String, wanted: String, named: String },
    Instances { session: String, first: String, second: String },
}

impl From<v1::Quarantine> for QuarantineView {
    fn from(message: v1::Quarantine) -> Self {
        let why = message.why.map(|why| match why {
            Why::Sessions(v1::quarantine::Sessions { open, wanted, named }) => {
                Seen::Sessions { open, wanted, named }
            }
            Why::Instances(v1::quarantine::Instances { session, first, second }) => {
                Seen::Instances { session, first, second }
            }
        });
        Self { since_ms: message.since_ms, revision: message.revision, why }
    }
}

impl QuarantineView {
    /// For people.
    pub(super) fn words(&self, language: Language) -> String {
        let since = instant(self.since_ms);
        let what = match &self.why {
            Some(Seen::Sessions { open, wanted, named }) => pick(
                language,
                format!("session {wanted} was wanted after {named} while {open} was open"),
                format!("セッション {open} が有効な間に、{named} に続く {wanted} が要求されました"),
            ),
            Some(Seen::Instances { session, first, second }) => pick(
                language,
                format!("agents {first} and {second} used session {session}"),
                format!(
                    "エージェント {first} と {second} が同じセッション {session} を使用しました"
                ),
            ),
            None => pick(language, "two hosts", "ホストが2台あります").to_owned(),
        };
        pick(language, format!("since {since}: {what}"), format!("{since} から: {what}"))
    }
}

/// Ends a quarantine.
pub(super) async fn release(app: &mut App<'_>, node: &NodeId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &node.name())?;
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &Command::ReleaseNode { node: node.clone() })?;
    let request = v1::ReleaseNodeRequest { name: node.name(), intent: Some(prepared.intent) };
    let written =
        ask!(session.client, node_service_client::NodeServiceClient, release_node, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("released from quarantine", "の隔離を解除しました");
    let next = Some(format!("sekisho node get {node}"));
    app.changed(&node.name(), prepared.request, written.revision, done, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_told_in_both_languages_and_to_programs() {
        let instances = v1::quarantine::Instances {
            session: "07".into(),
            first: "01".into(),
            second: "02".into(),
        };
        let why = Some(Why::Instances(instances));
        let seen = QuarantineView::from(v1::Quarantine { since_ms: 0, revision: 9, why });
        let en = seen.words(Language::En);
        assert!(en.ends_with("agents 01 and 02 used session 07"), "{en}");
        let ja = seen.words(Language::Ja);
        assert!(ja.contains("同じセッション 07"), "{ja}");
        let data = serde_json::to_value(&seen).unwrap();
        assert_eq!((&data["seen"], &data["second"]), (&"instances".into(), &"02".into()));
        let bare = QuarantineView::from(v1::Quarantine { since_ms: 0, revision: 9, why: None });
        assert!(bare.words(Language::En).ends_with("two hosts"));
    }
}
