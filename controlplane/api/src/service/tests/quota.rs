//! Quotas of tenants that are parts of others: what is held, borrowed, kept by sites and left, in each area.

use super::*;
use crate::service::quota::QuotaApi;
use sekisho_fsm::testing::{CLASS, user};
use sekisho_proto::v1;
use sekisho_proto::v1::quota_service_server::QuotaService as _;
use sekisho_types::quota::{Allotment, Limit};
use std::sync::Arc;

/// A ministry of 4 with two parts: sapporo, which lends 2 of its 8, and otaru, which has none and borrows.
fn tree() -> Fake {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        let ministry = federation.tenant("ministry", Limit::Gpus(4));
        let otaru = federation.tenant("otaru", Limit::None);
        let sapporo: TenantId = "sapporo".parse().unwrap();
        federation.part_of(&sapporo, &ministry);
        federation.part_of(&otaru, &ministry);
        let lends = Allotment { lending: Limit::Gpus(2), ..Allotment::own(Limit::Gpus(8)) };
        federation.allot(&sapporo, Area::Japan, lends);
        let borrows = Allotment { borrowing: Limit::Gpus(5), ..Allotment::NONE };
        federation.allot(&otaru, Area::Japan, borrows);
        let (site, class) = ("tokyo-1".parse().unwrap(), CLASS.parse().unwrap());
        let (tenant, expected) = (otaru, Revision(0));
        let hold = Command::SetEscrow { site, tenant, class, gpus: 3, expected };
        federation.accept(admin("kanto"), hold);
    });
    fake
}

async fn get(fake: &Fake, name: &str) -> v1::Quota {
    let ask = v1::GetQuotaRequest { name: format!("tenants/{name}"), read: None };
    let api = QuotaApi(Arc::clone(&fake.core));
    api.get_quota(request(&admin("naniwa"), ask)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_row_tells_what_is_held_borrowed_and_left() {
    let fake = tree();
    let otaru = get(&fake, "otaru/quotas/sim-h100").await;
    let limits = (otaru.limit.as_str(), otaru.borrowing.as_str(), otaru.lending.as_str());
    assert_eq!(limits, ("none", "5", "none"));
    assert_eq!((otaru.used, otaru.own, otaru.escrowed, otaru.borrowed), (3, 3, 3, 3));
    assert_eq!((otaru.pool.as_str(), otaru.room.as_str()), ("0", "2"), "5 less 3");
    let ministry = get(&fake, "ministry/quotas/sim-h100").await;
    assert_eq!((ministry.used, ministry.own, ministry.escrowed), (3, 0, 0));
    assert_eq!((ministry.pool.as_str(), ministry.room.as_str()), ("6", "3"), "4 and 2 lent");
    // Where nothing was set nothing is granted, however much there is of it elsewhere.
    let tokyo = get(&fake, "otaru/quotas/sim-h100.131016").await;
    assert_eq!(
        (tokyo.limit.as_str(), tokyo.room.as_str(), tokyo.etag.as_str()),
        ("none", "0", "0")
    );
    assert_eq!((tokyo.own, tokyo.escrowed), (3, 3));
    let hokkaido = get(&fake, "otaru/quotas/sim-h100.010006").await;
    assert_eq!((hokkaido.own, hokkaido.escrowed), (0, 0), "Tokyo is not in Hokkaido");
}

#[tokio::test]
async fn each_area_has_a_row_of_its_own() {
    let fake = tree();
    fake.replica.elsewhere(|federation| {
        let tokyo = Area::resolve("131016").unwrap();
        let allotment = Allotment::own(Limit::Unlimited);
        federation.allot(&"otaru".parse().unwrap(), tokyo, allotment);
    });
    let api = QuotaApi(Arc::clone(&fake.core));
    let names = |who, parent: &str, filter: &str| {
        let (parent, filter) = (parent.to_owned(), filter.to_owned());
        let (api, page_size) = (&api, 1);
        async move {
            let mut ask = v1::ListQuotasRequest { parent, filter, page_size, ..Default::default() };
            let mut names = Vec::new();
            loop {
                let page = api.list_quotas(request(&who, ask.clone())).await.unwrap().into_inner();
                names.extend(page.quotas.into_iter().map(|quota| quota.name));
                if page.next_page_token.is_empty() {
                    return names;
                }
                ask.page_token = page.next_page_token;
            }
        }
    };
    let (whole, tokyo) = ("tenants/otaru/quotas/sim-h100", "tenants/otaru/quotas/sim-h100.131016");
    let of = |who, filter| names(who, "tenants/otaru", filter);
    assert_eq!(of(admin("naniwa"), "").await, [whole, tokyo]);
    assert_eq!(of(user("kanto", "otaru"), "area = 131016").await, [tokyo]);
    assert_eq!(of(admin("naniwa"), "borrowed > 0 AND limit = none").await, [whole]);
    let all = names(user("kanto", "otaru"), "tenants/-", "").await;
    assert_eq!(all, [whole, tokyo], "and nothing of whom it may not read");
    let row = get(&fake, "otaru/quotas/sim-h100.131016").await;
    assert_eq!((row.limit.as_str(), row.room.as_str(), row.used), ("unlimited", "unlimited", 3));
}
