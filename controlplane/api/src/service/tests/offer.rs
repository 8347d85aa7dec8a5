//! Offers and vetoes: written by the operator of the devices alone, and shown without names that the caller may not read.

use super::write::intent;
use super::*;
use crate::service::offer::OfferApi;
use sekisho_fsm::testing::{job, user};
use sekisho_proto::convert::offer::{NewVeto, PutOffer, WithdrawOffer};
use sekisho_proto::name::{OfferId, Resource as _, VetoId};
use sekisho_proto::v1;
use sekisho_proto::v1::offer_service_server::OfferService as _;
use sekisho_types::offer::OfferSpec;
use sekisho_types::principal::Principal;
use sekisho_types::quota::Limit;
use std::sync::Arc;

const NAME: &str = "sites/tokyo-1/offers/night";

fn put(gpus: u64, expected: Option<u64>) -> PutOffer {
    let excluded = ["otaru", "sapporo"].map(|tenant| tenant.parse().unwrap()).into();
    PutOffer {
        offer: OfferId::from_name(NAME).unwrap(),
        spec: OfferSpec { excluded, yen_per_gpu_hour: 300, ..testing::offer(gpus) },
        expected: expected.map(Revision),
    }
}

fn command(put: &PutOffer) -> Command {
    let PutOffer { offer: OfferId { site, name }, spec, expected } = put.clone();
    Command::PutOffer { site, name, offer: Box::new(spec), expected }
}

/// Kanto's offer, made.
async fn offering() -> (Fake, OfferApi, u64) {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.tenant("otaru", Limit::Unlimited));
    let (api, kanto) = (OfferApi(Arc::clone(&fake.core)), admin("kanto"));
    let new = put(4, None);
    let message = new.create_request(intent(1, &command(&new), std::slice::from_ref(&kanto)));
    let made = api.create_offer(request(&kanto, message)).await.unwrap().into_inner();
    (fake, api, made.revision)
}

async fn get(api: &OfferApi, who: &Principal) -> Result<Response<v1::Offer>, Status> {
    let ask = v1::GetOfferRequest { name: NAME.into(), read: None };
    api.get_offer(request(who, ask)).await
}

#[tokio::test]
async fn an_offer_is_made_changed_and_withdrawn_by_its_operator_alone() {
    let (fake, api, made) = offering().await;
    let kanto = admin("kanto");
    let read = get(&api, &kanto).await.unwrap().into_inner();
    assert_eq!((read.name.as_str(), read.gpus, read.used), (NAME, 4, 0));
    assert_eq!((read.yen_per_gpu_hour, read.etag), (300, made.to_string()));
    let changed = put(2, Some(made));
    // Nobody at the hub makes more of it, whoever signs.
    let by = |number, who: &Principal| {
        changed.update_request(intent(number, &command(&changed), std::slice::from_ref(who)))
    };
    for (number, who, refused) in [
        (2, admin("naniwa"), ErrorCode::PermissionDenied),
        (3, user("kanto", "sapporo"), ErrorCode::PermissionDenied),
        (4, user("kanto", "stranger"), ErrorCode::NotFound),
    ] {
        let answer = api.update_offer(request(&who, by(number, &who))).await;
        assert_eq!(code(answer), refused, "{who}");
    }
    let change = api.update_offer(request(&kanto, by(5, &kanto))).await.unwrap().into_inner();
    assert_eq!(get(&api, &kanto).await.unwrap().into_inner().gpus, 2);
    let expected = Revision(change.revision);
    let withdraw = WithdrawOffer { offer: changed.offer.clone(), expected };
    let WithdrawOffer { offer: OfferId { site, name }, expected } = withdraw.clone();
    let command = Command::WithdrawOffer { site, name, expected };
    // It offers less: the certificate is enough.
    let message = withdraw.request(intent(6, &command, &[]));
    api.withdraw_offer(request(&kanto, message)).await.unwrap();
    assert_eq!(code(get(&api, &kanto).await), ErrorCode::NotFound, "nothing was charged to it");
    let state = fake.core.replica.state();
    assert!(state.offer(&changed.offer.site, &changed.offer.name).is_none());
}

