//! What is shown is what is signed, whole, or nothing is shown.

use super::*;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Limit};

fn joint(gpus: u32) -> Joint {
    Joint::SetQuota {
        tenant: "sapporo".parse().unwrap(),
        class: "sim-h100".parse().unwrap(),
        area: Area::Japan,
        allotment: Allotment::own(Limit::Gpus(gpus.into())),
        expected: sekisho_types::revision::Revision(7),
    }
}

/// As an honest member shows it.
fn shown(gpus: u32) -> v1::Approval {
    let expires = Timestamp(1_795_305_600_000);
    let proposal = Command::Propose { joint: Box::new(joint(gpus)), expires };
    v1::Approval {
        name: ApprovalId([7; 16]).name(),
        proposer: "kanto/user/admin".into(),
        change: Some((&joint(gpus)).into()),
        proposal: encode(&proposal).unwrap().into(),
        signed_by: vec!["kanto/user/admin".into()],
        signatures_missing: 1,
        state: State::Pending.into(),
        expires_ms: expires.0,
        ..v1::Approval::default()
    }
}

#[test]
fn what_is_signed_is_what_is_shown() {
    let honest = shown(8);
    let read = Read::of(&honest).unwrap();
    assert_eq!((read.id, &read.joint), (ApprovalId([7; 16]), &joint(8)));
    let command =
        Command::Propose { joint: Box::new(joint(8)), expires: Timestamp(honest.expires_ms) };
    assert_eq!(read.digest, command.digest().unwrap());
    let view = ApprovalView::of(honest.clone()).unwrap();
    assert_eq!(view.change, "set quota of sapporo for sim-h100 to 8, borrowing none, lending none");
    // A member that shows less than it would have signed, another end, or nothing.
    for lie in [
        v1::Approval { proposal: shown(800).proposal, ..honest.clone() },
        v1::Approval { change: shown(1).change, ..honest.clone() },
        v1::Approval { expires_ms: honest.expires_ms + 1, ..honest.clone() },
        v1::Approval { change: None, ..honest.clone() },
        v1::Approval { name: "approvals/x".into(), ..honest },
    ] {
        let refused = ApprovalView::of(lie).unwrap_err();
        assert_eq!(refused.code, ErrorCode::SignatureInvalid, "{refused:?}");
        assert!(refused.remedy.is_some());
    }
}

#[test]
fn a_change_of_an_unknown_kind_is_listed_and_never_signed() {
    let newer = v1::Approval { change: Some(v1::approval::Change::default()), ..shown(8) };
    let view = ApprovalView::listed(newer.clone()).unwrap();
    assert_eq!((view.digest.as_str(), view.state), ("-", "pending"));
    assert!(view.change.contains("does not know"), "{}", view.change);
    assert!(Read::of(&newer).is_err());
    // One that is known and shown falsely is still refused.
    ApprovalView::listed(v1::Approval { proposal: shown(800).proposal, ..shown(8) }).unwrap_err();
}

#[test]
fn quotas_and_budgets_are_told_whole() {
    use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
    let Joint::SetQuota { tenant, class, allotment, expected, .. } = joint(8) else { panic!() };
    let area = Area::resolve("JP-01").unwrap();
    let allotment = Allotment { borrowing: Limit::Gpus(4), ..allotment };
    let name = "fy".parse().unwrap();
    let spec = BudgetSpec {
        unit: Unit::Yen,
        amount: 900,
        period: Period::FiscalYear,
        class: Some(class.clone()),
        area,
        exhausted: Exhausted::Stop,
    };
    let budget = |budget| Joint::SetBudget { tenant: tenant.clone(), name, budget, expected };
    let (change, details) = words::of(&budget(Some(spec)));
    assert_eq!(change, "update budget fy of sapporo");
    let all = "900 yen each fiscal-year; class sim-h100; area 北海道 (010006); when nothing is left: stop; in place of revision 7";
    assert_eq!(details.join("; "), all);
    let quota = Joint::SetQuota { tenant, class, area, allotment, expected };
    let (change, details) = words::of(&quota);
    assert_eq!(
        change,
        "set quota of sapporo for sim-h100 in 北海道 (010006) to 8, borrowing 4, lending none",
        "a list shows it too"
    );
    assert_eq!(details, ["area 北海道 (010006)", "in place of revision 7"]);
}

#[test]
fn who_has_signed_is_told_who_has_to_sign_besides() {
    let (view, id) = (ApprovalView::of(shown(8)).unwrap(), ApprovalId([7; 16]));
    assert!(
        view.is_signed_by("kanto") && !view.is_signed_by("kan") && !view.is_signed_by("hokuto")
    );
    let told = others(Language::En, &view, &["hokuto", "naniwa"], id);
    assert!(told.contains("; a federation-admin of hokuto or naniwa looks at it with"), "{told}");
    let sign = format!("sekisho approval sign {id} --digest {}", view.digest);
    assert!(told.ends_with(&format!("then runs: {sign}")), "{told}");
    let told = others(Language::Ja, &view, &[], id);
    assert!(told.contains("別の事業者 の連合管理者") && told.ends_with(&sign), "{told}");
}

#[test]
fn rules_are_told_whole() {
    let rules = sekisho_types::residency::Rules::default();
    let policy = "gov".parse().unwrap();
    let (change, details) = words::of(&Joint::PutPolicy { policy, rules, expected: None });
    assert_eq!(change, "create policy gov");
    assert_eq!(details.len(), 7, "{details:?}");
    assert!(details.iter().any(|line| line == "operators any"), "{details:?}");
}
