//! Requests about budgets, offers, vetoes and escrows, and the names of such.

use crate::decoders;
use crate::request::{intent, message, of};
use prost::Message as _;
use sekisho_proto::convert::budget::{DeleteBudget, PutBudget};
use sekisho_proto::convert::escrow::SetEscrow;
use sekisho_proto::convert::offer::{NewVeto, PutOffer, WithdrawOffer};
use sekisho_proto::convert::reservation::{DeleteReservation, PutReservation};
use sekisho_proto::convert::site::SetPowerCap;
use sekisho_proto::name::{QuotaId, Resource as _, VetoId};
use sekisho_proto::v1;

fn budget() -> v1::Budget {
    v1::Budget {
        name: "tenants/sapporo/budgets/fy".to_owned(),
        unit: v1::budget::Unit::Yen.into(),
        amount: 1_000_000,
        period: "fiscal-year".to_owned(),
        area: "010006".to_owned(),
        exhausted: v1::budget::Exhausted::Stop.into(),
        etag: "12".to_owned(),
        ..v1::Budget::default()
    }
}

fn offer() -> v1::Offer {
    v1::Offer {
        name: "sites/tokyo-1/offers/nights".to_owned(),
        device_class: "sim-h100".to_owned(),
        gpus: 64,
        until_ms: Some(1_800_000_000_000),
        excluded: vec!["tenants/osaka".to_owned()],
        yen_per_gpu_hour: 300,
        on_lower: v1::offer::OnLower::Drain.into(),
        etag: "12".to_owned(),
        ..v1::Offer::default()
    }
}

fn reservation() -> v1::Reservation {
    v1::Reservation {
        name: "tenants/sapporo/reservations/night".to_owned(),
        site: "sites/tokyo-1".to_owned(),
        device_class: "sim-h100".to_owned(),
        gpus: 16,
        until_ms: Some(1_800_000_000_000),
        reclaim: v1::reservation::Reclaim::Drain.into(),
        message: "training at night".to_owned(),
        etag: "12".to_owned(),
        ..v1::Reservation::default()
    }
}

decoders! {
    create_budget: of(&[&|| {
        let (parent, budget_id) = ("tenants/sapporo".to_owned(), "fy".to_owned());
        let budget = Some(budget());
        v1::CreateBudgetRequest { parent, budget_id, budget, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreateBudgetRequest| PutBudget::try_from(&m));
    update_budget: of(&[&|| {
        let (budget, update_mask) = (Some(budget()), None);
        v1::UpdateBudgetRequest { budget, update_mask, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::UpdateBudgetRequest| PutBudget::try_from(&m));
    delete_budget: of(&[&|| {
        let (name, etag) = ("tenants/sapporo/budgets/fy".to_owned(), "12".to_owned());
        v1::DeleteBudgetRequest { name, etag, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::DeleteBudgetRequest| DeleteBudget::try_from(&m));
    create_offer: of(&[&|| {
        let (parent, offer_id) = ("sites/tokyo-1".to_owned(), "nights".to_owned());
        let offer = Some(offer());
        v1::CreateOfferRequest { parent, offer_id, offer, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreateOfferRequest| PutOffer::try_from(&m));
    update_offer: of(&[&|| {
        let (offer, update_mask) = (Some(offer()), None);
        v1::UpdateOfferRequest { offer, update_mask, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::UpdateOfferRequest| PutOffer::try_from(&m));
    withdraw_offer: of(&[&|| {
        let (name, etag) = ("sites/tokyo-1/offers/nights".to_owned(), "12".to_owned());
        v1::WithdrawOfferRequest { name, etag, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::WithdrawOfferRequest| WithdrawOffer::try_from(&m));
    set_power_cap: of(&[&|| {
        let (name, etag) = ("sites/tokyo-1".to_owned(), "12".to_owned());
        v1::SetPowerCapRequest { name, etag, watts: Some(96_000), intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::SetPowerCapRequest| SetPowerCap::try_from(&m));
    create_reservation: of(&[&|| {
        let (parent, reservation_id) = ("tenants/sapporo".to_owned(), "night".to_owned());
        let reservation = Some(reservation());
        v1::CreateReservationRequest { parent, reservation_id, reservation, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreateReservationRequest| PutReservation::try_from(&m));
    update_reservation: of(&[&|| {
        let (reservation, update_mask) = (Some(reservation()), None);
        v1::UpdateReservationRequest { reservation, update_mask, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::UpdateReservationRequest| PutReservation::try_from(&m));
    delete_reservation: of(&[&|| {
        let (name, etag) = ("tenants/sapporo/reservations/night".to_owned(), "12".to_owned());
        v1::DeleteReservationRequest { name, etag, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::DeleteReservationRequest| DeleteReservation::try_from(&m));
    create_veto: of(&[&|| v1::CreateVetoRequest {
        parent: "operators/kanto".to_owned(),
        of: "tenants/sapporo/jobs/train".to_owned(),
        reason: "no contract".to_owned(),
        intent: intent(),
    }.encode_to_vec()]), |bytes: &[u8]| message(bytes, |m: v1::CreateVetoRequest| NewVeto::try_from(&m));
    delete_veto: of(&[&|| {
        let name = "operators/kanto/vetoes/sapporo.train".to_owned();
        v1::DeleteVetoRequest { name, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::DeleteVetoRequest| VetoId::from_field("name", &m.name));
    update_escrow: of(&[&|| {
        let name = "sites/tokyo-1/escrows/sapporo.sim-h100".to_owned();
        let (gpus, etag) = (4, "7".to_owned());
        let escrow = Some(v1::Escrow { name, gpus, etag, ..v1::Escrow::default() });
        v1::UpdateEscrowRequest { escrow, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::UpdateEscrowRequest| SetEscrow::try_from(&m));
    get_quota: of(&[&|| {
        let name = "tenants/sapporo/quotas/sim-h100.010006".to_owned();
        v1::GetQuotaRequest { name, read: None }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::GetQuotaRequest| QuotaId::from_field("name", &m.name));
}
