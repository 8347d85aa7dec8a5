//! Test-only: what tenants of the federation of the golden files may use, and what its operators offer.

use super::answers::AT;
use super::server::Answers;
use sekisho_proto::v1;
use sekisho_proto::v1::budget::{Exhausted, Spent, Unit};
use sekisho_proto::v1::offer::OnLower;
use sekisho_proto::v1::reservation::Reclaim;

const DAY_MS: u64 = 24 * 3_600_000;
/// 2026-04-01 and 2027-04-01, midnight in Japan.
const FISCAL_YEAR: (u64, u64) = (1_774_969_200_000, 1_806_505_200_000);

fn quota(id: &str, limit: &str, (used, borrowed): (u64, u64)) -> v1::Quota {
    v1::Quota {
        name: format!("tenants/{id}"),
        limit: limit.into(),
        used,
        etag: "18".into(),
        borrowing: "16".into(),
        lending: "none".into(),
        pool: limit.into(),
        borrowed,
        room: "12".into(),
        own: used,
        escrowed: 8,
    }
}

fn budget(id: &str, spent: Spent) -> v1::Budget {
    v1::Budget {
        name: format!("tenants/{id}"),
        unit: Unit::GpuHours.into(),
        amount: 1000,
        period: "fiscal-year".into(),
        area: "JP".into(),
        exhausted: Exhausted::Stop.into(),
        spent: Some(spent),
        etag: "23".into(),
        ..Default::default()
    }
}

fn spent(charged_milli: u64) -> Spent {
    let (from_ms, until_ms) = FISCAL_YEAR;
    Spent {
        from_ms,
        until_ms,
        charged_milli,
        committed_milli: 30_000,
        forecast_milli: charged_milli * 3 / 2,
        exhausted_ms: None,
    }
}

fn budgets() -> Vec<v1::Budget> {
    let ends = Spent { exhausted_ms: Some(AT + 27 * DAY_MS), ..spent(411_250) };
    let earlier = Spent { forecast_milli: 0, committed_milli: 0, ..spent(998_000) };
    let yearly = v1::Budget { earlier: vec![earlier], ..budget("sapporo/budgets/fy-2026", ends) };
    let once = v1::Budget {
        unit: Unit::Yen.into(),
        amount: 40_000_000,
        period: String::new(),
        from_ms: FISCAL_YEAR.0,
        until_ms: FISCAL_YEAR.1,
        device_class: "nvidia-h200".into(),
        area: "010006".into(),
        exhausted: Exhausted::Warn.into(),
        ..budget("minato/budgets/migration", spent(12_345_678_001))
    };
    vec![once, yearly]
}

fn offer(id: &str, gpus: u64, used: u64) -> v1::Offer {
    v1::Offer {
        name: format!("sites/{id}"),
        device_class: "nvidia-h200".into(),
        gpus,
        from_ms: AT,
        until_ms: Some(AT + 90 * DAY_MS),
        excluded: vec!["tenants/minato".into()],
        yen_per_gpu_hour: 280,
        on_lower: OnLower::Drain.into(),
        withdrawn: false,
        used,
        etag: "24".into(),
    }
}

fn reservation(id: &str, gpus: u64) -> v1::Reservation {
    v1::Reservation {
        name: format!("tenants/{id}"),
        site: "sites/ishikari-1".into(),
        device_class: "nvidia-h200".into(),
        gpus,
        from_ms: AT,
        until_ms: Some(AT + 30 * DAY_MS),
        reclaim: Reclaim::Drain.into(),
        message: "training of the weather model".into(),
        used: gpus.saturating_sub(4),
        holds: true,
        etag: "27".into(),
        ..v1::Reservation::default()
    }
}

fn reservations() -> Vec<v1::Reservation> {
    let least = v1::Reservation {
        from_ms: 0,
        until_ms: None,
        reclaim: Reclaim::Wait.into(),
        short: 8,
        ..reservation("minato/reservations/least", 24)
    };
    let later = v1::Reservation {
        from_ms: AT + 60 * DAY_MS,
        until_ms: Some(AT + 61 * DAY_MS),
        used: 0,
        occupied: 2,
        holds: false,
        ..reservation("sapporo/reservations/review", 8)
    };
    vec![least, reservation("sapporo/reservations/night", 16), later]
}

fn vetoes() -> Vec<v1::Veto> {
    let veto = |id: &str, reason: &str| v1::Veto {
        name: format!("operators/{id}"),
        by: "naniwa/user/admin".into(),
        reason: reason.into(),
        since_ms: AT,
        etag: "25".into(),
    };
    vec![
        veto("naniwa/vetoes/minato", "the contract ended on 2026-10-31"),
        veto("naniwa/vetoes/sapporo.train", "its output fills our disks"),
    ]
}

/// Adds quotas, budgets, offers, reservations, vetoes and escrows.
pub(super) fn charged(answers: Answers) -> Answers {
    let quotas = vec![
        quota("minato/quotas/nvidia-h200", "none", (0, 0)),
        quota("sapporo/quotas/nvidia-h200", "64", (60, 4)),
        quota("sapporo/quotas/nvidia-h200.012351", "unlimited", (60, 0)),
    ];
    let budgets = budgets();
    let whole = offer("ishikari-1/offers/all", 64, 60);
    let gone = v1::Offer { withdrawn: true, ..offer("tokyo-1/offers/spare", 8, 16) };
    let offers = vec![whole.clone(), gone];
    let escrow = v1::Escrow {
        name: "sites/ishikari-1/escrows/sapporo.nvidia-h200".into(),
        gpus: 8,
        area: "012351".into(),
        etag: "26".into(),
    };
    let (revision, escrows) = (4711, vec![escrow.clone()]);
    let reservations = reservations();
    answers
        .with("QuotaService/GetQuota", &quotas[1])
        .with(
            "QuotaService/ListQuotas",
            &v1::ListQuotasResponse { quotas, revision, ..Default::default() },
        )
        .with("BudgetService/GetBudget", &budgets[1])
        .with(
            "BudgetService/ListBudgets",
            &v1::ListBudgetsResponse { budgets, revision, ..Default::default() },
        )
        .with("OfferService/GetOffer", &whole)
        .with(
            "OfferService/ListOffers",
            &v1::ListOffersResponse { offers, revision, ..Default::default() },
        )
        .with("ReservationService/GetReservation", &reservations[1])
        .with(
            "ReservationService/ListReservations",
            &v1::ListReservationsResponse { reservations, revision, ..Default::default() },
        )
        .with(
            "OfferService/ListVetoes",
            &v1::ListVetoesResponse { vetoes: vetoes(), revision, ..Default::default() },
        )
        .with("EscrowService/GetEscrow", &escrow)
        .with(
            "EscrowService/ListEscrows",
            &v1::ListEscrowsResponse { escrows, revision, ..Default::default() },
        )
}
