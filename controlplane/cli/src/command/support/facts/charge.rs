//! What tenants may use and use, and what operators offer: numbers alone, under pseudonyms.
//!
//! Must hold: no sentence; an area is a place, and hidden as one.

use super::ROWS_MAX;
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::command::list::pages;
use crate::command::support::pseudonym::Pseudonyms;
use crate::failure::Failure;
use sekisho_proto::name::ANY;
use sekisho_proto::v1;
use serde_json::{Value, json};

pub(super) async fn quotas(
    app: &App<'_>,
    session: &Session,
    names: &mut Pseudonyms,
) -> Result<Value, Failure> {
    let (quotas, page) = pages!(quotas, ROWS_MAX, |page_token| {
        let request = v1::ListQuotasRequest {
            parent: format!("tenants/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(session.client, quota_service_client::QuotaServiceClient, list_quotas, request)
    });
    let told = quotas.iter().map(|quota| {
        json!({
            "quota": names.resource(&quota.name),
            "limit": quota.limit, "used": quota.used, "own": quota.own,
            "borrowing": quota.borrowing, "borrowed": quota.borrowed, "lending": quota.lending,
            "pool": quota.pool, "room": quota.room, "escrowed": quota.escrowed,
        })
    });
    Ok(json!({ "revision": page.revision, "quotas": told.collect::<Vec<_>>() }))
}

pub(super) async fn budgets(
    app: &App<'_>,
    session: &Session,
    names: &mut Pseudonyms,
) -> Result<Value, Failure> {
    let (budgets, page) = pages!(budgets, ROWS_MAX, |page_token| {
        let request = v1::ListBudgetsRequest {
            parent: format!("tenants/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(session.client, budget_service_client::BudgetServiceClient, list_budgets, request)
    });
    let told = budgets.iter().map(|budget| {
        let spent = budget.spent.as_ref().map(|spent| {
            json!({
                "from_ms": spent.from_ms, "until_ms": spent.until_ms,
                "charged_milli": spent.charged_milli, "committed_milli": spent.committed_milli,
                "forecast_milli": spent.forecast_milli, "exhausted_ms": spent.exhausted_ms,
            })
        });
        json!({
            "budget": names.resource(&budget.name),
            "unit": budget.unit().as_str_name(), "amount": budget.amount, "period": budget.period,
            "class": budget.device_class, "area": names.of("area", &budget.area),
            "exhausted": budget.exhausted().as_str_name(), "spent": spent,
        })
    });
    Ok(json!({ "revision": page.revision, "budgets": told.collect::<Vec<_>>() }))
}

/// Without prices: what a company asks for is its own matter.
pub(super) async fn offers(
    app: &App<'_>,
    session: &Session,
    names: &mut Pseudonyms,
) -> Result<Value, Failure> {
    let (offers, page) = pages!(offers, ROWS_MAX, |page_token| {
        let request = v1::ListOffersRequest {
            parent: format!("sites/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(session.client, offer_service_client::OfferServiceClient, list_offers, request)
    });
    let told = offers.iter().map(|offer| {
        let excluded: Vec<_> = offer.excluded.iter().map(|name| names.resource(name)).collect();
        json!({
            "offer": names.resource(&offer.name),
            "class": offer.device_class, "gpus": offer.gpus, "used": offer.used,
            "from_ms": offer.from_ms, "until_ms": offer.until_ms, "excluded": excluded,
            "on_lower": offer.on_lower().as_str_name(), "withdrawn": offer.withdrawn,
        })
    });
    Ok(json!({ "revision": page.revision, "offers": told.collect::<Vec<_>>() }))
}

/// Without what for: that is the tenant's matter.
pub(super) async fn reservations(
    app: &App<'_>,
    session: &Session,
    names: &mut Pseudonyms,
) -> Result<Value, Failure> {
    let (reservations, page) = pages!(reservations, ROWS_MAX, |page_token| {
        let request = v1::ListReservationsRequest {
            parent: format!("tenants/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(
            session.client,
            reservation_service_client::ReservationServiceClient,
            list_reservations,
            request
        )
    });
    let told = reservations.iter().map(|row| {
        json!({
            "reservation": names.resource(&row.name), "site": names.resource(&row.site),
            "class": row.device_class, "gpus": row.gpus, "used": row.used, "short": row.short,
            "occupied": row.occupied, "from_ms": row.from_ms, "until_ms": row.until_ms,
            "reclaim": row.reclaim().as_str_name(), "over": row.over,
        })
    });
    Ok(json!({ "revision": page.revision, "reservations": told.collect::<Vec<_>>() }))
}

pub(super) async fn vetoes(
    app: &App<'_>,
    session: &Session,
    names: &mut Pseudonyms,
) -> Result<Value, Failure> {
    let (vetoes, page) = pages!(vetoes, ROWS_MAX, |page_token| {
        let request = v1::ListVetoesRequest {
            parent: format!("operators/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(session.client, offer_service_client::OfferServiceClient, list_vetoes, request)
    });
    let told = vetoes.iter().map(|veto| {
        let of = names.resource(&veto.name);
        json!({ "veto": of, "since_ms": veto.since_ms })
    });
    Ok(json!({ "revision": page.revision, "vetoes": told.collect::<Vec<_>>() }))
}

pub(super) async fn escrows(
    app: &App<'_>,
    session: &Session,
    names: &mut Pseudonyms,
) -> Result<Value, Failure> {
    let (escrows, page) = pages!(escrows, ROWS_MAX, |page_token| {
        let request = v1::ListEscrowsRequest {
            parent: format!("sites/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(session.client, escrow_service_client::EscrowServiceClient, list_escrows, request)
    });
    let told = escrows.iter().map(|escrow| {
        let (name, area) = (names.resource(&escrow.name), names.of("area", &escrow.area));
        json!({ "escrow": name, "gpus": escrow.gpus, "area": area })
    });
    Ok(json!({ "revision": page.revision, "escrows": told.collect::<Vec<_>>() }))
}
