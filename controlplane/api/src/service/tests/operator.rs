//! Companies as the bundle in force names them.

use super::*;
use crate::service::operator::OperatorApi;
use sekisho_fsm::testing::{admin, key, user};
use sekisho_proto::v1;
use sekisho_proto::v1::operator_service_server::OperatorService as _;
use sekisho_types::id::Digest;
use std::sync::Arc;

#[tokio::test]
async fn operators_are_shown_with_members_sites_and_fingerprints() {
    let fake = fake();
    let api = OperatorApi(Arc::clone(&fake.core));
    let get = |who, name: &str| {
        let ask = v1::GetOperatorRequest { name: name.into(), read: None };
        api.get_operator(request(&who, ask))
    };
    let kanto = get(admin("naniwa"), "operators/kanto").await.unwrap().into_inner();
    assert_eq!(
        (kanto.members, kanto.sites),
        (vec!["members/2".to_owned()], vec!["sites/tokyo-1".to_owned()])
    );
    assert_eq!(kanto.root_sha256, [Digest::of(b"kanto").to_string()]);
    let issuer = Digest::of(&key("issuer", "kanto").public().0).to_string();
    assert_eq!(kanto.issuer_sha256, [issuer]);
    let bundle = fake.core.replica.state().federation().unwrap().bundle.clone();
    assert_eq!((kanto.k, kanto.bundle_version, kanto.rotating), (bundle.k, bundle.version, false));
    assert_eq!(code(get(admin("naniwa"), "operators/nobody").await), ErrorCode::NotFound);
    assert_eq!(code(get(admin("naniwa"), "kanto").await), ErrorCode::InvalidArgument);
    assert_eq!(code(get(user("kanto", "stranger"), "operators/kanto").await), ErrorCode::NotFound);
    let filter = "sites:\"sites/sakai-1\" OR members:\"members/2\"".into();
    let ask =
        v1::ListOperatorsRequest { filter, order_by: "name desc".into(), ..Default::default() };
    let page = api.list_operators(request(&admin("kanto"), ask)).await.unwrap().into_inner();
    let names: Vec<&str> = page.operators.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["operators/naniwa", "operators/kanto"]);
}
