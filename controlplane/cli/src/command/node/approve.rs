//! `sekisho node approve` and `reject`: whether the host that joined is the one that was meant.
//!
//! Must hold: what is approved is the key that somebody compared with the host itself. The command carries the whole key, so
//! that a member which shows another one than the state has approves nothing.

use super::revoke;
use crate::app::{App, Session};
use crate::ask;
use crate::failure::Failure;
use crate::language::Text;
use sekisho_fsm::command::Command;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};

/// Digits of a fingerprint that are enough: nobody makes a key whose first 64 bits are given ones.
const ENOUGH: usize = 16;

/// Reads a fingerprint or its beginning: hexadecimal digits, in groups or not.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | ' ')).collect();
    let digits = digits.to_ascii_lowercase();
    if digits.len() < ENOUGH || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return Err(format!("must be {ENOUGH} to 64 hexadecimal digits"));
    }
    Ok(digits)
}

async fn pending(app: &App<'_>, session: &Session, node: &NodeId) -> Result<v1::Node, Failure> {
    let request = v1::GetNodeRequest { name: node.name(), read: None };
    let found = ask!(session.client, node_service_client::NodeServiceClient, get_node, request)?;
    if found.pending {
        return Ok(found);
    }
    let why = app
        .output
        .pick(format!("{node} is approved already"), format!("{node} はすでに承認されています"));
    let fix = format!("sekisho node get {node}");
    Err(Failure::new(ErrorCode::WrongPhase, why).remedy(fix))
}

pub(super) async fn approve(app: &mut App<'_>, node: &NodeId, key: &str) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let found = pending(app, &session, node).await?;
    if !found.node_key.starts_with(key) {
        let why = app.output.pick(
            format!("{node} joined with the key {}", found.node_key),
            format!("{node} は鍵 {} で参加しました", found.node_key),
        );
        return Err(Failure::new(ErrorCode::NodeKeyMismatch, why));
    }
    let unusable = || Failure::new(ErrorCode::Internal, "the answer has no usable key");
    let node_key: Digest = found.node_key.parse().map_err(|_form| unusable())?;
    let prepared = app.prepare(&session, &Command::ApproveNode { node: node.clone(), node_key })?;
    let request = v1::ApproveNodeRequest {
        name: node.name(),
        node_key: node_key.to_string(),
        intent: Some(prepared.intent),
    };
    let written =
        ask!(session.client, node_service_client::NodeServiceClient, approve_node, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("approved", "を承認しました");
    let next = Some(format!("sekisho node get {node}"));
    app.changed(&node.name(), prepared.request, written.revision, done, next)
}

pub(super) async fn reject(app: &mut App<'_>, node: &NodeId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &node.name())?;
    let session = app.session()?;
    // One that runs work is not rejected by a slip of the hand.
    pending(app, &session, node).await?;
    revoke(app, node, Text::new("rejected", "を拒否しました")).await
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_fingerprint_has_enough_digits_in_any_grouping() {
        let digits = "0123456789abcdef";
        for text in ["0123456789abcdef", "0123:4567:89AB:CDEF", "01234567 89abcdef"] {
            assert_eq!(fingerprint(text).unwrap(), digits);
        }
        assert_eq!(fingerprint(&digits.repeat(4)).unwrap(), digits.repeat(4));
        for bad in ["", "0123456789abcde", "0123456789abcdeg", &digits.repeat(5)] {
            fingerprint(bad).unwrap_err();
        }
    }
}
