//! Joining: nobody from abroad, each token once, the same key again for a while.

use super::*;
use crate::service::join::JoinApi;
use bytes::Bytes;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::decode;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, admin};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::join_service_server::JoinService as _;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::limit::JOIN_REPEAT;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SECRET: [u8; 32] = [9; 32];

/// A token for a node of `operator`, and the request of its host.
fn token(fake: &Fake, operator: &str, node: &str, secret: u8) -> internal::JoinRequest {
    let id: NodeId = node.parse().unwrap();
    let token = Digest::of(&[secret; 32]);
    let expires = testing::BEGIN.plus_ms(3_600_000);
    let command = Command::CreateToken { token, node: id.clone(), expires, approved: false };
    fake.replica.elsewhere(|federation| federation.accept(admin(operator), command));
    internal::JoinRequest {
        secret: vec![secret; 32].into(),
        site: id.site.to_string(),
        node: id.name.to_string(),
        area: "131016".into(),
        csr: Bytes::from(node.to_owned()),
        receipt_key: vec![1; 32].into(),
    }
}

async fn join(
    fake: &Fake,
    ask: &internal::JoinRequest,
) -> Result<Response<internal::JoinResponse>, Status> {
    // No certificate: the request comes from nobody.
    JoinApi(Arc::clone(&fake.core)).join(tonic::Request::new(ask.clone())).await
}

#[tokio::test]
async fn a_host_with_a_token_gets_everything_that_it_needs() {
    let fake = fake();
    let ask = token(&fake, "kanto", "tokyo-1/n-09", SECRET[0]);
    let answer = join(&fake, &ask).await.unwrap().into_inner();
    let state = fake.core.replica.state();
    let node = state.node(&"tokyo-1/n-09".parse().unwrap()).unwrap();
    assert_eq!(node.signed_tag.0, answer.site_tag);
    assert_eq!(node.tag.area.to_string(), "131016");
    assert_eq!(answer.certificate_chain, std::slice::from_ref(&ask.csr));
    let bundle: EndorserBundle = decode(&answer.bundle).unwrap();
    assert_eq!(bundle, state.federation().unwrap().bundle);
    assert_eq!((answer.members.len(), answer.roots.len()), (3, 3));
    // The answer was lost: the same key gets it again, and only that.
    let again = join(&fake, &ask).await.unwrap().into_inner();
    assert_eq!(again, answer);
    let thief = internal::JoinRequest { csr: Bytes::from_static(b"other"), ..ask.clone() };
    assert_eq!(code(join(&fake, &thief).await), ErrorCode::TokenUsed);
    let later = u64::try_from(JOIN_REPEAT.as_millis()).unwrap() + 1;
    fake.replica.elsewhere(|federation| {
        for step in 1..=later / 10_000 + 1 {
            federation.now = testing::BEGIN.plus_ms(step * 10_000);
            federation.accept(testing::member("kanto"), Command::Tick);
        }
    });
    assert_eq!(code(join(&fake, &ask).await), ErrorCode::TokenUsed);
}

#[tokio::test]
async fn a_host_abroad_is_refused_and_leaves_no_trace() {
    let fake = fake();
    let ask = token(&fake, "kanto", "tokyo-1/n-09", SECRET[0]);
    let proposed = fake.replica.proposed.load(Ordering::Relaxed);
    let revision = fake.core.replica.state().revision();
    for area in ["KR-26", "KR", "US"] {
        let foreign = internal::JoinRequest { area: area.into(), ..ask.clone() };
        assert_eq!(code(join(&fake, &foreign).await), ErrorCode::ResidencyOutsideJp);
        // A wrong secret gets the same answer: nothing is learnt about tokens.
        let guess = internal::JoinRequest { secret: vec![1; 32].into(), ..foreign };
        assert_eq!(code(join(&fake, &guess).await), ErrorCode::ResidencyOutsideJp);
    }
    assert_eq!(fake.replica.proposed.load(Ordering::Relaxed), proposed);
    assert_eq!(fake.core.replica.state().revision(), revision);
    // The token is still good.
    join(&fake, &ask).await.unwrap();
}

#[tokio::test]
async fn every_other_reason_to_refuse_a_host_has_its_code() {
    let fake = fake();
    let ask = token(&fake, "kanto", "tokyo-1/n-09", SECRET[0]);
    let refused = |change: &dyn Fn(&mut internal::JoinRequest)| {
        let mut ask = ask.clone();
        change(&mut ask);
        let fake = &fake;
        async move { code(join(fake, &ask).await) }
    };
    assert_eq!(refused(&|m| m.secret = vec![1; 32].into()).await, ErrorCode::TokenUnknown);
    assert_eq!(refused(&|m| m.node = "n-10".into()).await, ErrorCode::TokenUnknown);
    assert_eq!(refused(&|m| m.area = "Atlantis".into()).await, ErrorCode::AreaUnknown);
    // In Japan, but not where the site is.
    assert_eq!(refused(&|m| m.area = "012351".into()).await, ErrorCode::TagInvalid);
    assert_eq!(refused(&|m| m.csr = Bytes::new()).await, ErrorCode::InvalidArgument);
    // A node of another operator joins there.
    let away = token(&fake, "naniwa", "sakai-1/n-09", 8);
    let error = ApiError::from_status(&join(&fake, &away).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    assert_eq!(error.metadata.get("endpoint").map(String::as_str), Some("127.0.0.1:7003"));
    fake.clock.0.store(3_600_000, Ordering::Relaxed);
    assert_eq!(refused(&|_| ()).await, ErrorCode::TokenExpired);
}