#[tokio::test]
async fn whom_an_offer_excludes_is_told_to_whoever_may_know() {
    let (_fake, api, _) = offering().await;
    let excluded = |who: Principal| {
        let api = &api;
        async move { get(api, &who).await.unwrap().into_inner().excluded }
    };
    let all = ["tenants/otaru", "tenants/sapporo"];
    assert_eq!(excluded(admin("kanto")).await, all);
    assert_eq!(excluded(admin("naniwa")).await, all, "an administrator of the federation");
    assert_eq!(excluded(user("kanto", "sapporo")).await, ["tenants/sapporo"], "itself");
    let ask = |filter: &str| {
        let (parent, filter) = ("sites/-".to_owned(), filter.to_owned());
        v1::ListOffersRequest { parent, filter, ..Default::default() }
    };
    let sapporo = user("kanto", "sapporo");
    let filter = "operator = kanto AND yen_per_gpu_hour > 0 AND until_ms > 1 AND withdrawn = false";
    let page = api.list_offers(request(&sapporo, ask(filter))).await.unwrap().into_inner();
    let told: Vec<_> = page.offers.iter().map(|offer| offer.excluded.as_slice()).collect();
    assert_eq!(told, [["tenants/sapporo"]]);
    let page = api.list_offers(request(&sapporo, ask(""))).await.unwrap().into_inner();
    assert_eq!(page.offers.len(), 4, "one of each site, and this one");
    let stranger = api.list_offers(request(&user("kanto", "stranger"), ask(""))).await;
    assert_eq!(code(stranger), ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn vetoes_are_said_and_taken_back_by_their_operator_and_read_by_few() {
    let fake = fake();
    let train = fake.replica.elsewhere(|federation| federation.submit(job("train", 1, 1, &[])));
    let (api, naniwa) = (OfferApi(Arc::clone(&fake.core)), admin("naniwa"));
    let say = |number, of: Vetoed| {
        let (operator, reason) = ("naniwa".parse().unwrap(), "miners".to_owned());
        let veto = NewVeto { operator, of, reason };
        let NewVeto { operator, of, reason } = veto.clone();
        veto.request(intent(number, &Command::Veto { operator, of, reason }, &[]))
    };
    let (whole, one) = (Vetoed::Tenant(train.tenant.clone()), Vetoed::Job(train));
    api.create_veto(request(&naniwa, say(1, whole))).await.unwrap();
    api.create_veto(request(&naniwa, say(2, one.clone()))).await.unwrap();
    let foreign = api.create_veto(request(&admin("kanto"), say(3, one.clone()))).await;
    assert_eq!(code(foreign), ErrorCode::PermissionDenied);
    let list = |who, parent: &str, filter: &str| {
        let (parent, filter) = (parent.to_owned(), filter.to_owned());
        let ask = v1::ListVetoesRequest { parent, filter, ..Default::default() };
        let api = &api;
        async move {
            let page = api.list_vetoes(request(&who, ask)).await?.into_inner();
            let names = page.vetoes.into_iter().map(|veto| veto.name);
            Ok::<_, Status>(Response::new(names.collect::<Vec<_>>()))
        }
    };
    let (all, any) = ("operators/naniwa", "operators/-");
    let (tenant, job) =
        ("operators/naniwa/vetoes/sapporo", "operators/naniwa/vetoes/sapporo.train");
    let of_one = "job = \"tenants/sapporo/jobs/train\"";
    let named = |who, parent, filter| {
        let page = list(who, parent, filter);
        async move { page.await.unwrap().into_inner() }
    };
    assert_eq!(named(admin("kanto"), all, "").await, [tenant, job]);
    assert_eq!(named(admin("kanto"), any, of_one).await, [job]);
    assert_eq!(named(admin("kanto"), "operators/kanto", "").await, [""; 0]);
    assert_eq!(named(user("kanto", "sapporo"), any, "").await, [""; 0]);
    let own = list(user("kanto", "sapporo"), all, "").await;
    assert_eq!(code(own), ErrorCode::PermissionDenied);
    let lift = |number, signers: &[Principal]| {
        let command = Command::LiftVeto { operator: "naniwa".parse().unwrap(), of: one.clone() };
        let id = VetoId { operator: "naniwa".parse().unwrap(), of: one.clone() };
        let intent = Some(intent(number, &command, signers));
        v1::DeleteVetoRequest { name: id.name(), intent }
    };
    let own = std::slice::from_ref(&naniwa);
    let unsigned = api.delete_veto(request(&naniwa, lift(4, &[]))).await;
    assert_eq!(code(unsigned), ErrorCode::SignaturesMissing);
    let foreign = api.delete_veto(request(&admin("kanto"), lift(5, &[admin("kanto")]))).await;
    assert_eq!(code(foreign), ErrorCode::PermissionDenied);
    let hidden = api.delete_veto(request(&user("kanto", "sapporo"), lift(6, &[]))).await;
    assert_eq!(code(hidden), ErrorCode::NotFound);
    api.delete_veto(request(&naniwa, lift(7, own))).await.unwrap();
    assert_eq!(named(naniwa.clone(), any, "").await, [tenant]);
    let again = api.delete_veto(request(&naniwa, lift(8, own))).await;
    assert_eq!(code(again), ErrorCode::NotFound);
}
