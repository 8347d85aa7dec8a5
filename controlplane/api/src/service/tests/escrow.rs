//! Slices of quotas at sites: set as they were read, and shown to whoever may read the tenant.

use super::write::intent;
use super::*;
use crate::service::escrow::EscrowApi;
use sekisho_fsm::testing::user;
use sekisho_proto::convert::escrow::SetEscrow;
use sekisho_proto::name::{EscrowId, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::escrow_service_server::EscrowService as _;
use sekisho_types::quota::Limit;
use std::sync::Arc;

const NAME: &str = "sites/tokyo-1/escrows/sapporo.sim-h100";

fn set(number: u8, name: &str, gpus: u64, expected: u64) -> v1::UpdateEscrowRequest {
    let set = SetEscrow {
        escrow: EscrowId::from_name(name).unwrap(),
        gpus,
        expected: Revision(expected),
    };
    let SetEscrow { escrow: EscrowId { site, tenant, class }, gpus, expected } = set.clone();
    let command = Command::SetEscrow { site, tenant, class, gpus, expected };
    set.request(intent(number, &command, &[admin("kanto")]))
}

#[tokio::test]
async fn a_slice_is_set_as_it_was_read_and_never_beyond_what_is_free() {
    let fake = fake();
    let api = EscrowApi(Arc::clone(&fake.core));
    let get = |name: &str| {
        let ask = v1::GetEscrowRequest { name: name.into(), read: None };
        api.get_escrow(request(&user("kanto", "sapporo"), ask))
    };
    let none = get(NAME).await.unwrap().into_inner();
    assert_eq!((none.gpus, none.area.as_str(), none.etag.as_str()), (0, "131016", "0"));
    let kanto = admin("kanto");
    let over = api.update_escrow(request(&kanto, set(1, NAME, 9, 0))).await;
    assert_eq!(code(over), ErrorCode::QuotaExceeded);
    let written = api.update_escrow(request(&kanto, set(2, NAME, 6, 0))).await.unwrap();
    let held = get(NAME).await.unwrap().into_inner();
    let etag = written.into_inner().revision.to_string();
    assert_eq!((held.name.as_str(), held.gpus, held.etag), (NAME, 6, etag));
    let blind = api.update_escrow(request(&kanto, set(3, NAME, 1, 0))).await;
    assert_eq!(code(blind), ErrorCode::RevisionMismatch);
    let own = api.update_escrow(request(&user("kanto", "sapporo"), set(4, NAME, 0, 0))).await;
    assert_eq!(code(own), ErrorCode::PermissionDenied);
    for name in ["sites/tokyo-9/escrows/sapporo.sim-h100", "sites/tokyo-1/escrows/otaru.sim-h100"] {
        assert_eq!(code(get(name).await), ErrorCode::NotFound, "{name}");
    }
}

#[tokio::test]
async fn a_list_shows_what_is_held_of_tenants_that_the_caller_may_read() {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        let otaru = federation.tenant("otaru", Limit::Gpus(8));
        share(federation, &otaru);
        for (site, gpus) in [("tokyo-1", 2), ("sakai-1", 3)] {
            let (site, tenant) = (site.parse().unwrap(), "sapporo".parse().unwrap());
            let (class, expected) = (testing::CLASS.parse().unwrap(), Revision(0));
            let hold = Command::SetEscrow { site, tenant, class, gpus, expected };
            federation.accept(admin("kanto"), hold);
        }
    });
    let api = EscrowApi(Arc::clone(&fake.core));
    let held = |who, parent: &str, filter: &str| {
        let (parent, filter) = (parent.to_owned(), filter.to_owned());
        let api = &api;
        async move {
            let ask = v1::ListEscrowsRequest { parent, filter, ..Default::default() };
            let page = api.list_escrows(request(&who, ask)).await.unwrap().into_inner();
            page.escrows.into_iter().map(|row| row.gpus).collect::<Vec<_>>()
        }
    };
    assert_eq!(held(admin("naniwa"), "sites/-", "").await, [3, 1, 2]);
    assert_eq!(held(admin("naniwa"), "sites/tokyo-1", "gpus > 1").await, [2]);
    assert_eq!(held(user("kanto", "sapporo"), "sites/-", "").await, [3, 2]);
    assert_eq!(held(user("kanto", "otaru"), "sites/tokyo-1", "").await, [1]);
    let ask = v1::ListEscrowsRequest { parent: "sites/-".into(), ..Default::default() };
    let refused = api.list_escrows(request(&user("kanto", "stranger"), ask)).await;
    assert_eq!(code(refused), ErrorCode::PermissionDenied);
}
